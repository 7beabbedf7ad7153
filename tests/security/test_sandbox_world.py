"""The sandbox: made-up records alone, its own clock, faults and people; none of it elsewhere."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.api.faults import drifted
from gateway.demo.claims import CALLBACK, CONSENT
from gateway.errors import BadRequest, OperatorError
from gateway.identity.boundaries import load_boundaries
from gateway.settings import Settings
from gateway.worlds.clock import MOST, SandboxClock
from gateway.worlds.guard import check_world
from sluice_client import Sluice
from tests.factories_identity import (
    Machine,
    add_client,
    add_grant,
    add_tenant,
    new_key,
    public,
    shown,
)
from tests.gateway_factory import USCC, VALID, Gateway, copy_home, copy_policies, serving

OWNER, OTHER = "dev-app", "dev2-app"
TERMS = {
    "redirect_uris": (CALLBACK,),
    "grant_types": ("authorization_code", "refresh_token", "client_credentials"),
}
WANTED = {
    "scenario": "SC03",
    "purpose": "claim_verification",
    "services": ["S18", "S19"],
    "scopes": ["SETL", "DX_SENSITIVE"],
    "claim_ref": "CLM-1",
    "window": {"from": "2025-01-01", "to": "2025-05-31"},
    "valid_days": 10,
    "uses_max": 2,
}
ROUTES = (
    ("GET", "/v1/sandbox", None),
    ("POST", "/v1/sandbox/clock", {"advance_seconds": 60}),
    ("PUT", "/v1/sandbox/fault", {"fault": "slow"}),
    ("DELETE", "/v1/sandbox/fault", None),
    ("GET", "/v1/sandbox/personas", None),
    ("POST", "/v1/sandbox/personas/adult/answers", {"request_uri": "urn:x"}),
    ("DELETE", "/v1/sandbox/personas/adult/consents/c-1", None),
)


@dataclass
class World:
    """A sandbox with its owner and another developer."""

    gateway: Gateway

    def call(self, method: str, path: str, client: str = OWNER, **sent: Any) -> httpx.Response:
        return self.gateway.http.request(method, path, auth=self.gateway.auth(client), **sent)

    def ask(self) -> str:
        key = {"Idempotency-Key": secrets.token_hex(8)}
        reply = self.call("POST", "/v1/consents", json=WANTED, headers=key)
        assert reply.status_code == 201, reply.text
        return str(reply.json()["consent_id"])

    def push(self, consent_id: str, client: str = OWNER) -> str:
        """The pushed request by which a person is to answer."""
        named = {name: WANTED[name] for name in ("scenario", "purpose", "services")}
        detail = {"type": CONSENT, "actions": ["read"], "consent_id": consent_id, **named}
        machine, now = self.gateway.machines[client], self.gateway.clock()
        form = {
            **machine.form(now),
            "client_id": client,
            "response_type": "code",
            "redirect_uri": CALLBACK,
            "scope": "openid",
            "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
            "code_challenge_method": "S256",
            "authorization_details": json.dumps([detail]),
        }
        del form["grant_type"]
        proof = self.gateway._prover(client)
        reply = self.gateway.http.post("/oauth/par", data=form, auth=proof)
        assert reply.status_code == 201, reply.text
        return str(reply.json()["request_uri"])

    def answer(
        self, who: str, request_uri: str, client: str = OWNER, **said: Any
    ) -> httpx.Response:
        address = f"/v1/sandbox/personas/{who}/answers"
        return self.call("POST", address, client, json={"request_uri": request_uri, **said})

    def state(self, consent_id: str) -> tuple[str, list[str]]:
        told = self.call("GET", f"/v1/consents/{consent_id}").json()
        return told["state"], told["scopes"]


@pytest.fixture(scope="module")
def world(released_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("sandbox")
    home, policies = copy_home(released_home, folder / "home"), copy_policies(folder / "policies")
    facts = {"env": "sandbox", "person_login": "simulated", "sandbox_owner": "T-DEV"}
    with serving(home, policies, **facts) as gateway:
        for tenant, client in (("T-DEV", OWNER), ("T-DEV2", OTHER)):
            _admit(gateway, tenant, client)
        yield World(gateway)


def _admit(gateway: Gateway, tenant: str, client: str) -> None:
    identity, key = gateway.app.state.identity, new_key()
    bounds = load_boundaries(gateway.settings.policies)
    wanted = [
        *bounds.scenarios["SC12"]["qualification"],
        *bounds.scenarios["SC03"]["qualification"],
    ]
    facts = {"kind": "insurer", "env": "sandbox", "uscc": USCC, "qualifications": shown(wanted)}
    add_tenant(identity, tenant, **facts)
    for scenario, services in (("SC12", ["S02"]), ("SC03", ["S18", "S19"])):
        grant = {"grant_id": f"G-{tenant}-{scenario}", "tenant_id": tenant, "scenario": scenario}
        add_grant(identity, bounds, **grant, services=services, **VALID)
    add_client(identity, client, tenant, public(key), **TERMS)
    identity.directory.refresh()
    machine = Machine(client, key, gateway.settings.base_url)
    gateway.machines = {**gateway.machines, client: machine}


def test_every_answer_and_page_says_that_the_data_are_made_up(world: World) -> None:
    asked = {
        "purpose": "development_and_testing",
        "period": {"from": "2024Q1", "to": "2024Q1", "grain": "quarter"},
        "geo": ["990100"], "dims": [], "measures": ["persons"],
    }  # fmt: skip
    told = world.call("POST", "/v1/services/S02/queries", json=asked)
    assert (told.status_code, told.json()["meta"]["data"]) == (200, "合成数据 synthetic")
    pages = ("/portal", "/portal/catalogue", "/transparency", "/person/sign-in", "/console/sign-in")
    for path in (*pages, "/v1/services", "/oauth/token", "/nowhere"):
        reply = world.gateway.http.get(path, follow_redirects=True)
        assert reply.headers.get_list("sluice-data") == ["synthetic"], path
        if path in pages:
            assert "合成数据" in reply.text, path


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
def test_strangers_and_production_have_no_sandbox(
    world: World, gateway: Gateway, method: str, path: str, body: object
) -> None:
    """`gateway` is a production server; its own client finds nothing there."""
    assert world.gateway.http.request(method, path, json=body).status_code == 401
    told = gateway.http.request(method, path, json=body, auth=gateway.auth())
    assert (told.status_code, told.json()["code"]) == (404, "sandbox_only")
    assert "sluice-data" not in told.headers


def test_tokens_of_one_world_are_worth_nothing_in_the_other(world: World, gateway: Gateway) -> None:
    ours, theirs = world.gateway.auth(OWNER), gateway.auth()
    assert gateway.http.get("/v1/services", auth=ours).status_code == 401
    assert world.gateway.http.get("/v1/services", auth=theirs).status_code == 401


def test_production_knows_no_faults(gateway: Gateway) -> None:
    named = {"Sluice-Sandbox-Fault": "unavailable"}
    assert gateway.http.get("/v1/services", auth=gateway.auth(), headers=named).status_code == 200


def test_a_fault_looks_as_the_real_one_and_hits_its_own_client_alone(world: World) -> None:
    def named(fault: str) -> httpx.Response:
        return world.call("GET", "/v1/services", headers={"Sluice-Sandbox-Fault": fault})

    busy, down, unknown = named("rate_limited"), named("unavailable"), named("flood")
    assert (busy.status_code, busy.json()["deny"], busy.headers["retry-after"]) == (
        429,
        ["D801"],
        "2",
    )
    assert (down.status_code, down.json()["code"]) == (503, "release_unavailable")
    assert "retry-after" in down.headers
    assert (
        busy.headers["content-type"] == down.headers["content-type"] == "application/problem+json"
    )
    assert (unknown.status_code, unknown.json()["code"]) == (400, "sandbox_fault")
    assert named("schema_drift").json()["drifted_in_sandbox"] is True
    stranger = world.gateway.http.get("/v1/services", headers={"Sluice-Sandbox-Fault": "slow"})
    assert stranger.status_code == 401
    set_ = world.call("PUT", "/v1/sandbox/fault", json={"fault": "unavailable", "times": 2})
    assert set_.status_code == 204
    assert world.call("GET", "/v1/services", OTHER).status_code == 200
    assert [world.call("GET", "/v1/services").status_code for _ in range(3)] == [503, 503, 200]
    world.call("PUT", "/v1/sandbox/fault", json={"fault": "unavailable", "times": 9})
    world.call("DELETE", "/v1/sandbox/fault")
    assert world.call("GET", "/v1/services").status_code == 200


def test_a_drifted_answer_no_longer_fits_its_schema() -> None:
    body = {"data": [{"period": "2024Q1", "persons": 5}], "meta": {"service": {"version": "1.4"}}}
    assert json.loads(drifted(json.dumps(body).encode())) == {
        "data": [{"period_new": "2024Q1", "persons": "5"}],
        "meta": {"service": {"version": "2.0.0"}},
        "drifted_in_sandbox": True,
    }


def test_an_invented_person_goes_the_whole_way_of_consent(world: World) -> None:
    given = world.ask()
    told = world.answer("patient", world.push(given), sensitive=True)
    assert told.status_code == 200, told.text
    assert told.json()["redirect_to"].startswith(f"{CALLBACK}?code=")
    assert world.state(given) == ("AUTHORISED", ["SETL", "DX_SENSITIVE"])
    held_back = world.ask()
    world.answer("patient", world.push(held_back))
    assert world.state(held_back) == ("AUTHORISED", ["SETL"])
    refused = world.ask()
    told = world.answer("adult", world.push(refused), decision="deny")
    assert "error=access_denied" in told.json()["redirect_to"]
    assert world.state(refused)[0] == "REJECTED"
    for_child = world.ask()
    assert world.answer("child", world.push(for_child)).status_code == 422
    assert world.answer("parent", world.push(for_child), for_child="child").status_code == 200
    assert world.call("DELETE", f"/v1/sandbox/personas/adult/consents/{given}").status_code == 422
    assert world.call("DELETE", f"/v1/sandbox/personas/patient/consents/{given}").status_code == 204
    assert world.state(given)[0] == "REVOKED"
    assert world.answer("nobody", "urn:x").json()["code"] == "sandbox_persona"


def test_another_developers_request_and_consent_are_out_of_reach(world: World) -> None:
    consent = world.ask()
    request_uri = world.push(consent)
    stolen = world.answer("adult", request_uri, OTHER)
    assert (stolen.status_code, stolen.json()["code"]) == (400, "sandbox_request")
    assert world.answer("adult", request_uri).status_code == 200
    taken = world.call("DELETE", f"/v1/sandbox/personas/adult/consents/{consent}", OTHER)
    nobodys = world.call("DELETE", "/v1/sandbox/personas/adult/consents/c-none", OTHER)
    assert (taken.status_code, taken.json()["code"]) == (404, nobodys.json()["code"])
    assert world.state(consent)[0] == "AUTHORISED"


def test_the_owner_alone_moves_the_clock_and_everything_goes_by_it(world: World) -> None:
    """Last in this file: afterwards the tokens that others hold are over."""
    consent = world.ask()
    assert world.answer("adult", world.push(consent)).status_code == 200
    step = {"advance_seconds": 11 * 86_400}
    other = world.call("POST", "/v1/sandbox/clock", OTHER, json=step)
    assert (other.status_code, other.json()["code"]) == (403, "sandbox_clock_owner")
    assert world.call("POST", "/v1/sandbox/clock", json={"advance_seconds": -5}).status_code == 400
    assert world.call("GET", "/v1/sandbox").json()["seconds_ahead"] == 0
    assert world.call("POST", "/v1/sandbox/clock", json=step).status_code == 200
    over = world.call("GET", "/v1/services")
    assert (over.status_code, over.json()["code"]) == (401, "token_expired")
    machine, gateway = world.gateway.machines[OWNER], world.gateway
    client = Sluice(gateway.settings.base_url, OWNER, key=machine.key, clock=gateway.clock)
    with client as sluice:  # the caller's own clock shows the real time, as everybody's does
        assert sluice.call("GET", f"/v1/consents/{consent}").json()["state"] == "EXPIRED"
        assert sluice.call("GET", "/v1/sandbox").json()["seconds_ahead"] == 11 * 86_400


def test_a_clock_goes_forward_only_and_all_processes_see_it(tmp_path: Path) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    one, two = (SandboxClock(tmp_path, lambda: now) for _ in range(2))
    assert (one(), one.advance(timedelta(days=3))) == (now, now + timedelta(days=3))
    assert two() == now + timedelta(days=3)
    two.advance(timedelta(seconds=1))
    assert one.lead() == timedelta(days=3, seconds=1)
    for step in (timedelta(), timedelta(days=-1), MOST):
        with pytest.raises(BadRequest):
            one.advance(step)
    (tmp_path / "world" / "clock.json").unlink()
    assert one.lead() == timedelta(days=3, seconds=1)


def _home(folder: Path, kind: str = "simulate", geo: str = "990100", sha: str = "aa") -> Path:
    """What the guard reads of a home: a version of the warehouse and a release made of it."""
    version, release = folder / "warehouse/versions/v1", folder / "releases/S02/S02-1"
    for place in (version, release):
        place.mkdir(parents=True)
    warehouse = {"version": "v1", "source": {"kind": kind}, "tables": {"setl_d": {"sha256": "aa"}}}
    (version / "manifest.json").write_text(json.dumps(warehouse))
    told = {"inputs": [{"sha256": sha}], "geo": [geo]}
    (release / "manifest.json").write_text(json.dumps(told))
    return folder


def test_a_sandbox_starts_on_simulated_records_alone(tmp_path: Path) -> None:
    check_world(Settings(home=_home(tmp_path / "good"), env="sandbox"))
    (tmp_path / "empty").mkdir()
    homes = [
        _home(tmp_path / "imported", kind="import"),
        _home(tmp_path / "region", geo="310100"),
        _home(tmp_path / "foreign", sha="bb"),  # a release of other tables than those simulated
        tmp_path / "empty",
    ]
    for home in homes:
        with pytest.raises(OperatorError) as refused:
            check_world(Settings(home=home, env="sandbox"))
        assert refused.value.code == "world.not_synthetic", home
        check_world(Settings(home=home))
    with pytest.raises(OperatorError, match="SLUICE_PERSON_DSN_FILE"):
        check_world(Settings(home=tmp_path / "good", env="sandbox", person_dsn_file=tmp_path))
    with pytest.raises(OperatorError, match="oidc"):
        check_world(Settings(home=tmp_path / "good", env="sandbox", person_login="oidc"))


def test_production_does_not_start_with_what_is_a_sandboxs(tmp_path: Path) -> None:
    home = _home(tmp_path / "home")
    check_world(Settings(home=home))
    with pytest.raises(OperatorError, match="sandbox"):
        check_world(Settings(home=home, sandbox_owner="T-DEV"))
    SandboxClock(home, lambda: datetime(2026, 1, 1, tzinfo=UTC)).advance(timedelta(days=1))
    with pytest.raises(OperatorError) as refused:
        check_world(Settings(home=home))
    assert refused.value.code == "world.sandbox_home"
