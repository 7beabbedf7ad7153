"""Lineage of a release: true of its figures, an OpenLineage event, covered by its hashes, told."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource
from typer.testing import CliRunner

from gateway.catalogue.load import load_catalogue
from gateway.cli.release import app
from gateway.errors import SluiceError
from gateway.releases.build import Order, build
from gateway.releases.lineage.figures import Lineage, lineage_of
from gateway.releases.lineage.reading import FILE
from gateway.releases.listing import listing
from gateway.releases.manifest import Manifest
from gateway.releases.publish import point
from gateway.releases.verify import verify
from gateway.settings import Settings
from gateway.warehouse import store
from tests.lineage_world import NOW, Column, columns_of, mixed, published, spoilt, tables_of
from tests.release_warehouse import build_warehouse
from tests.waivers import INVENTED

CATALOGUE = load_catalogue(Settings().policies)
SEEDS = (3, 4)
SCHEMAS = Path(__file__).parents[1] / "peers" / "openlineage"
Figures = Mapping[str, Mapping[object, object]]


@contextmanager
def _alone(releases: Path) -> Iterator[None]:
    """Without the releases there are, which are back afterwards; the first ones stay."""
    if not releases.exists():
        yield
        return
    aside = releases.rename(releases.with_name("aside"))
    try:
        yield
    finally:
        shutil.rmtree(releases)
        aside.rename(releases)


class World:
    """A warehouse of one quarter, and the releases of one service when columns of it are spoilt."""

    def __init__(self, root: Path, service: str) -> None:
        warehouse = build_warehouse(root / "first", persons=400, visits=2500, days=90)
        self.service = service
        self.lineage: Lineage = lineage_of(CATALOGUE, CATALOGUE.services[service])
        self.settings = Settings(home=root / "home")
        self._tables = tables_of(store.current(warehouse))
        self._others = [spoilt(self._tables, seed) for seed in SEEDS]
        self.columns = columns_of(self._tables)
        self.manifest, self.figures = self.released(set())

    def released(self, columns: set[Column], seed: int = 0) -> tuple[Manifest, Figures]:
        """The release and its figures, by measure and cell; as if it were the first, for beside an
        earlier one cells are not restated."""
        with _alone(self.settings.releases):
            return self._built(columns, seed)

    def _built(self, columns: set[Column], seed: int) -> tuple[Manifest, Figures]:
        published(self.settings.home, mixed(self._tables, self._others[seed], columns))
        order = Order((self.service,), waivers=INVENTED, alone=True)
        (manifest,) = build(self.settings, order, NOW)
        folder = self.settings.releases / self.service / manifest.release_id
        figures: dict[str, dict[object, object]] = {m.name: {} for m in manifest.measures}
        for key in manifest.profiles:
            for row in listing(folder, manifest, key):
                cell = (key, row.period, row.geo, row.values)
                for name, figure, mark in zip(figures, row.figures, row.marks, strict=True):
                    figures[name][cell] = (figure, mark) if figure is not None else mark
        return manifest, figures

    def named(self, measure: str) -> frozenset[Column]:
        """What may change a figure or whether it is shown."""
        return self.lineage.fields[measure].columns | self.lineage.control.columns

    @property
    def untold(self) -> set[str]:
        """Measures that a warehouse of one quarter has no figure of: they look back."""
        return {
            measure
            for measure, told in self.figures.items()
            if all(isinstance(one, str) for one in told.values())
        }

    @property
    def own(self) -> set[Column]:
        """The columns that act on some measures and not on what is shown of all."""
        return {c for m in self.figures for c in self.named(m)} - self.lineage.control.columns


@pytest.fixture(scope="module", params=["S06", pytest.param("S09", marks=pytest.mark.slow)])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("lineage"), request.param)


def test_no_figure_moves_while_all_that_no_lineage_names_is_replaced(world: World) -> None:
    assert sum(map(len, world.figures.values())) > 1000
    named = frozenset().union(*map(world.named, world.figures))
    assert len(world.columns - named) > 200
    _, after = world.released(world.columns - named)
    assert after == world.figures


def test_a_column_moves_figures_made_of_it_and_none_that_do_not_name_it(world: World) -> None:
    assert world.own
    for column in sorted(world.own):
        _, after = world.released({column})
        moved = {measure for measure in after if after[measure] != world.figures[measure]}
        assert moved <= {m for m in world.figures if column in world.named(m)}, column
        made = {m for m in world.figures if column in world.lineage.fields[m].direct}
        assert made - world.untold <= moved, column


@pytest.mark.slow
def test_a_figure_stays_while_all_that_its_own_lineage_leaves_out_is_replaced(world: World) -> None:
    for named in {world.named(measure) for measure in world.figures}:
        for seed in range(len(SEEDS)):
            _, after = world.released(world.columns - named, seed)
            for measure in (one for one in world.figures if world.named(one) == named):
                assert after[measure] == world.figures[measure], measure


@pytest.fixture(scope="module")
def told(world: World) -> dict[str, Any]:
    """`lineage.json` of the release."""
    folder = world.settings.releases / world.service / world.manifest.release_id
    found: dict[str, Any] = json.loads((folder / FILE).read_bytes())
    return found


def validator(name: str, pointer: str) -> Draft202012Validator:
    """OpenLineage's own schema of a thing, with all it refers to."""
    every = [json.loads(path.read_bytes()) for path in SCHEMAS.glob("*.json")]
    known: Registry[Any] = Registry().with_resources(
        (one["$id"], Resource.from_contents(one)) for one in every
    )
    url = next(one["$id"] for one in every if one["$id"].endswith(f"/{name}.json"))
    schema = {"$ref": f"{url}#/$defs/{pointer}"}
    return Draft202012Validator(schema, registry=known, format_checker=FormatChecker())


def test_it_is_an_openlineage_event_and_each_facet_is_of_its_schema(told: dict[str, Any]) -> None:
    validator("OpenLineage", "RunEvent").validate(told)
    assert told["eventType"] == "COMPLETE"
    checked = set()
    for facet in facets(told):
        name = facet["_schemaURL"].rpartition("/")[2]
        if "/facets/" in facet["_schemaURL"]:
            schema = validator(name, name)
            schema.validate(facet)
            checked.add(name)
    assert checked == {path.stem for path in SCHEMAS.glob("*.json")} - {"OpenLineage"}


def facets(told: object) -> Iterator[dict[str, Any]]:
    """Everything in the event that names the schema of its own form."""
    if isinstance(told, list):
        for one in told:
            yield from facets(one)
    elif isinstance(told, dict):
        if "_schemaURL" in told:
            yield told
        for one in told.values():
            yield from facets(one)


def test_its_columns_are_those_of_an_answer_and_its_sources_are_classified(
    world: World, told: dict[str, Any]
) -> None:
    (output,) = told["outputs"]
    lineage = output["facets"]["columnLineage"]
    service = CATALOGUE.services[world.service]
    answered = {"period", "geo", *(d.name for d in service.dims if not d.pivot)}
    answered |= {m.name for m in service.measures if not m.internal}
    assert set(lineage["fields"]) == answered
    assert [one["name"] for one in output["facets"]["schema"]["fields"]] == list(lineage["fields"])
    tagged = {
        (one["name"], tag["field"], tag["key"])
        for one in told["inputs"]
        for tag in one["facets"].get("tags", {"tags": []})["tags"]
    }
    used = [one for field in lineage["fields"].values() for one in field["inputFields"]]
    for one in [*used, *lineage["dataset"]]:
        assert (one["name"], one["field"], "classification.item") in tagged
        assert (one["name"], one["field"], "classification.level") in tagged
        for way in one["transformations"]:
            assert way["description"].startswith(f"{one['name']}.{one['field']}")
            assert (way["type"] == "DIRECT") == (
                way["subtype"] in {"IDENTITY", "TRANSFORMATION", "AGGREGATION"}
            )


def test_it_tells_names_and_no_value_of_a_record(world: World, told: dict[str, Any]) -> None:
    text = json.dumps(told, ensure_ascii=False)
    assert "P000001" not in text
    assert not any(one.sha256 in text for one in world.manifest.inputs)
    assert str(world.settings.home) not in text


def test_the_same_build_writes_the_same_lineage_and_a_changed_one_is_noticed(
    world: World,
) -> None:
    again, _ = world.released(set())
    assert again.release_id == world.manifest.release_id
    (named,) = (one for one in again.files if one.name == FILE)
    path = world.settings.releases / world.service / again.release_id / FILE
    content = path.read_bytes()
    assert len(content) == named.bytes
    path.chmod(0o644)
    try:
        path.write_bytes(content.replace(b"setl_d.hosp_lv", b"setl_d.med_type", 1))
        (report,) = verify(world.settings.releases, (again.release_id,))
        assert report.faults == (f"{FILE}: altered since it was published",)
    finally:
        path.write_bytes(content)


@pytest.fixture
def shown(world: World, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """What `sluice release lineage` prints, or the code of what it refuses for."""
    monkeypatch.setenv("SLUICE_HOME", str(world.settings.home))
    point(world.settings.releases, {world.service: world.manifest.release_id})

    def run(*given: str) -> str:
        result = CliRunner().invoke(app, ["lineage", *given])
        if isinstance(result.exception, SluiceError):
            return result.exception.code
        assert result.exit_code == 0, result.output
        return result.output

    return run


def test_the_command_shows_each_column_and_the_way_to_one(
    world: World, shown: Callable[..., str]
) -> None:
    overview = shown(world.service)
    assert world.manifest.release_id in overview
    assert all(f"\n{name} " in overview for name in world.lineage.fields)
    measure = {"S06": "rw_sum", "S09": "ddd"}[world.service]
    way = shown(CATALOGUE.services[world.service].code, "--column", measure)
    for origin, path in world.lineage.fields[measure].paths.items():
        assert " → ".join(path) in way
        assert str(origin.act) in way
    assert "answered as" in way


def test_the_command_gives_the_event_with_the_time_of_the_build(
    world: World, shown: Callable[..., str], told: dict[str, Any]
) -> None:
    event = json.loads(shown(world.service, "--json"))
    assert event == told | {"eventTime": NOW.isoformat()}


def test_the_command_says_what_is_wrong(world: World, shown: Callable[..., str]) -> None:
    assert shown(world.service, "--column", "stray") == "column_unknown"
    assert shown("S02") == "release_unknown"
    assert shown("S99") == "release_unknown"


def test_a_release_from_before_says_so(world: World, shown: Callable[..., str]) -> None:
    path = world.settings.releases / world.service / world.manifest.release_id / FILE
    path.rename(path.with_suffix(".old"))
    try:
        assert shown(world.service) == "lineage_absent"
    finally:
        path.with_suffix(".old").rename(path)
