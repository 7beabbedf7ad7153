"""What was planted in the data is found again in the cells of S26, month by month."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from gateway.releases.build import Order, build
from gateway.releases.manifest import Manifest
from gateway.releases.store import ReleaseStore, Selection
from gateway.settings import Settings
from gateway.warehouse.store import current, draft, publish
from synthetic.bureau import simulate
from synthetic.integrity.told import Told

NOW = datetime(2026, 1, 1, tzinfo=UTC)
Cells = dict[str, dict[str, Any]]
TOLD = (
    Told("audited_sample", "2024-02", "990100", 390, 400),
    Told("repair_hours", "2024-02", "990100", 130, 4),
)


class Report:
    """The release of S26 of one warehouse."""

    def __init__(self, settings: Settings, manifest: Manifest) -> None:
        self._store, self._manifest = ReleaseStore(settings.releases), manifest
        self.months = manifest.periods["month"]

    def rule(self, name: str, table: str) -> Cells:
        """The cells of a rule in a table, by month."""
        measures = ("checked", "failed", "amount_affected")
        return self._cells({"dq_table": table, "rule": name}, measures)

    def quality(self, month: str) -> dict[str, Any]:
        """What an answer's meta says of the quality of a month."""
        return dict(self._manifest.quality[month])

    def further(self, name: str) -> Cells:
        """The cells of a further figure, by month."""
        return self._cells({"further9": name}, ("counted", "out_of", "part"))

    def _cells(self, where: dict[str, str], measures: tuple[str, ...]) -> Cells:
        page = self._store.page(
            Selection(
                service="S26",
                release_id=self._manifest.release_id,
                profile_key=min(self._manifest.cells),
                grain="month",
                periods=self.months,
                geo=("990100",),
                dims=tuple(where),
                where=where,
                measures=measures,
                levels={},
            ),
            0,
            1000,
        )
        return {
            month: {measure: page.values[measure][at] for measure in measures}
            for at, month in enumerate(page.keys["period"])
        }


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A damaged city: what stops every other release does not stop the report of it."""
    folder = tmp_path_factory.mktemp("planted")
    root = folder / "warehouse"
    root.mkdir()
    with draft(root) as scratch:
        tables = scratch / "tables"
        tables.mkdir()
        simulate(tables, "mini", 5, defects="light")
        publish(root, tables, {"kind": "simulate"}, NOW)
    return folder


@pytest.fixture(scope="module")
def report(home: Path) -> Report:
    settings = Settings(home=home)
    (made,) = build(settings, Order(("S26",), told=TOLD), NOW)
    assert made.waiver is None
    return Report(settings, made)


@pytest.fixture(scope="module")
def sql(home: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    folder = current(home / "warehouse")
    with duckdb.connect() as connection:
        for name in ("fee_list_d", "setl_d", "drug_cat_b", "fixmedins_b", "sel_trac_d"):
            connection.execute(f"CREATE VIEW {name} AS FROM '{folder / name}.parquet'")
        yield connection


def counted(sql: duckdb.DuckDBPyConnection, query: str) -> dict[str, tuple[int, str]]:
    """Month → records and the money on them."""
    return {month: (n, str(amount)) for month, n, amount in sql.execute(query).fetchall()}


def told(cells: Cells) -> dict[str, tuple[int, str]]:
    return {
        month: (one["failed"], one["amount_affected"])
        for month, one in cells.items()
        if one["failed"]
    }


def test_pt10_the_mismapped_drug_is_found_from_2024_03_on(
    report: Report, sql: duckdb.DuckDBPyConnection
) -> None:
    planted = counted(sql, """SELECT strftime(coalesce(s.setl_time, f.fee_ocur_time), '%Y-%m') AS m,
        count(*), sum(abs(f.det_item_fee_sumamt))
      FROM fee_list_d AS f LEFT JOIN setl_d AS s USING (setl_id)
      WHERE f.med_list_codg <> substr(f.medins_list_codg, 2)
        AND f.med_list_codg IN (SELECT med_list_codg FROM drug_cat_b) GROUP BY 1""")  # fmt: skip
    assert min(planted) == "2024-03"
    assert told(report.rule("R19b", "fee_list_d")) == planted


def test_pt12_trace_codes_sold_twice_are_found(
    report: Report, sql: duckdb.DuckDBPyConnection
) -> None:
    planted = counted(sql, """SELECT strftime(sel_retn_time, '%Y-%m') AS m, count(*),
        sum(round(finl_trns_pric, 2))::DECIMAL(18,2)
      FROM (SELECT *, row_number() OVER (PARTITION BY drug_trac_codg
          ORDER BY sel_retn_time, sel_sn) AS nth FROM sel_trac_d WHERE trdn_flag <> '1')
        JOIN fixmedins_b AS i USING (fixmedins_code)
      WHERE nth > 1 AND left(i.fix_blng_admdvs, 4) = '9901' GROUP BY 1""")  # fmt: skip
    assert sum(n for n, _ in planted.values()) > 50
    assert told(report.rule("R24", "sel_trac_d")) == planted


def test_damaged_lines_are_found_with_their_money(
    report: Report, sql: duckdb.DuckDBPyConnection
) -> None:
    planted = counted(sql, """SELECT strftime(coalesce(s.setl_time, f.fee_ocur_time), '%Y-%m') AS m,
        count(*), sum(abs(f.det_item_fee_sumamt))
      FROM fee_list_d AS f LEFT JOIN setl_d AS s USING (setl_id)
        JOIN fixmedins_b AS i ON i.fixmedins_code = f.fixmedins_code
      WHERE abs(f.det_item_fee_sumamt - round(f.cnt * f.pric, 2)) > 0.01
        AND left(i.fix_blng_admdvs, 4) = '9901' GROUP BY 1""")  # fmt: skip
    assert told(report.rule("R01", "fee_list_d")) == planted


def test_lost_duplicated_and_incomparable_records_are_told_by_month(
    report: Report, sql: duckdb.DuckDBPyConnection
) -> None:
    """Settlements sent twice have a number twice; of the national codes of a month that two houses
    sent, those are comparable whose most frequent class is the same with all."""
    twice = dict(sql.execute("""SELECT strftime(setl_time, '%Y-%m') AS m, count(*)
      FROM setl_d WHERE right(setl_id, 1) = '5' AND left(fix_blng_admdvs, 4) = '9901'
      GROUP BY 1""").fetchall())  # fmt: skip
    found = {month: one["counted"] for month, one in report.further("duplicates").items()}
    assert {month: n for month, n in found.items() if n} == twice
    alike = report.further("comparable_codes")
    assert all(one["part"] >= 0.95 for one in alike.values() if one["out_of"])
    assert any(one["counted"] < one["out_of"] for one in alike.values())


def test_what_the_office_audited_and_mended_is_published_and_counts_for_accuracy(
    report: Report,
) -> None:
    audited, mended = report.further("audited_sample"), report.further("repair_hours")
    assert (audited["2024-02"]["counted"], audited["2024-02"]["out_of"]) == (390, 400)
    assert float(audited["2024-02"]["part"]) == 0.975
    assert float(mended["2024-02"]["part"]) == 32.5  # hours
    quality = {month: report.quality(month)["accuracy"] for month in ("2024-01", "2024-05")}
    assert quality["2024-01"] == 0.025  # of the same quarter
    assert quality["2024-05"] < 0.01
