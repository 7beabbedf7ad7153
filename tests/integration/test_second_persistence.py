"""S10: cells agree with a second implementation, keep the thresholds and the worked records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.catalogue.worked import Asked
from gateway.releases.build import Order, build
from gateway.releases.store import ReleaseStore
from gateway.settings import Settings
from gateway.warehouse import store
from synthetic.bureau import simulate
from tests.release_recount import Sheet, sheets
from tests.release_warehouse import Built
from tests.second import s10, slices
from tests.served_recount import Recount
from tests.spec.test_worked_examples import EXAMPLES, answer, selection, told
from tests.waivers import INVENTED

NOW = datetime(2026, 6, 1, tzinfo=UTC)
METFORMIN = "A10BA02.oral"
PERSONS = {"DC2P": 11, "DC2P-DC4": 20}
SIDES = {"adherent_share": "adherent", "add_on_share": "added", "departed_share": "departed"}
SENSITIVE = ("N05A", "J04A", "G03XB", "N07BC")


@dataclass(frozen=True)
class Home:
    """A home in which S10 is built, and the second count of its records."""

    folder: Path
    recount: Recount

    @property
    def releases(self) -> Path:
        return self.folder / "releases"

    def asked(self, **ask: Any) -> list[dict[str, str]]:  # fields of a question
        """The rows of an answer about the first quarter of 2024, or as `period` says."""
        period = ask.pop("period", "2024Q1")
        asked = Asked.model_validate(
            {"period": {"from": period, "to": period, "grain": "quarter"}, "geo": ["990900"], **ask}
        )
        manifest = ReleaseStore(self.releases).latest("S10")
        assert manifest is not None
        example = EXAMPLES["S10"].model_copy(update={"ask": asked})
        found = selection("S10", example, manifest.release_id)
        rows = told(ReleaseStore(self.releases).page(found, 0, 5000))
        names = {"period", "geo", *asked.where}
        return [{name: row[name] for name in row if name not in names} for row in rows]


def counted(folder: Path) -> Home:
    return Home(folder, slices.recount_of(store.current(folder / "warehouse"), (s10,)))


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The records of the worked example."""
    folder = tmp_path_factory.mktemp("worked")
    answer(folder, "S10", EXAMPLES["S10"])
    return counted(folder)


@pytest.fixture(scope="module")
def small_city(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A simulated city of two thousand."""
    home = tmp_path_factory.mktemp("persistence")
    folder = home / "warehouse" / "versions" / "draft"
    folder.mkdir(parents=True)
    simulate(folder, "mini", 1)
    store.publish(home / "warehouse", folder, {"kind": "test"}, NOW)
    build(Settings(home=home), Order(("S10",), waivers=INVENTED, alone=True), NOW)
    return counted(home)


def shown(home: Home, sample: int) -> list[slices.Shown]:
    """Random figures. Of the classes switched to, the share is one of switchers: see below."""
    figures = slices.published(home.releases, "S10", sample=sample, seed=5)
    return [f for f in figures if f.measure != "switch_share" or "switch_to" not in f.cell]


def test_all_cells_of_the_worked_records_agree(worked: Home) -> None:
    figures = shown(worked, 10_000)
    assert {"persons", "pdc_mean", "persistence_365_low", "switches", "use_years"} <= {
        figure.measure for figure in figures
    }
    assert list(slices.astray(worked.recount, figures)) == []


def test_adherence_and_leaving_of_the_worked_records(worked: Home) -> None:
    """45 × 1 + 20 × (60 + 180 + 90) ÷ 365, of 105 followed for a year: 0.60. 45 of these had .8 and
    20 of 125 left; nobody added a drug."""
    (row,) = worked.asked(
        where={"drug": METFORMIN}, measures=["persons", "pdc_mean", *SIDES]
    )  # fmt: skip
    assert row == {
        "persons": "125 r", "pdc_mean": "0.6 r", "adherent_share": "0.43 r",
        "add_on_share": "s", "departed_share": "0.16 r",
    }  # fmt: skip


def test_the_flow_of_first_switches_of_the_worked_records(worked: Home) -> None:
    flow: dict[str, Any] = {"where": {"drug": METFORMIN}, "dims": ["switch_to"]}
    flow |= {"measures": ["persons", "switch_share"]}
    assert worked.asked(**flow, levels={"switch_to": 1}) == [
        {"switch_to": "yes", "persons": "20 r", "switch_share": "0.16 r"},
        {"switch_to": "no", "persons": "105 r", "switch_share": "0.84 r"},
    ]
    shown = [row for row in worked.asked(**flow) if row["persons"] != "s"]
    assert shown == [
        {"switch_to": "A10BB", "persons": "20 r", "switch_share": "1.0 r"},
        {"switch_to": "none", "persons": "105 r", "switch_share": "1.0 r"},
    ]


def test_switches_by_calendar_are_of_the_years_in_use(worked: Home) -> None:
    """From April to June 45 and 20 users are supplied on all 91 days …: 8695 days, 23.8 years."""
    ask: dict[str, Any] = {"period": "2024Q2", "where": {"used_generic": METFORMIN}}
    (use,) = worked.asked(**ask, measures=["use_years"])
    years = int(use["use_years"].split()[0])
    assert years in {20, 25}
    rows = worked.asked(**ask, dims=["moved_to"], measures=["switches", "switch_rate"])
    (row,) = [row for row in rows if row["moved_to"] == "A10BB"]
    assert row["switches"] == "20 r"
    assert float(row["switch_rate"].split()[0]) == 100 * 20 / years


def test_a_year_of_drugs_is_too_short_for_a_cohort(built: Built) -> None:
    assert sum(len(sheet) for sheet in sheets(built.home / "releases") if _own(sheet)) == 0


def test_every_shown_cell_of_the_worked_records_keeps_the_thresholds(worked: Home) -> None:
    assert list(faults(worked)) == []


def test_rows_that_are_missing_are_noticed(worked: Home) -> None:
    con = worked.recount.connection
    con.execute("CREATE TABLE whole AS FROM index_users")
    con.execute("CREATE OR REPLACE TEMP VIEW index_users AS FROM whole WHERE psn_no < 'B10'")
    try:
        assert {"persons", "makers", "departed_share"} <= {f.split()[0] for f in faults(worked)}
    finally:
        con.execute("DROP VIEW index_users")


@pytest.mark.slow
def test_random_cells_of_a_simulated_city_agree(small_city: Home) -> None:
    figures = shown(small_city, 300)
    assert list(slices.astray(small_city.recount, figures)) == []
    assert len(Counter(figure.measure for figure in figures)) >= 9


@pytest.mark.slow
def test_every_shown_cell_of_a_simulated_city_keeps_the_thresholds(small_city: Home) -> None:
    assert list(faults(small_city)) == []


def _own(sheet: Sheet) -> bool:
    return sheet.service == "S10"


def faults(home: Home) -> Iterator[str]:
    """Rules that shown cells break, with the cell; what is in them is counted from the frames."""
    for sheet in filter(_own, sheets(home.releases)):
        held = _held(home.recount, sheet)
        for i in range(len(sheet)):
            at = (sheet.where["period"][i], *(sheet.where[column][i] for column in sheet.columns))
            cell = held.get(at, {})
            yield from (f"{rule} in {at}" for rule in _broken(sheet, cell))
            for measure, column in SIDES.items():
                if i in sheet.having(measure):
                    sides = cell.get(column, 0), cell.get(f"not_{column}", 0)
                    if min(sides) < _least(sheet):
                        yield f"{measure} in {at}"
            if any(str(value).startswith(SENSITIVE) for value in at):
                yield f"sensitive in {at}"


def _least(sheet: Sheet) -> int:
    return PERSONS[sheet.profile.rpartition("-")[0]]


def _held(recount: Recount, sheet: Sheet) -> dict[tuple[str, ...], dict[str, float]]:
    """By period and values: persons, houses, makers, and the largest parts of the amount."""
    table = "index_courses" if "gap" in sheet.columns else "index_users"
    table = "generic_use" if "used_generic" in sheet.columns else table
    keys = ", ".join([sheet.grain, *sheet.columns])
    tops = " ".join(
        f"JOIN (SELECT {keys}, max(a) / sum(a) AS {party}_1, "
        f"list_sum(max(a, 2)) / sum(a) AS {party}_2 FROM (SELECT {keys}, {party}, sum(amount) AS a "
        f"FROM {table} GROUP BY ALL) GROUP BY ALL) USING ({keys})"
        for party in ("psn_no", "fixmedins_code", "maker")
    )
    sides = "".join(
        f", count(*) FILTER ({c} = 1) AS {c}, count(*) FILTER ({c} = 0) AS not_{c}"
        for c in (SIDES.values() if table != "generic_use" else ())
    )
    known = [column for column in sheet.columns if column in {"age10", "gend"}]
    mine = ", ".join([sheet.grain, *known])
    rows = recount.connection.execute(
        f"WITH insured_rows AS (SELECT *, left(month, 4) AS year FROM insured) "
        f"SELECT * FROM (SELECT {keys}, count(DISTINCT psn_no) AS persons, "
        f"count(DISTINCT fixmedins_code) AS houses, count(DISTINCT maker) AS makers{sides} "
        f"FROM {table} GROUP BY ALL) {tops} JOIN (SELECT {mine}, count(DISTINCT psn_no) AS insured "
        f"FROM insured_rows GROUP BY ALL) USING ({mine})"
    )
    names = [column[0] for column in rows.description or ()]
    told_ = (dict(zip(names, row, strict=True)) for row in rows.fetchall())
    return {tuple(row[n] for n in (sheet.grain, *sheet.columns)): row for row in told_}


def _broken(sheet: Sheet, cell: dict[str, float]) -> Iterator[str]:
    limits = {
        "persons": cell.get("persons", 0) >= _least(sheet),
        "institutions": cell.get("houses", 0) >= 5,
        "insured": cell.get("insured", 0) >= 100,
        "one institution": cell.get("fixmedins_code_1", 1) <= 0.8,
        "two institutions": cell.get("fixmedins_code_2", 1) <= 0.9,
        "one person": cell.get("psn_no_1", 1) <= 0.5,
    }
    if {"generic", "used_generic"} & set(sheet.columns):
        limits["makers"] = cell.get("makers", 0) >= 3
        limits["one maker"] = cell.get("maker_1", 1) <= 0.8
    yield from (rule for rule, holds in limits.items() if not holds)
