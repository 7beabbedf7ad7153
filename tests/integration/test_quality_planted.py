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

NOW = datetime(2026, 1, 1, tzinfo=UTC)
Cells = dict[str, dict[str, Any]]


class Report:
    """The release of S26 of one warehouse."""

    def __init__(self, settings: Settings, manifest: Manifest) -> None:
        self._store, self._manifest = ReleaseStore(settings.releases), manifest
        self.months = manifest.periods["month"]

    def rule(self, name: str, table: str) -> Cells:
        """The cells of a rule in a table, by month."""
        measures = ("checked", "failed", "amount_affected")
        page = self._store.page(
            Selection(
                service="S26",
                release_id=self._manifest.release_id,
                profile_key=min(self._manifest.cells),
                grain="month",
                periods=self.months,
                geo=("990100",),
                dims=("dq_table", "rule"),
                where={"rule": name, "dq_table": table},
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
    (made,) = build(settings, Order(("S26",)), NOW)
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
