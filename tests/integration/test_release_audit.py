"""`release audit`: planted mistakes are found and explained; a clean build has none."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from gateway.catalogue.load import load_catalogue
from gateway.catalogue.model import Grain, Measure, Service
from gateway.cli.release import app
from gateway.releases import jobs
from gateway.releases.attack.audit import Scope, audit, refuse
from gateway.releases.attack.finding import AttackReport, Finding
from gateway.releases.attack.intervals import Season
from gateway.releases.attack.plain import differing, revised, subtractions
from gateway.releases.attack.program import Effort
from gateway.releases.attack.reading import Told
from gateway.releases.attack.restated import late_persons
from gateway.releases.attack.space import Space, space_of
from gateway.releases.attack.tables import Rules, Tables, tables_of
from gateway.releases.build import Order, build
from gateway.releases.guarding import Protected
from gateway.releases.listing import Listed, listing
from gateway.releases.manifest import Manifest, ReleaseError
from gateway.releases.sdc import COMPLEMENTARY, PUBLISHED
from gateway.releases.shelf import entries
from gateway.releases.store import ReleaseStore, Selection
from gateway.settings import Settings
from tests.gateway_factory import TODAY
from tests.waivers import INVENTED

RULES = Rules(11, 3, 100, 3)
CITY = "990100"


@pytest.fixture(scope="module")
def services() -> Mapping[str, Service]:
    return load_catalogue(Settings().policies).services


@pytest.fixture(scope="module")
def spaces(released_home: Path, services: Mapping[str, Service]) -> Mapping[str, Space]:
    found = {e.manifest.service: e.manifest for e in entries(released_home / "releases")}
    return {
        name: space_of(services[name], "2024Q1", Grain.QUARTER, [found[name]])
        for name in ("S02", "S06")
    }


def measure(space: Space, name: str) -> Measure:
    return next(m for m in space.service.measures if m.name == name)


def key(space: Space, *words: str) -> int:
    codes = [next((axis.code[w] for w in words if w in axis.code), 0) for axis in space.axes]
    return int(np.array(codes) @ space.strides)


def published(
    space: Space, cells: Mapping[tuple[str, ...], float], spread: float, base: int = 5
) -> Told:
    """What a release tells: figures of cells, each true to within `spread`."""
    keys = np.array([key(space, *words) for words in cells], np.int64)
    order = np.argsort(keys)
    value = np.array(list(cells.values()))[order]
    beside = np.zeros(value.size, np.bool_)
    return Told("S02-old", keys[order], value, value - spread, value + spread, base, beside)


def table(space: Space, name: str, *told: Told) -> Tables:
    return tables_of(space, measure(space, name), told, RULES)


def attacked(*tables: Tables, amounts: bool = False) -> Season:
    season = Season("2024Q1", Effort(), 0.2)
    (season.amounts if amounts else season.persons)(list(tables))
    return season


def recomputed(finding: Finding) -> None:
    """The figures of a finding say what its sentence says: hidden = whole less the shown parts."""
    (step,) = finding.steps
    figures = {f"{f.measure} of {f.cell}": f for f in finding.figures}
    (whole,) = step.left
    shown = [figures[part] for part in step.right if part in figures]
    assert len(shown) == len(step.right) - 1
    assert finding.low == figures[whole].low - sum(f.high for f in shown)
    assert finding.high == figures[whole].high - sum(f.low for f in shown)


def test_an_unprotected_sibling_is_found_and_the_derivation_adds_up(
    spaces: Mapping[str, Space],
) -> None:
    space = spaces["S02"]
    told = published(space, {("2024Q1", CITY): 100, ("2024Q1", CITY, "gend=1"): 85}, 4)
    (found,) = attacked(table(space, "persons", told)).findings
    assert (found.rule, found.cells) == ("narrow_interval", ("S02 2024Q1/990100/gend=2",))
    assert (found.low, found.high) == (7, 23)
    recomputed(found)


def test_propagation_finds_it_without_a_programme_and_by_the_same_rows(
    spaces: Mapping[str, Space],
) -> None:
    space = spaces["S02"]
    told = published(space, {("2024Q1", CITY): 100, ("2024Q1", CITY, "gend=1"): 85}, 4)
    exact = attacked(table(space, "persons", told))
    season = Season("2024Q1", Effort(largest=0), 0.2)
    season.persons([table(space, "persons", told)])
    assert season.findings == [one.model_copy(update={"exact": False}) for one in exact.findings]
    recomputed(season.findings[0])
    (part,) = season.parts
    assert (part.programmes, part.bounded, part.not_examined) == (0, part.hidden, 0)
    assert part.why_bounded == "too large for programmes"


def test_what_no_numbers_fit_is_said_to_be_unexamined(spaces: Mapping[str, Space]) -> None:
    space = spaces["S02"]
    sexes = {("2024Q1", CITY, "gend=1"): 85, ("2024Q1", CITY, "gend=2"): 85}
    told = published(space, {("2024Q1", CITY): 100, **sexes}, 4)
    for largest in (0, 1000):
        season = Season("2024Q1", Effort(largest=largest), 0.2)
        season.persons([table(space, "persons", told)])
        assert season.parts[0].not_examined == season.parts[0].hidden > 0
        assert season.parts[0].bounded == 0


def test_a_sibling_hidden_too_leaves_nothing_to_find(spaces: Mapping[str, Space]) -> None:
    space = spaces["S02"]
    told = published(space, {("2024Q1", CITY): 100, ("2024Q1", CITY, "gend=1"): float("nan")}, 4)
    season = attacked(table(space, "persons", told))
    assert season.findings == []
    assert season.parts[0].not_examined == 0


@pytest.mark.parametrize(("beside", "least"), [(False, 0), (True, 11)])
def test_a_hidden_count_has_a_floor_only_where_other_figures_show_that_it_passed(
    spaces: Mapping[str, Space], *, beside: bool, least: int
) -> None:
    told = published(spaces["S02"], {("2024Q1", CITY): float("nan")}, 4)
    found = table(spaces["S02"], "persons", replace(told, beside=np.array([beside])))
    assert found.low[found.find(told.keys)].tolist() == [least]


def test_no_reader_is_told_why_a_cell_is_hidden(released_home: Path) -> None:
    root = released_home / "releases"
    store = ReleaseStore(root)
    told = set()
    for entry in entries(root):
        manifest = entry.manifest
        for key in manifest.profiles if manifest.shapes else ():
            rows = [row for row in listing(entry.folder, manifest, key) if "c" in row.marks]
            for row in rows[:: max(1, len(rows) // 5)]:
                asked = Selection(
                    manifest.service, manifest.release_id, key, row.grain, (row.period,),
                    (row.geo,), (), *_named(manifest, row),
                )  # fmt: skip
                told |= {flag for held in store.page(asked, 0, 1).flags.values() for flag in held}
    assert "s" in told
    assert told <= {"ok", "r", "e", "s"}


def _named(
    manifest: Manifest, row: Listed
) -> tuple[dict[str, str], tuple[str, ...], dict[str, int]]:
    """A cell as it is asked for: values by dim, all measures, and the levels of the dims."""
    dim_of = {column: level.dim for column, level in manifest.levels.items()}
    steps = {dim: [c for c, d in dim_of.items() if d == dim] for dim in dim_of.values()}
    where = {dim_of[column]: value for column, value in row.values}
    levels = {dim_of[column]: steps[dim_of[column]].index(column) + 1 for column, _ in row.values}
    return where, tuple(measure.name for measure in manifest.measures), levels


def test_a_small_region_is_reconstructed_by_subtraction(spaces: Mapping[str, Space]) -> None:
    space = spaces["S02"]
    counties = {("2024Q1", place): 500.0 for place in space.axes[1].words if place != CITY}
    gone = counties.popitem()[0][1]
    told = published(space, {("2024Q1", CITY): 2006, **counties}, 0)
    (found,) = attacked(table(space, "persons", told)).findings
    assert (found.rule, found.cells) == ("few_persons", (f"S02 2024Q1/{gone}",))
    assert (found.low, found.high) == (6, 6)
    recomputed(found)


def test_a_subtraction_of_three_figures_is_found(spaces: Mapping[str, Space]) -> None:
    space = spaces["S02"]
    cells = {("2024Q1", CITY): 700.0}
    for place, count in zip(space.axes[1].words[1:], (300, 390, 200, 100), strict=False):
        cells["2024Q1", place] = count
    found = list(subtractions([table(space, "persons", published(space, cells, 4))]))
    assert [one.low for one in found] == [10]
    assert "leaves 10 persons, fewer than 11" in found[0].sentence


def test_a_total_published_twice_with_different_rounding(spaces: Mapping[str, Space]) -> None:
    space = spaces["S02"]
    told = [published(space, {("2024Q1", CITY): value}, 4) for value in (100, 105)]
    (found,) = differing([table(space, "persons", *told)], {"S02": told})
    assert found.rule == "figures_differ"
    assert "published as 100 and as 105" in found.sentence


@pytest.mark.parametrize(
    ("name", "fine", "coarse", "differ"),
    [
        ("medfee", (12_350, 5, -4), (12_300, 50, -3), False),
        ("medfee", (12_350, 5, -4), (12_200, 50, -3), True),
        ("persons", (35, 4, 5), (40, 9, 10), False),
        ("persons", (40, 4, 5), (30, 9, 10), True),  # 36 to 39: not rounded from the finer figure
    ],
)
def test_figures_of_two_roundings_differ_where_they_tell_more_than_the_finer(
    spaces: Mapping[str, Space], name: str, fine: tuple[float, float, int],
    coarse: tuple[float, float, int], *, differ: bool,
) -> None:  # fmt: skip
    space, cell = spaces["S02"], ("2024Q1", CITY)
    told = [published(space, {cell: value}, spread, base) for value, spread, base in (fine, coarse)]
    found = list(differing([table(space, name, *told)], {"S02": told}))
    assert [one.rule for one in found] == ["figures_differ"] * differ


def test_a_late_revision_gives_the_late_persons_away(spaces: Mapping[str, Space]) -> None:
    space = spaces["S02"]
    old, new = (published(space, {("2024Q1", CITY): v}, 4) for v in (100, 110))
    (found,) = revised(space, "persons", old, new, 11)
    assert (found.rule, found.low) == ("revision", 10)
    assert list(revised(space, "persons", old, old, 11)) == []


@pytest.mark.parametrize(("late", "found"), [(3, [3]), (13, []), (0, [])])
def test_what_two_releases_tell_of_a_cell_neither_restates(
    spaces: Mapping[str, Space], late: int, found: list[float]
) -> None:
    """Both restate the city and its women; the men follow, whatever is told of them."""
    space, city, women = spaces["S02"], ("2024Q1", CITY), ("2024Q1", CITY, "gend=2")
    old = published(space, {city: 100, women: 60}, 0, 1)
    new = published(space, {city: 117 + late, women: 77}, 0, 1)
    told = list(late_persons(space, measure(space, "persons"), old, new, RULES))
    assert [one.low for one in told] == found
    assert all(one.rule == "revision" for one in told)
    rounded = published(space, {city: 117 + late, women: 77}, 4)
    assert not list(late_persons(space, measure(space, "persons"), old, rounded, RULES))


def test_a_linked_service_that_shows_what_another_hides(spaces: Mapping[str, Space]) -> None:
    stay = ("2024Q1", CITY, "benefit5=IP")
    hides = published(spaces["S02"], {("2024Q1", CITY): 900, stay: 400}, 4)
    shows = published(spaces["S06"], {("2024Q1", CITY, "hosp_lv4=P"): 40}, 4)
    tables = [table(spaces["S02"], "stays", hides), table(spaces["S06"], "stays", shows)]
    (found,) = differing(tables, {"S02": [hides], "S06": [shows]})
    assert found.rule == "shown_elsewhere"
    assert "S02 2024Q1/990100/benefit5=IP/hosp_lv4=P is hidden" in found.sentence


def test_a_monopolist_reads_the_other_of_two_hidden_amounts(spaces: Mapping[str, Space]) -> None:
    space = spaces["S02"]
    told = published(space, {("2024Q1", CITY): 50_000}, 5)
    pairs = attacked(table(space, "medfee", told), amounts=True).insiders
    assert ("S02 2024Q1/990100/gend=1", "S02 2024Q1/990100/gend=2") in [p.cells for p in pairs]
    more = published(space, {("2024Q1", CITY): 50_000, ("2024Q1", CITY, "gend=1"): 9_000}, 5)
    (found,) = [
        f
        for f in attacked(table(space, "medfee", more), amounts=True).findings
        if "gend=2" in f.cells[0]
    ]
    assert (found.rule, found.low, found.high) == ("amount_known", 40_990, 41_010)


def test_a_clean_build_has_no_finding_and_says_what_was_left_out(
    released_home: Path, services: Mapping[str, Service]
) -> None:
    root = released_home / "releases"
    report = audit(root, services, Scope(services=("S05", "S03")))
    assert report.ok, report.findings
    assert report.left_out == ""
    assert sum(part.programmes for part in report.parts) > 0
    cut = audit(root, services, Scope(services=("S05", "S03"), seconds=0))
    assert cut.ok
    assert cut.parts == ()
    assert {name.split()[-2] for name in cut.not_begun} >= {part.season for part in report.parts}
    assert len(cut.not_begun) >= len(report.parts)
    assert cut.left_out == f"{len(cut.not_begun)} systems not begun"


def test_a_finding_stops_the_publication_and_what_was_not_bounded_exactly_is_told() -> None:
    one = Finding(
        rule="few_persons", season="2024", cells=("S05 2024/990100",), measure="persons",
        low=3, high=9, sentence="The hidden persons lie between 3 and 9.", figures=(),
    )  # fmt: skip
    empty = AttackReport(releases=(), parts=(), findings=(), insiders=(), seconds=0, peak_mb=0)
    with pytest.raises(ReleaseError, match="between 3 and 9") as refused:
        refuse(empty.model_copy(update={"findings": (one,)}))
    assert refused.value.code == "release_exposed"
    refuse(empty)
    for rule in ("narrow_interval", "figures_differ", "revision"):
        with pytest.raises(ReleaseError):
            refuse(empty.model_copy(update={"findings": (one.model_copy(update={"rule": rule}),)}))
    rough = one.model_copy(update={"rule": "amount_known", "exact": False})
    refuse(empty.model_copy(update={"findings": (rough,)}))
    for stops in (
        rough.model_copy(update={"exact": True}),
        one.model_copy(update={"exact": False}),
    ):
        with pytest.raises(ReleaseError):
            refuse(empty.model_copy(update={"findings": (stops,)}))


def test_the_command_reports_and_refuses_what_it_does_not_know(
    released_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICE_HOME", str(released_home))
    done = CliRunner().invoke(app, ["audit", "--service", "S14", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["findings"] == []
    unknown = CliRunner().invoke(app, ["audit", "--service", "S99"])
    assert unknown.exit_code == 1
    assert "service_unknown" in unknown.output


@pytest.mark.slow
def test_a_build_without_complementary_suppression_is_refused(
    released_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(released_home, tmp_path / "home", ignore=shutil.ignore_patterns("staging"))
    settings = Settings(home=tmp_path / "home", release_audit_seconds=30)
    before = (settings.releases / "CURRENT.json").read_bytes()
    protect_all = jobs.protect_all

    def without(*given: Any) -> dict[tuple[str, str], Protected]:
        found = protect_all(*given)
        return {
            at: Protected(np.where(own.flags == COMPLEMENTARY, PUBLISHED, own.flags), own.withheld)
            for at, own in found.items()
        }

    monkeypatch.setattr(jobs, "protect_all", without)
    with pytest.raises(ReleaseError, match="Nothing was published") as refused:
        build(settings, Order(services=("S05",), waivers=INVENTED), TODAY)
    assert refused.value.code == "release_exposed"
    assert (settings.releases / "CURRENT.json").read_bytes() == before
