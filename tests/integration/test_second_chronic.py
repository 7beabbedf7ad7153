"""S14 as published against its second implementation: cell by cell, and case by case before."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from gateway.catalogue.load import load_catalogue
from gateway.releases.build import Order, build
from gateway.releases.engine.sql import Library, written
from gateway.settings import Settings
from gateway.warehouse import store
from synthetic.bureau import simulate
from tests.chronic_cells import Behind
from tests.made_once import made_once
from tests.release_warehouse import Built
from tests.second import s14, slices
from tests.waivers import INVENTED

SEED = 4
NAMES = {
    "by_visits": "by_visits", "by_stay": "by_stay", "by_filing": "by_filing",
    "by_drugs": "by_drugs", "stratum5": "stratum5", "window": "window_days",
    "covered": "covered_days", "gap > 30": "gap", "evidence2 = 'drug_only'": "drug_only",
}  # fmt: skip
"""Columns of the second implementation beside those of the view `chronic_year`."""


def _city(home: Path) -> None:
    folder = home / "warehouse" / "versions" / "draft"
    folder.mkdir(parents=True)
    simulate(folder, "mini", SEED)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    store.publish(home / "warehouse", folder, {"kind": "test"}, now)
    build(Settings(home=home), Order(("S14",), waivers=INVENTED, alone=True), now)


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a simulated city of 2000 and a release of S14."""
    return made_once(tmp_path_factory, f"chronic-mini-{SEED}", _city)


@pytest.fixture(scope="module")
def behind(city: Path) -> Behind:
    return Behind(city)


@pytest.mark.slow
def test_every_case_of_a_simulated_city_is_found_by_both_and_told_alike(
    city: Path, behind: Behind
) -> None:
    library = Library.of(load_catalogue(Settings().policies).rollups_sql())
    with duckdb.connect() as con:
        slices.tables_of(con, store.current(city / "warehouse"))
        cases = written(library.expanded("cases", "SELECT * FROM chronic_year"))
        theirs = con.sql(cases).to_arrow_table()
    sql = behind.recount.connection
    sql.register("theirs", theirs)
    differ = ", ".join(
        f"count(*) FILTER (m.{mine} IS DISTINCT FROM t.{other})" for mine, other in NAMES.items()
    )
    found = sql.execute(f"""
        SELECT count(*), count(m.psn_no), count(t.psn_no), count(DISTINCT t.disease12), {differ}
        FROM chronic_years m FULL JOIN theirs t
        ON t.psn_no = m.psn_no AND t.year = m.year AND t.disease12 = m.disease12""").fetchone()
    assert found is not None
    every, mine, other, diseases, *different = found
    assert every == mine == other > 2000
    assert diseases >= 8
    assert different == [0] * len(NAMES)


@pytest.mark.slow
def test_every_stratum_and_every_way_to_be_a_case_occur(behind: Behind) -> None:
    """What is compared is not empty."""
    found = behind.recount.connection.execute("""
        SELECT count(DISTINCT stratum5), count(DISTINCT supply3), count(DISTINCT evidence2),
               bool_and(least(by_visits, by_stay, by_filing, by_drugs) IS NOT NULL),
               count(DISTINCT (by_visits, by_stay, by_filing, by_drugs))
        FROM chronic_years""").fetchone()
    assert found is not None
    assert found[:4] == (5, 3, 2, True)
    assert found[4] >= 10


@pytest.mark.slow
def test_every_figure_of_a_simulated_city_agrees(city: Path, behind: Behind) -> None:
    figures = slices.published(city / "releases", "S14", 10**6, 1)
    assert len(figures) > 800
    assert {shown.measure for shown in figures} == {
        name for name in s14.MEASURES["S14"] if not name.startswith("_")
    }
    assert list(slices.astray(behind.recount, figures)) == []


def test_random_cells_of_the_shared_home_agree(built: Built) -> None:
    recount = slices.recount_of(built.warehouse, [s14])
    figures = slices.published(built.settings.releases, "S14", 400, 7)
    assert len(figures) > 100
    assert list(slices.astray(recount, figures)) == []


@pytest.mark.slow
def test_a_figure_that_is_wrong_is_named(city: Path, behind: Behind) -> None:
    figures = slices.published(city / "releases", "S14", 10**6, 1)
    for measure in ("persons", "medfee", "pdc_mean", "stays"):
        own = [one for one in figures if one.measure == measure]
        wrong = [slices.Shown("S14", measure, o.cell, float(o.value) * 1.3 + 5) for o in own]
        assert len(list(slices.astray(behind.recount, wrong))) == len(wrong) > 0
