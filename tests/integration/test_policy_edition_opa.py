"""Editions with an OPA server as the engine: it follows the live one; no request waits for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from gateway.identity.secrets import secret
from gateway.policy.bundle import edition_of
from gateway.policy.opa_config import opa_config
from gateway.policy.packing import bundle_key
from tests.edition_site import Site, short, site_of, swap_under_load
from tests.gateway_factory import copy_home, copy_policies, serving
from tests.opa_server import TOKEN, free_port, opa_process, until

pytestmark = pytest.mark.services


@pytest.fixture
def opa_port() -> int:
    return free_port()


@pytest.fixture
def site(released_home: Path, tmp_path: Path, opa_port: int) -> Iterator[Site]:
    token = tmp_path / "token"
    token.write_text(TOKEN)
    facts = {
        "policy_engine": "opa",
        "opa_url": f"http://127.0.0.1:{opa_port}",
        "policy_bundle_token_file": token,
    }
    policies, home = copy_policies(tmp_path / "policies"), copy_home(released_home, tmp_path / "h")
    with serving(home, policies, **facts) as gateway:
        key = bundle_key(secret(gateway.settings.keys, "policy_bundle"))
        config = opa_config(gateway.settings.base_url, token, key)
        with opa_process(opa_port, config) as opa:
            until(lambda: gateway.http.get("/readyz").status_code == 200)
            yield site_of(gateway, tmp_path)
            opa.kill()


def edition_in_opa(port: int) -> str:
    """Which edition the OPA server says it has."""
    url = f"http://127.0.0.1:{port}/v1/data/nothing?provenance=true"
    told = httpx.post(url, json={}).json()
    return edition_of(told["provenance"]["bundles"]["sluice"]["revision"])


def test_opa_follows_the_live_edition_and_no_answer_is_lost(site: Site, opa_port: int) -> None:
    crowd = swap_under_load(site, clients=2, swaps=4)
    assert len(crowd.replies) > 10
    until(lambda: edition_in_opa(opa_port) == site.stage.live.name)


def test_shadow_and_canary_are_not_decided_by_opa(site: Site, opa_port: int) -> None:
    gateway, press = site.gateway, site.press
    name = press.push(short(site))
    press.approve(name)
    press.shadow(name)
    press.canary(name, "T-INS2")
    until(lambda: gateway.ask(client="ins2-app").status_code == 403)
    assert gateway.ask().status_code == 200
    assert edition_in_opa(opa_port) == site.stage.live.name != name


def test_without_opa_nothing_new_decides_either(
    released_home: Path, tmp_path: Path, opa_port: int
) -> None:
    """The stand-in bridges the moments OPA needs; it is no second engine for when OPA is away."""
    facts = {"policy_engine": "opa", "opa_url": f"http://127.0.0.1:{opa_port}"}
    policies, home = copy_policies(tmp_path / "policies"), copy_home(released_home, tmp_path / "h")
    with serving(home, policies, **facts) as gateway:
        site = site_of(gateway, tmp_path)
        site.bring_live(short(site))
        refused = gateway.ask()
        assert (refused.status_code, refused.json()["code"]) == (503, "policy_unavailable")
