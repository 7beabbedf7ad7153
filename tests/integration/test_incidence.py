"""S03 as published: against a second implementation, and against the thresholds of SPEC 4.3."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from gateway.releases.build import Order, build
from gateway.releases.listing import listing
from gateway.releases.store import ReleaseStore
from gateway.settings import Settings
from gateway.warehouse import store
from synthetic.bureau import simulate
from tests.made_once import made_once
from tests.release_recount import NAMED_SENSITIVE
from tests.release_warehouse import Built
from tests.second import s03, slices
from tests.second.slices import Shown
from tests.served_recount import Recount
from tests.waivers import INVENTED

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OWN = ("insutype2", "age10", "gend")
AFTER = ("followed", "cost12", "own12", "oop12")


def _morbid(home: Path) -> None:
    """A small simulated city of four years with a release of S03."""
    folder = home / "warehouse" / "versions" / "draft"
    folder.mkdir(parents=True)
    simulate(folder, "mini", 1)
    store.publish(home / "warehouse", folder, {"kind": "test"}, NOW)
    build(Settings(home=home), Order(("S03",), waivers=INVENTED, alone=True), NOW)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return Built(made_once(tmp_path_factory, "morbid", _morbid))


@pytest.fixture(scope="module")
def recount(town: Built) -> Recount:
    return slices.recount_of(town.warehouse, [s03])


@pytest.fixture(scope="module")
def published(town: Built) -> list[Shown]:
    return slices.published(town.settings.releases, "S03", 10**6, 1)


def test_every_figure_agrees_with_the_second_implementation(
    recount: Recount, published: list[Shown]
) -> None:
    measures = {one.measure for one in published}
    assert measures == {name for name in s03.MEASURES["S03"] if name[0] != "_"}
    assert list(slices.astray(recount, published)) == []


def test_random_cells_of_a_warehouse_of_other_records_agree_as_well(built: Built) -> None:
    found = slices.published(built.settings.releases, "S03", 60, 7)
    assert len(found) > 100
    assert list(slices.astray(slices.recount_of(built.warehouse, [s03]), found)) == []


def test_there_is_no_first_event_before_two_years_of_data(published: list[Shown]) -> None:
    by_year = {
        year: {one.measure for one in published if one.cell["year"] == year}
        for year in ("2022", "2023", "2024", "2025")
    }
    assert all("prevalence_1000" in measures for measures in by_year.values())
    assert not by_year["2023"] & {"incident", "incidence_100k", "cost12_mean"}
    assert {"incident", "incidence_100k", "cost12_mean"} <= by_year["2024"]


def test_cost_after_the_event_is_told_only_where_a_year_of_data_follows(
    published: list[Shown],
) -> None:
    """The data end with 2025: the twelve months after its first events are not whole."""
    late = {one.measure for one in published if one.cell["year"] == "2025"}
    assert "incident" in late
    assert not any(name.startswith(AFTER) for name in late)


@dataclass(frozen=True)
class Limits:
    """SPEC 4.3 for one profile: institutions, and whether the rest of a chapter may be told."""

    institutions: int
    rest: bool


LIMITS = {"DC2": Limits(3, rest=True), "DC2P": Limits(5, rest=False)}


def test_every_shown_cell_keeps_every_threshold(town: Built, recount: Recount) -> None:
    sql = recount.connection
    _recode(sql)
    checked: dict[str, int] = {}
    for profile, measures, cell in _shown(town.settings.releases):
        limits = LIMITS[profile]
        for part in ("", "new") if "incident" in measures else ("",):
            held = _held(sql, tuple(cell), part)[tuple(cell.values())]
            persons, houses, one, two, person, insured = held
            assert persons >= 11, (cell, part)
            assert houses >= limits.institutions, (cell, part)
            assert insured >= 100, (cell, part)
            assert one <= 0.8, (cell, part)
            assert two <= 0.9, (cell, part)
            assert person <= 0.5, (cell, part)
        assert "incident" in measures or not {m for m in measures if m.startswith(AFTER)}, cell
        assert limits.rest or not any(v.startswith("sensitive") for v in cell.values()), cell
        assert limits.rest or cell.get("dx_chapter") not in {"05", "17"}, cell
        assert not SENSITIVE.match(cell.get("dx_group", "")), cell
        assert cell.get("ci_family") not in {"CI08", "CI22", "CI13", "CI14", "CI23"}, cell
        checked[profile] = checked.get(profile, 0) + 1
    assert min(checked[profile] for profile in LIMITS) > 100


SENSITIVE: re.Pattern[str] = NAMED_SENSITIVE["dx_cat3"]
_HELD: dict[tuple[tuple[str, ...], str], Mapping[tuple[str, ...], tuple[float, ...]]] = {}


def _shown(releases: Path) -> Iterator[tuple[str, set[str], dict[str, str]]]:
    """Profile, measures shown and cell, for every cell that shows anything."""
    manifest = ReleaseStore(releases).latest("S03")
    assert manifest is not None
    names = [measure.name for measure in manifest.measures]
    for key in manifest.profiles:
        for row in listing(releases / "S03" / manifest.release_id, manifest, key):
            if row.shown:
                shown = {n for n, mark in zip(names, row.marks, strict=True) if mark in "or"}
                yield key.split("-")[0], shown, {"year": row.period, **dict(row.values)}


def _recode(sql: duckdb.DuckDBPyConnection) -> None:
    """The cases with sensitive groups counted as the rest of their chapter."""
    pattern = SENSITIVE.pattern
    sql.execute(
        f"CREATE OR REPLACE TABLE cases_as_told AS SELECT * REPLACE (CASE WHEN "
        f"regexp_matches(dx_group, '^({pattern})') THEN 'sensitive_other.' || dx_chapter "
        f"ELSE dx_group END AS dx_group) FROM morbid_case"
    )
    _HELD.clear()


def _held(
    sql: duckdb.DuckDBPyConnection, columns: tuple[str, ...], part: str
) -> Mapping[tuple[str, ...], tuple[float, ...]]:
    """By cell: persons, institutions, the largest parts of the cost, and the insured of 1 July."""
    if (columns, part) in _HELD:
        return _HELD[columns, part]
    keys = ", ".join(columns)
    own = ", ".join(name for name in columns if name in ("year", *OWN))
    rows = sql.execute(f"""
        WITH r AS (SELECT {keys}, psn_no, house, medfee AS fee FROM cases_as_told
                   WHERE {"new IS NOT NULL" if part else "true"}),
        h AS (SELECT {keys}, house, sum(fee) AS fee FROM r GROUP BY ALL),
        p AS (SELECT {keys}, psn_no, sum(fee) AS fee FROM r GROUP BY ALL),
        i AS (SELECT {own}, count(DISTINCT psn_no) AS insured FROM morbid_time
              WHERE middle GROUP BY ALL),
        hs AS (SELECT {keys}, count(house) AS houses, sum(fee) AS whole, max(fee) AS one,
                      list_sum(max(fee, 2)) AS two FROM h GROUP BY ALL),
        ps AS (SELECT {keys}, count(*) AS persons, max(fee) AS person FROM p GROUP BY ALL)
        SELECT {keys}, persons, houses, one / nullif(whole, 0), two / nullif(whole, 0),
               person / nullif(whole, 0), coalesce(insured, 0)
        FROM hs JOIN ps USING ({keys}) LEFT JOIN i USING ({own})""").fetchall()
    size = len(columns)
    _HELD[columns, part] = {
        tuple(row[:size]): tuple(float(value or 0) for value in row[size:]) for row in rows
    }
    return _HELD[columns, part]
