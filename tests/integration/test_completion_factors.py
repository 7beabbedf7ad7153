"""S02's completion factors as a release of a simulated city publishes them.

The contract is that of S02 without the dims and measures that completion does not need: what is
tested is its SQL, its kinds, and the sheet of all periods.
"""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.catalogue.load import load_catalogue
from gateway.releases.build import Order, build
from gateway.releases.listing import listing
from gateway.releases.store import ReleaseStore
from gateway.settings import Settings
from gateway.warehouse import store
from synthetic.bureau import simulate
from tests.gateway_factory import copy_policies
from tests.made_once import made_once
from tests.release_warehouse import Built
from tests.second import completion
from tests.waivers import INVENTED

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DIMS = ["insutype2", "benefit5"]
FACTS = ("settlement", "onset", "runoff", "exposure")
Figures = dict[str, float]
Cell = tuple[str, tuple[tuple[str, str], ...]]
"""A place and the values of dims."""


def _ladder(home: Path) -> None:
    folder = home / "warehouse" / "versions" / "draft"
    folder.mkdir(parents=True)
    simulate(folder, "mini", 1)
    store.publish(home / "warehouse", folder, {"kind": "test"}, NOW)
    policies = copy_policies(home / "policies")
    for other in (policies / "catalogue").glob("S[0-9][0-9]"):
        if other.name != "S02":
            shutil.rmtree(other)
    path = policies / "catalogue" / "S02" / "service.yaml"
    path.write_text(yaml.safe_dump(_narrowed(yaml.safe_load(path.read_text("utf-8")))), "utf-8")
    build(Settings(home=home, policies=policies), Order(("S02",), waivers=INVENTED), NOW)


def _narrowed(contract: dict[str, Any]) -> dict[str, Any]:
    """The contract with the two dims of completion and the measures these need."""
    facts = {name: contract["facts"][name] for name in FACTS}
    for fact in facts.values():
        fact["dims"] = [dim for dim in fact["dims"] if dim in DIMS]
    wanted = ("persons", "settled_", "completion_")
    measures = [one for one in contract["measures"] if one["name"].startswith(wanted)]
    for one in measures:
        one.pop("never_with", None)
    disclosure = {"person_measure": "persons", "side": ["onset", "runoff", "exposure"]}
    return {
        **contract, "dims": DIMS, "facts": facts, "measures": measures, "disclosure": disclosure,
    }  # fmt: skip


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return Built(made_once(tmp_path_factory, "ladder", _ladder))


@pytest.fixture(scope="module")
def published(town: Built) -> dict[Cell, dict[str, Figures]]:
    """Shown figures by cell and quarter."""
    manifest = ReleaseStore(town.settings.releases).latest("S02")
    assert manifest is not None
    (key,) = manifest.profiles
    names = [measure.name for measure in manifest.measures]
    found: dict[Cell, dict[str, Figures]] = {}
    for row in listing(town.settings.releases / "S02" / manifest.release_id, manifest, key):
        shown = zip(names, row.figures, row.marks, strict=True)
        figures = {name: float(value or 0) for name, value, mark in shown if mark in "or"}
        found.setdefault((row.geo, row.values), {})[row.period] = figures
    return found


def test_factors_agree_with_the_second_implementation(
    town: Built, published: dict[Cell, dict[str, Figures]]
) -> None:
    frame = completion.settled(town.warehouse)
    told = 0
    for (place, values), periods in published.items():
        own = frame[frame["city" if place.endswith("00") else "county"] == place]
        for column, value in values:
            own = own[own[column] == value]
        found = completion.rows(own)
        persons = {quarter: int(shown.get("persons", 0)) for quarter, shown in periods.items()}
        for quarter, shown in periods.items():
            wanted = completion.shares(found, persons, quarter)
            known = wanted is not None and persons[quarter] >= completion.ENOUGH
            assert ("completion_0" in shown) == known, (place, values, quarter)
            if wanted is not None and known:
                ladder = [shown[f"completion_{delay}"] for delay in range(12)]
                assert ladder == pytest.approx(wanted[:-1], abs=6e-5), (place, values, quarter)
                told += 1
    assert told >= 5


def test_some_care_is_settled_later_than_it_began(
    published: dict[Cell, dict[str, Figures]],
) -> None:
    last = published["990100", ()]["2025Q4"]
    assert 0.6 < last["completion_0"] < 0.95
    shares = [last[f"completion_{delay}"] for delay in range(12)]
    assert shares == sorted(shares)


def test_cells_of_few_persons_have_no_factors(
    published: dict[Cell, dict[str, Figures]],
) -> None:
    few = [s for p in published.values() for s in p.values() if 0 < s.get("persons", 0) < 500]
    assert few
    assert not any(name.startswith("completion") for shown in few for name in shown)


def test_the_dims_of_completion_are_those_of_the_contract() -> None:
    """Elsewhere the factors are not offered: their amounts are kept for two dims alone."""
    contract = load_catalogue(Settings().policies).services["S02"]
    assert contract.facts["onset"].dims == contract.facts["runoff"].dims == tuple(DIMS)
