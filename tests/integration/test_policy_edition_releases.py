"""An edition with other disclosure profiles is served only once there are cells under them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.cli.office import to_build
from gateway.editions.office import PolicyOffice
from gateway.errors import OperatorError
from gateway.releases.build import Order, build
from gateway.releases.coverage import released
from gateway.settings import Settings
from tests.directory_factory import add_tenant, empty_directory
from tests.edition_factory import Json, Press, variant
from tests.gateway_factory import POLICIES, TODAY
from tests.release_warehouse import build_warehouse
from tests.waivers import INVENTED


def twice_as_many(scenario: Json) -> None:
    scenario["sdc"]["override"] = {"k_person": 22}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = Settings(home=tmp_path / "home")
    build_warehouse(settings.home, persons=120, visits=400)
    build(settings, Order(("S06",), waivers=INVENTED), TODAY)
    return settings


@pytest.fixture
def press(settings: Settings) -> Iterator[Press]:
    with empty_directory(settings.home) as engine:
        add_tenant(engine)
        office = PolicyOffice(settings.keys, POLICIES, released(settings.releases))
        yield Press(engine, office)


@pytest.mark.slow  # builds releases twice
def test_a_release_for_the_coming_edition_keeps_the_live_one_answerable(
    settings: Settings, press: Press, tmp_path: Path
) -> None:
    before = released(settings.releases)("S06")
    name = press.push(variant(POLICIES, tmp_path / "p", twice_as_many))
    press.approve(name)
    press.shadow(name)
    with pytest.raises(OperatorError, match="S06 under SC01") as refused:
        press.canary(name, "T-INS")
    assert refused.value.code == "edition.unreleased"

    with to_build(settings, name) as (chosen, also):
        build(chosen, Order(("S06",), INVENTED, also), TODAY)

    after = released(settings.releases)("S06")
    assert set(before) < set(after)
    press.canary(name, "T-INS")
    press.promote(name)
    with to_build(settings) as (_, also):
        assert len(also) == 1, "what a roll-back would bring again is built too"
    press.roll_back()
