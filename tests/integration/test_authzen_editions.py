"""An evaluation is decided by the edition that decides for the organisation it is about."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

import pytest

from gateway.policy.bundle import edition_of
from tests.authzen_factory import ALLOWED, Json, enter_bureau, evaluate
from tests.edition_site import Site, short, site_of
from tests.gateway_factory import copy_home, copy_policies, serving
from tests.opa_server import until


@pytest.fixture
def site(released_home: Path, tmp_path: Path) -> Iterator[Site]:
    policies = copy_policies(tmp_path / "policies")
    with serving(copy_home(released_home, tmp_path / "home"), policies) as gateway:
        yield site_of(gateway, tmp_path)


def about(tenant: str) -> Json:
    asked = deepcopy(ALLOWED)
    asked["subject"] = {"type": "tenant", "id": tenant, "properties": {"ip": "127.0.0.1"}}
    asked["context"]["grant_id"] = f"G-{tenant}"
    return asked


def test_a_canary_decides_about_its_tenants_also_within_one_batch(site: Site) -> None:
    gateway, press = site.gateway, site.press
    enter_bureau(gateway)
    live, name = site.stage.live.name, press.push(short(site))
    press.approve(name)
    press.shadow(name)
    press.canary(name, "T-INS2")
    until(lambda: gateway.ask(client="ins2-app").status_code == 403)

    batch = {"evaluations": [about("T-INS"), about("T-INS2"), about("T-INS")]}
    told = evaluate(gateway, batch, path="evaluations").json()["evaluations"]

    assert [each["decision"] for each in told] == [True, False, True]
    assert told[1]["context"]["deny"] == ["D504"]  # the new edition looks back less far
    assert [edition_of(each["context"]["revision"]) for each in told] == [live, name, live]
