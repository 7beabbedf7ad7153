"""Attacks by strangers on what everybody shares: the write lock, the database, the failures log.

Nobody without credentials begins a transaction that writes; and when the database cannot be
written, every address says "later" in its own language, never "internal error".
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from gateway.api.admin.endpoint import Endpoint
from gateway.api.admin.router import ENDPOINTS
from tests.consent_factory import Browser, ConsentServer, Pushed, consenting
from tests.staff_factory import Place, open_place

_HIDDEN = re.compile(r'name="(form|hash)" value="([0-9a-f]+)"')
CLIENT = "claims-app"
UNKNOWN = "urn:ietf:params:oauth:request_uri:" + "x" * 43


@contextmanager
def counted(engine: sa.Engine) -> Iterator[list[str]]:
    """Every writing transaction that begins meanwhile."""
    begun: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if statement == "BEGIN IMMEDIATE":
            begun.append(statement)

    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        yield begun
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)


@contextmanager
def locked(server: ConsentServer) -> Iterator[None]:
    """Another process holds the write lock for longer than anybody waits (here 0.1 s)."""
    engine = server.identity.engine

    def hasten(connection: sqlite3.Connection, *_rest: Any) -> None:
        connection.execute("PRAGMA busy_timeout=100")

    def restore(connection: sqlite3.Connection, *_rest: Any) -> None:
        connection.execute("PRAGMA busy_timeout=10000")

    other = sqlite3.connect(str(engine.url.database), isolation_level=None)
    sa.event.listen(engine, "checkout", hasten)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()
        sa.event.remove(engine, "checkout", hasten)
        sa.event.listen(engine, "checkout", restore)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsentServer]:
    with consenting(tmp_path_factory.mktemp("strangers") / "home") as running:
        running.auth()
        running.push(None)  # which sweeps: once a minute the first request, whoever sends it, does
        yield running


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with open_place(tmp_path_factory.mktemp("strangers") / "office") as opened:
        yield opened


def own(server: ConsentServer) -> dict[str, str]:
    form = server.machines[CLIENT].form(server.clock())
    return {name: value for name, value in form.items() if name != "grant_type"}


ADDRESSES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("GET", "/oauth/authorize", {"params": {"client_id": CLIENT, "request_uri": UNKNOWN}}),
    ("POST", "/oauth/token", {"data": {"grant_type": "client_credentials"}}),
    ("POST", "/oauth/token", {"data": {"grant_type": "authorization_code", "code": "x"}}),
    ("POST", "/oauth/par", {"data": {"client_id": CLIENT}}),
    ("POST", "/oauth/introspect", {"data": {"token": "x"}}),
    ("POST", "/oauth/revoke", {"data": {"token": "x"}}),
    ("POST", "/oauth/register", {"json": {"software_statement": "x"}}),
    ("PUT", "/oauth/register/claims-app", {"json": {"client_id": CLIENT}}),
    ("DELETE", "/oauth/register/claims-app", {}),
    ("POST", "/v1/consents", {"json": {}, "headers": {"Idempotency-Key": "a-stranger"}}),
    ("DELETE", "/v1/consents/c-1", {}),
    ("POST", "/v1/events/poll", {"json": {"ack": ["x"]}}),
    ("PUT", "/v1/events/stream", {"json": {}}),
    ("GET", "/person/interactions/x", {}),
    ("POST", "/person/interactions/x/consent", {"data": {"decision": "approve"}}),
    ("POST", "/person/sign-in", {"data": {"person": "adult", "method": "ehic_face"}}),
    ("POST", "/person/sign-out", {"data": {}}),
    ("POST", "/person/consents/c-1/end", {"data": {}}),
    ("GET", "/person/callback", {"params": {"state": "x", "code": "y"}}),
    ("GET", "/me/consents", {}),
    ("POST", "/me/consents/c-1/revoke", {"headers": {"X-CSRF-Token": "x"}}),
)


@pytest.mark.parametrize(("method", "path", "sent"), ADDRESSES)
def test_a_stranger_begins_no_writing_transaction(
    server: ConsentServer, method: str, path: str, sent: dict[str, Any]
) -> None:
    with counted(server.identity.engine) as begun:
        reply = server.http.request(method, path, **sent)
    assert 400 <= reply.status_code < 500
    assert begun == []


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda each: each.operation)
def test_who_has_no_session_begins_no_writing_transaction(place: Place, endpoint: Endpoint) -> None:
    path = re.sub(r"\{\w+\}", "x", endpoint.path)
    with counted(place.identity.engine) as begun:
        reply = place.browser().ask(endpoint.method, path, None if endpoint.method == "GET" else {})
    assert reply.status_code == 401
    assert begun == []


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("/invitations/accept", {"invitation": "x" * 43, "password": "a long password"}),
        ("/invitations/confirm", {"invitation": "x" * 43, "code": "123456"}),
    ],
)
def test_an_invented_invitation_begins_no_writing_transaction(
    place: Place, path: str, form: dict[str, str]
) -> None:
    with counted(place.identity.engine) as begun:
        reply = place.browser().ask("POST", path, form)
    assert 400 <= reply.status_code < 500
    assert begun == []


def test_a_csrf_token_that_is_no_ascii_is_a_wrong_one(place: Place) -> None:
    officer = place.signed_in("policy_officer")
    officer.csrf = "\xe9"
    reply = officer.post("/me/sign-out")
    assert (reply.status_code, reply.json()["code"]) == (403, "csrf")


class Ready:
    """Everything needed to send one good request of every kind that writes."""

    def __init__(self, server: ConsentServer) -> None:
        self.server = server
        self.consent, self.given = server.asked(), server.asked()
        self.visit = self._visit(server.push(self.consent), "adult")
        self._visit(server.push(self.given), "adult").send("consent", decision="approve")
        self.unknown, self.fresh = server.browser(), server.push(self.consent)
        self.unknown.open(self.fresh.address)
        self.pushed = server.push(self.consent)
        self.home, self.outside = server.browser(), server.browser()
        self.outside.open("/person/sign-in")
        self.home.open("/person/sign-in")
        self.home.sign_in("adult")

    def _visit(self, pushed: Pushed, person: str) -> Browser:
        browser = self.server.browser()
        browser.visit(pushed, person)
        return browser

    def form(self, browser: Browser, act: str, **fields: str) -> httpx.Response:
        hidden = dict(_HIDDEN.findall(browser.page.text))
        path = act if act.startswith("/") else f"{browser.page.url.path}/{act}"
        return browser.http.post(path, data={**hidden, **fields})

    def machine(self, path: str, **form: str) -> httpx.Response:
        auth = self.server.plain(CLIENT)
        return self.server.http.post(path, data={**own(self.server), **form}, auth=auth)


def _ask(ready: Ready) -> httpx.Response:
    return ready.server.ask()


def _give_up(ready: Ready) -> httpx.Response:
    path, auth = f"/v1/consents/{ready.consent['consent_id']}", ready.server.auth()
    return ready.server.http.delete(path, auth=auth)


def _stream(ready: Ready) -> httpx.Response:
    method = "urn:ietf:rfc:8935"
    body = {"delivery": {"method": method, "endpoint_url": "http://127.0.0.1:9/x"}}
    return ready.server.http.put("/v1/events/stream", json=body, auth=ready.server.auth())


def _acknowledge(ready: Ready) -> httpx.Response:
    body = {"ack": ["x"], "returnImmediately": True}
    return ready.server.http.post("/v1/events/poll", json=body, auth=ready.server.auth())


def _end(ready: Ready) -> httpx.Response:
    path = f"/person/consents/{ready.given['consent_id']}/end"
    ready.home.open(path)
    return ready.form(ready.home, path)


def _revoke(ready: Ready) -> httpx.Response:
    token = ready.home.http.get("/me/consents").json()["csrf_token"]
    path = f"/me/consents/{ready.given['consent_id']}/revoke"
    return ready.home.http.post(path, headers={"X-CSRF-Token": token})


WRITES: dict[str, Callable[[Ready], httpx.Response]] = {
    "ask": _ask,
    "give up": _give_up,
    "stream": _stream,
    "acknowledge": _acknowledge,
    "end": _end,
    "revoke": _revoke,
    "machine token": lambda r: r.machine("/oauth/token", grant_type="client_credentials"),
    "code": lambda r: r.machine("/oauth/token", grant_type="authorization_code", code="x"),
    "revoke token": lambda r: r.machine("/oauth/revoke", token="x"),
    "introspect": lambda r: r.machine("/oauth/introspect", token="x"),
    "authorize": lambda r: r.server.http.get(r.pushed.address),
    "approve": lambda r: r.form(r.visit, "consent", decision="approve"),
    "sign in": lambda r: r.form(r.unknown, "sign-in", person="adult", method="ehic_face"),
    "sign in at home": lambda r: r.form(
        r.outside, "/person/sign-in", person="adult", method="ehic_face"
    ),
}


@pytest.fixture(scope="module")
def ready(server: ConsentServer) -> Ready:
    return Ready(server)


@pytest.mark.parametrize("write", WRITES)
def test_a_database_that_cannot_be_written_is_said_to_be_busy(
    server: ConsentServer, ready: Ready, write: str
) -> None:
    with locked(server):
        reply = WRITES[write](ready)
    assert reply.status_code == 503, reply.text
    is_page = "/person/" in str(reply.request.url) or "/oauth/authorize" in str(reply.request.url)
    assert is_page or reply.headers["retry-after"]


def test_after_a_busy_moment_the_same_answer_can_be_given(
    server: ConsentServer, ready: Ready
) -> None:
    with locked(server):
        assert WRITES["approve"](ready).status_code == 503
    assert server.state(ready.consent) == "AWAITING_PERSON"
    assert "code=" in WRITES["approve"](ready).headers["location"]
    assert server.state(ready.consent) == "AUTHORISED"
