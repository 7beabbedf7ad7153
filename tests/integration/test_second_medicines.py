"""S07, S11, S12, S13 and S24: random cells of a release agree with second implementations."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.releases.build import Order, build
from gateway.settings import Settings
from gateway.warehouse import store
from synthetic.bureau import simulate
from tests.gateway_factory import copy_policies
from tests.release_warehouse import Built
from tests.second import s07, s11, s12, s13, s24, slices
from tests.served_recount import Recount
from tests.spec.test_worked_examples import EXAMPLES, answer
from tests.waivers import INVENTED

MODULES = (s07, s11, s12, s13, s24)
LOW = {
    "k_person: 11": "k_person: 2",
    "min_institutions: 5": "min_institutions: 1",
    "min_manufacturers: 3": "min_manufacturers: 1",
}
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def recount(built: Built) -> Recount:
    return slices.recount_of(built.warehouse, MODULES)


@pytest.mark.parametrize("service", ["S07", "S11", "S24"])
def test_random_cells_agree_with_the_second_implementation(
    built: Built, recount: Recount, service: str
) -> None:
    figures = slices.published(built.home / "releases", service, sample=80, seed=11)
    assert len(figures) > 80
    assert list(slices.astray(recount, figures)) == []


def test_a_figure_that_is_wrong_is_named(built: Built, recount: Recount) -> None:
    figures = slices.published(built.home / "releases", "S11", sample=20, seed=3)
    amounts = [shown for shown in figures if shown.measure == "amount"]
    wrong = [slices.Shown(s.service, s.measure, s.cell, float(s.value) * 1.002) for s in amounts]
    assert len(list(slices.astray(recount, wrong))) == len(amounts) > 0


def test_a_negotiated_drug_of_three_makers_agrees(tmp_path: Path) -> None:
    """Simulated ones have one maker or two, so that no cell of theirs is shown."""
    answer(tmp_path, "S12", EXAMPLES["S12"])
    recount = slices.recount_of(store.current(tmp_path / "warehouse"), (s12,))
    figures = slices.published(tmp_path / "releases", "S12", sample=50, seed=1)
    assert {"users_10k", "reimbursement", "institutions", "months_listed", "channel_share"} <= {
        shown.measure for shown in figures
    }
    assert list(slices.astray(recount, figures)) == []


@pytest.fixture(scope="module")
def open_city(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Recount]:
    """A simulated city whose thresholds are low, so that rare devices have cells."""
    home = tmp_path_factory.mktemp("open-city")
    folder = home / "warehouse" / "versions" / "draft"
    folder.mkdir(parents=True)
    simulate(folder, "mini", 1)
    store.publish(home / "warehouse", folder, {"kind": "test"}, NOW)
    policies = copy_policies(home / "policies")
    profiles = policies / "data" / "sdc_profiles.yaml"
    text = profiles.read_text(encoding="utf-8")
    for strict, low in LOW.items():
        text = text.replace(strict, low)
    profiles.write_text(text, encoding="utf-8")
    order = Order(("S07", "S11", "S13", "S24"), waivers=INVENTED, alone=True)
    build(Settings(home=home, policies=policies), order, NOW)
    return home / "releases", slices.recount_of(store.current(home / "warehouse"), MODULES)


@pytest.mark.slow
@pytest.mark.parametrize("service", ["S07", "S11", "S13", "S24"])
def test_random_cells_of_a_simulated_city_agree(
    open_city: tuple[Path, Recount], service: str
) -> None:
    releases, recount = open_city
    figures = slices.published(releases, service, sample=200, seed=5)
    assert list(slices.astray(recount, figures)) == []
    assert len(Counter(shown.measure for shown in figures)) >= 5
