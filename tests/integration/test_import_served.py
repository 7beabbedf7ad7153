"""A foreign bureau's export with 5 % rubbish, imported, released and served: figures recounted."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest
from typer.testing import CliRunner

from gateway.cli import assemble
from gateway.warehouse import store
from tests.foreign_bureau import FEEDS, export
from tests.gateway_factory import DAY, Gateway, copy_policies, serving, utc_now
from tests.served_recount import MEASURES, Recount, Span

pytestmark = pytest.mark.slow  # a build and an import of its own: a minute
QUARTER = ("2024-01-01", "2024-04-01")
# All that befell the inpatients of one quarter in it: small, yet with many stays.
SLICE = f"""
    CREATE TABLE chosen_visit AS
    SELECT mdtrt_id, any_value(psn_no) AS psn_no, bool_or(med_type = '21') AS stay
    FROM setl_d GROUP BY 1
    HAVING min(setl_time) >= '{QUARTER[0]}' AND max(setl_time) < '{QUARTER[1]}';
    CREATE TABLE chosen_person AS
    SELECT DISTINCT psn_no FROM chosen_visit WHERE stay;
    DELETE FROM chosen_visit WHERE psn_no NOT IN (FROM chosen_person);
    CREATE TABLE chosen_bill AS
    SELECT setl_id FROM setl_d JOIN chosen_visit USING (mdtrt_id)"""
OF = {"mdtrt_id": "SELECT mdtrt_id FROM chosen_visit", "setl_id": "FROM chosen_bill"}
CLIENT = {"S02": "ins-app", "S04": "ins-app", "S06": "ins-app", "S09": "pha-app"}
PURPOSE = {
    "ins-app": "actuarial_pricing_and_reserving",
    "pha-app": "regional_market_and_access_analysis",
}
OF["psn_no"] = "FROM chosen_person"
AGAINST_EARLIER = {"yoy", "deviation_trend", *(f"completion_{month}" for month in range(12))}
"""What is made of periods that the slice does not have."""

# Service, grain and dims; `atc2` is the dim atc at its level 2.
QUESTIONS = [
    ("S02", "quarter", ""),
    ("S02", "quarter", "gend"),
    ("S02", "quarter", "insutype2"),
    ("S02", "quarter", "psn_group6"),
    ("S02", "quarter", "benefit5 hosp_lv4"),
    ("S02", "quarter", "pay_loc3 benefit5"),
    ("S02", "quarter", "fee_cat14 gend"),
    ("S02", "quarter", "catalog_lv3"),
    ("S04", "quarter", ""),
    ("S04", "quarter", "hosp_lv4"),
    ("S04", "quarter", "gend"),
    ("S04", "quarter", "dx_cat3"),
    ("S04", "quarter", "drg_adrg"),
    ("S06", "quarter", ""),
    ("S06", "quarter", "mdc"),
    ("S06", "quarter", "hosp_lv4"),
    ("S06", "quarter", "adrg"),
    ("S09", "quarter", "atc1"),
    ("S09", "month", "atc2"),
    ("S09", "quarter", "atc4 gend"),
    ("S09", "quarter", "generic"),
    ("S09", "quarter", "route benefit5"),
    ("S09", "quarter", "insutype2"),
]


@dataclass(frozen=True)
class Imported:
    """The home the foreign export was imported into, and what the command said of it."""

    home: Path
    report: Mapping[str, Any]
    told: Mapping[tuple[str, int], tuple[str, str]]
    clean: duckdb.DuckDBPyConnection


def sluice(home: Path, *words: str) -> str:
    """One verb of the command line on a home."""
    program = assemble((words[0],))
    done = CliRunner().invoke(program, list(words), env=_env(home))
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture(scope="module")
def clean(bureau: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    """One quarter of the simulated bureau's inpatients: what the export is made of."""
    with bureau.cursor() as source, duckdb.connect() as part:
        source.execute("BEGIN")
        source.execute(SLICE)
        for feed in FEEDS.values():
            names = [row[0] for row in source.execute(f"DESCRIBE {feed.table}").fetchall()]
            key = next((name for name in OF if name in names), None)
            where = f"WHERE {key} IN ({OF[key]})" if key else ""
            rows = source.sql(f"SELECT * FROM {feed.table} {where}").to_arrow_table()
            part.register("rows_", rows)
            part.execute(f"CREATE TABLE {feed.table} AS FROM rows_")
        source.execute("ROLLBACK")
        yield part


@pytest.fixture(scope="module")
def imported(
    clean: duckdb.DuckDBPyConnection, tmp_path_factory: pytest.TempPathFactory
) -> Imported:
    folder, home = tmp_path_factory.mktemp("export"), tmp_path_factory.mktemp("foreign") / "home"
    told = export(clean, folder, seed=11)
    said = sluice(home, "warehouse", "import", str(folder / "mapping.yaml"), "--json")
    return Imported(home, json.loads(said), told, clean)


@pytest.fixture(scope="module")
def served(imported: Imported, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    _waive(imported.home)
    sluice(imported.home, "release", "build")
    policies = copy_policies(tmp_path_factory.mktemp("served") / "policies")
    with serving(imported.home, policies) as running:
        yield running


def _waive(home: Path) -> None:
    """Two people sign for it: the foreign export leaves mandatory fields out."""
    refused = CliRunner().invoke(assemble(("release",)), ["release", "build"], env=_env(home))
    assert refused.output.startswith("quality_blocks")
    until = (utc_now().date() + 7 * DAY).isoformat()
    span = ("--from", "2024-01", "--to", "2024-12", "--until", until)
    why = ("--reason", "the feeder has no such fields", "--actor", "测试甲")
    said = sluice(home, "quality", "waiver", "propose", "completeness", *span, *why, "--json")
    sluice(home, "quality", "waiver", "sign", json.loads(said)["waiver"], "--actor", "测试乙")


def _env(home: Path) -> dict[str, str]:
    return {"SLUICE_HOME": str(home)}


@pytest.fixture(scope="module")
def recount(clean: duckdb.DuckDBPyConnection) -> Recount:
    return Recount(clean)


def test_a_twentieth_is_rubbish_and_the_report_counts_it_by_reason(imported: Imported) -> None:
    rows = sum(feed["read"] for feed in imported.report["feeds"])
    assert 0.049 < len(imported.told) / rows < 0.055
    for feed in imported.report["feeds"]:
        wanted = Counter(
            reason for table, reason in imported.told.values() if table == feed["table"]
        )
        assert feed["reasons"] == wanted, feed["table"]
        assert feed["read"] == feed["accepted"] + sum(wanted.values())


def test_every_rubbish_row_is_listed_at_its_line_and_no_other_row(imported: Imported) -> None:
    listing = Path(imported.report["report_folder"]) / "rejects.csv"
    with listing.open(encoding="utf-8") as file:
        found = {
            (row["file"], int(row["line"])): (
                row["table_name"], ":".join(filter(None, (row["reason"], row["column"]))),
            )
            for row in csv.DictReader(file)
        }  # fmt: skip
    assert found == imported.told


def test_all_clean_rows_and_no_others_are_in_the_warehouse(imported: Imported) -> None:
    folder = store.current(imported.home / "warehouse")
    for feed in FEEDS.values():
        names = ", ".join(name for name, _ in feed.columns)
        there = f"SELECT {names} FROM '{folder / feed.table}.parquet'"
        here = f"SELECT {names} FROM {feed.table}"
        for less, more in ((here, there), (there, here)):
            rest = imported.clean.execute(f"({less}) EXCEPT ALL ({more})").fetchall()
            assert rest == [], feed.table


@pytest.mark.parametrize(("service", "grain", "columns"), QUESTIONS)
def test_every_figure_served_is_the_recount_of_the_clean_rows(
    served: Gateway, recount: Recount, service: str, grain: str, columns: str
) -> None:
    dims = {re.sub(r"^atc\d$", "atc", column): column for column in columns.split()}
    shown = 0
    for row in served.everything(service, asked(service, grain, dims), client=CLIENT[service]):
        cell = {grain: row["period"]} | {column: row[dim] for dim, column in dims.items()}
        if any("sensitive_other" in value for value in cell.values()):
            continue
        for name, said in row.items():
            if isinstance(said, dict) and said["flag"] == "z":
                assert float(said["value"] or 0) == 0  # a cell that cannot be
            elif isinstance(said, dict) and said["value"] is not None:
                span = recount.span(service, name, cell)
                assert _lies(said["value"], span), (service, cell, name, said, span)
                shown += 1
    assert shown > 0


def asked(service: str, grain: str, dims: Mapping[str, str]) -> dict[str, Any]:
    """The question of a quarter by these dims, each with the column that says its level."""
    first, last = ("2024-01", "2024-03") if grain == "month" else ("2024Q1", "2024Q1")
    return {
        "purpose": PURPOSE[CLIENT[service]],
        "period": {"from": first, "to": last, "grain": grain},
        "geo": ["990100"],
        "dims": list(dims),
        "levels": {dim: int(column[-1]) for dim, column in dims.items() if dim != column},
    }


def _lies(value: object, span: Span | str) -> bool:
    if isinstance(span, str):
        return value == span
    return span[0] <= float(str(value)) <= span[1]


def test_the_questions_meet_every_measure(served: Gateway) -> None:
    for service, measures in MEASURES.items():
        offered = served.get(f"/v1/services/{service}").json()["measures"]
        names = {measure["name"] for measure in offered}
        assert names - AGAINST_EARLIER == {name for name in measures if not name.startswith("_")}
