"""Default deny: every address needs a token, except a short public list; answers tell nothing."""

from __future__ import annotations

import logging
import socket
import sqlite3
import time

import pytest
from starlette.routing import Route

from gateway.api.queries import PATH
from tests.gateway_factory import COST, Gateway

OTHERWISE_PROVEN = ("/oauth/", "/person", "/me/", "/admin/", "/policy/", "/console", "/portal")
"""Addresses with a proof of their own: client authentication, the person's, the staff's or the
portal's session, the bundle's token; their tests are in test_oauth_*, tests/console, test_admin_*,
test_policy_*, test_console_*, test_portal_*."""
FOR_ALL = ("/pages/", "/transparency")
"""Style sheets, and what the bureau publishes of itself."""
SANDBOX = ("/v1/sandbox", "/v1/conformance")
"""There in a sandbox alone; with a token or without: test_sandbox_world, test_conformance."""
PUBLIC = {
    "/healthz",
    "/v1/fhir/metadata",  # what is spoken, of nobody
    "/readyz",
    "/openapi.json",
    "/oauth/jwks",
    "/oauth/jwks/gm",
    "/.well-known/openid-configuration",
    "/.well-known/oauth-authorization-server",
    "/.well-known/oauth-protected-resource",
    "/.well-known/authzen-configuration",
    "/.well-known/oauth-protected-resource/v1",
}


def routes(gateway: Gateway) -> list[tuple[str, str]]:
    """Every method and address the application serves, however it was added."""
    found, pending = [], list(gateway.app.routes)
    while pending:
        route = pending.pop()
        inner = getattr(getattr(route, "original_router", None), "routes", None)
        if isinstance(route, Route) or hasattr(route, "methods"):
            methods = getattr(route, "methods", None) or {"GET"}
            found += [(method, route.path) for method in methods]  # type: ignore[attr-defined]  # as above
        else:
            pending += inner or getattr(route, "routes", [])
    return sorted(found)


def test_every_route_but_the_public_ones_refuses_who_has_no_token(gateway: Gateway) -> None:
    walked = routes(gateway)
    assert {path for _, path in walked} >= PUBLIC | {"/v1/services", "/v1/usage", PATH}
    guarded = [
        (method, path)
        for method, path in walked
        if path not in PUBLIC and not path.startswith((*OTHERWISE_PROVEN, *FOR_ALL, *SANDBOX))
    ]
    assert len(guarded) >= 4
    for method, path in guarded:
        address = path.replace("{service}", "S02")
        for scheme in ("", "DPoP x.y.z", "Bearer x.y.z", "Basic eDp5"):
            headers = {"Authorization": scheme} if scheme else {}
            reply = gateway.http.request(method, address, headers=headers, json=COST)
            assert reply.status_code == 401, (method, path)
            assert reply.headers["www-authenticate"].startswith("DPoP ")
            assert reply.headers["dpop-nonce"]
            assert reply.headers["content-type"] == "application/problem+json"


def test_what_only_a_sandbox_has_is_not_there_whoever_asks(gateway: Gateway) -> None:
    walked = [(method, path) for method, path in routes(gateway) if path.startswith(SANDBOX)]
    assert len(walked) >= 10
    for method, path in walked:
        for auth in (None, gateway.auth()):
            reply = gateway.http.request(method, path, json=COST, auth=auth)
            assert (reply.status_code, reply.json()["code"]) == (404, "sandbox_only"), (
                method,
                path,
            )


def test_the_public_addresses_answer_without_a_token(gateway: Gateway) -> None:
    for path in PUBLIC:
        assert gateway.http.get(path).status_code == 200, path


def test_who_has_no_token_does_not_learn_which_services_exist(gateway: Gateway) -> None:
    replies = [
        gateway.http.post(f"/v1/services/{service}/queries", json=COST)
        for service in ("S02", "S99")
    ]
    known, unknown = [
        {name: value for name, value in reply.json().items() if name != "request_id"}
        for reply in replies
    ]
    assert known == unknown


def test_a_failed_proof_of_identity_is_on_record(own_gateway: Gateway) -> None:
    for _ in range(3):
        own_gateway.http.post("/v1/services/S02/queries", json=COST)
    path = own_gateway.settings.journal
    own_gateway.app.state.desk.journal.close()
    with sqlite3.connect(path) as db:
        rows = db.execute("SELECT result FROM audit_event WHERE kind = 'login'").fetchall()
    assert rows == [("failed",)]


@pytest.mark.parametrize(
    "path", ["/v1/services/%E2%80%AE/queries", "/x?secret=1", "/v1/usage?month=1"]
)
def test_the_access_log_names_routes_never_addresses(
    gateway: Gateway, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "sluice.access"):
        gateway.http.post(path, json=COST, auth=gateway.auth())
    lines = [record.getMessage() for record in caplog.records if record.name == "sluice.access"]
    assert lines
    for line in lines:
        assert "secret" not in line
        assert "month=1" not in line
        assert "actuarial" not in line
        assert gateway.token() not in line


def test_an_inner_failure_shows_and_logs_no_value(
    own_gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    releases = own_gateway.settings.releases
    for cells in releases.rglob("cells-*.sqlite"):
        cells.unlink()
        cells.write_bytes(b"110101199003078888" * 1000)
    reply = own_gateway.ask()
    assert reply.status_code in {500, 503}
    assert "110101199003078888" not in reply.text + caplog.text
    assert "Traceback" not in reply.text + caplog.text


@pytest.mark.parametrize("path", ["/v1/services/S02/queries", "/oauth/token"])
def test_who_hangs_up_in_the_middle_of_a_body_fills_no_log(
    own_gateway: Gateway, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    start = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n"
    form = "Content-Type: application/x-www-form-urlencoded\r\n\r\na=b"
    with caplog.at_level(logging.INFO, "sluice.access"):
        with socket.create_connection(("127.0.0.1", own_gateway.settings.port), timeout=10) as raw:
            raw.sendall((start + form).encode())
            time.sleep(0.2)
        for _ in range(100):
            if any("POST" in record.getMessage() for record in caplog.records):
                break
            time.sleep(0.05)

    assert [record for record in caplog.records if record.name == "sluice.access"]
    assert not [record for record in caplog.records if record.name == "sluice.failures"]
