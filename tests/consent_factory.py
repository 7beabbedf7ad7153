"""A served consent office: an insurer that asks, invented people who answer, over real HTTP.

Identity, authorisation server, consents, person pages and journal are the gateway's own; only the
data services, which need releases, are left out. The sign-in is the simulated one.
"""

from __future__ import annotations

import json
import re
import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import uvicorn
import yaml
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from fastapi import FastAPI

from gateway.api import consent_office, oauth, problems, reconciliations, rule_packages
from gateway.api.edge import Edge
from gateway.api.oauth_audit import OAuthAudit
from gateway.consent.desk import Consents
from gateway.db.engine import writing
from gateway.identity.changes import register_client
from gateway.identity.desk import Identity
from gateway.identity.entries import ClientTerms
from gateway.identity.metadata import CONSENT_TYPE
from gateway.journal.failures import FailureBudget
from gateway.journal.sqlite import SqliteJournal
from gateway.serving.arrival import Doorkeeper
from gateway.settings import Settings
from sluice_client.proof import ProvenBy
from tests.factories_identity import (
    EVIDENCE,
    Machine,
    MovableClock,
    act,
    add_grant,
    add_tenant,
    new_key,
    office_of,
    open_at,
    public,
)

QUALIFIED = ("licensed_insurer", "claims_system_mlps_level>=3", "fixed_source_ip", "mutual_tls")
CONTACT = "客服 400-000-0000（虚构）"
CALLBACK = "http://127.0.0.1:{port}/callback"
_FORM = re.compile(r'name="form" value="([0-9a-f]+)"')
_HASH = re.compile(r'name="hash" value="([0-9a-f]+)"')


def certno(person: str) -> str:
    """The certificate number of one of the invented people."""
    path = Settings().policies / "person" / "simulated.yaml"
    people = yaml.safe_load(path.read_text(encoding="utf-8"))["people"]
    return str(next(each["certno"] for each in people if each["id"] == person))


@dataclass(frozen=True)
class ConsentServer:
    """The running office and the insurers' machines."""

    identity: Identity
    settings: Settings
    consents: Consents
    journal: SqliteJournal
    app: FastAPI
    http: httpx.Client
    clock: MovableClock
    machines: Mapping[str, Machine]
    redirect_uri: str
    undo: ExitStack
    _auth: dict[str, tuple[timedelta, ProvenBy]] = field(default_factory=dict)

    def auth(self, client: str = "claims-app") -> ProvenBy:
        """What proves the machine of a receiver: a token of the moment, wherever the clock is."""
        shift, proven = self._auth.get(client, (None, None))
        if proven is None or shift != self.clock.shift:
            machine = self.machines[client]
            plain = ProvenBy(machine.key, self.clock)
            reply = self.http.post("/oauth/token", data=machine.form(self.clock()), auth=plain)
            assert reply.status_code == 200, reply.text
            token = reply.json()["access_token"]
            proven = ProvenBy(machine.key, self.clock, token)
            self._auth[client] = (self.clock.shift, proven)
        return proven

    def plain(self, client: str) -> ProvenBy:
        """A proof of the client's key, without a token."""
        return ProvenBy(self.machines[client].key, self.clock)

    def wanted(self, **changed: Any) -> dict[str, Any]:
        """The body of a good request, with changes; a change to None leaves a member out."""
        today = self.clock().date()
        body = {
            "scenario": "SC03",
            "purpose": "claim_verification",
            "services": ["S18", "S19"],
            "scopes": ["SETL"],
            "claim_ref": "CLM-2026-0001",
            "window": {"from": str(today - timedelta(days=60)), "to": str(today)},
            "valid_days": 30,
            "uses_max": 3,
            **changed,
        }
        return {name: value for name, value in body.items() if value is not None}

    def ask(
        self, client: str = "claims-app", key: str | None = None, **changed: Any
    ) -> httpx.Response:
        """Ask for a consent."""
        key = key or secrets.token_hex(8)
        headers = {"Idempotency-Key": key, "Content-Type": "application/json"}
        body = json.dumps(self.wanted(**changed))
        return self.http.post("/v1/consents", content=body, headers=headers, auth=self.auth(client))

    def asked(self, **changed: Any) -> dict[str, Any]:
        """A consent that awaits the person."""
        reply = self.ask(**changed)
        assert reply.status_code == 201, reply.text
        return dict(reply.json())

    def read(self, consent_id: str, client: str = "claims-app") -> httpx.Response:
        """The consent as its receiver sees it."""
        return self.http.get(f"/v1/consents/{consent_id}", auth=self.auth(client))

    def state(self, consent: Mapping[str, Any]) -> str:
        """The state the receiver sees."""
        return str(self.read(consent["consent_id"]).json()["state"])

    def push(self, consent: Mapping[str, Any] | None, client: str = "claims-app") -> Pushed:
        """A pushed authorisation request for a consent, or for identity alone."""
        verifier, machine = secrets.token_urlsafe(48), self.machines[client]
        form = {
            **{k: v for k, v in machine.form(self.clock()).items() if k != "grant_type"},
            "client_id": client,
            "response_type": "code",
            "redirect_uri": self.redirect_uri,
            "scope": "openid",
            "state": "state-of-the-client",
            "code_challenge": create_s256_code_challenge(verifier),
            "code_challenge_method": "S256",
        }
        if consent is not None:
            form["authorization_details"] = details(consent)
        plain = ProvenBy(machine.key, self.clock)
        reply = self.http.post("/oauth/par", data=form, auth=plain)
        assert reply.status_code == 201, reply.text
        query = httpx.QueryParams(client_id=client, request_uri=reply.json()["request_uri"])
        return Pushed(f"{self.identity.issuer}/oauth/authorize?{query}", verifier, client)

    def exchange(self, pushed: Pushed, code: str) -> httpx.Response:
        """Exchange the code a person's answer gave."""
        machine = self.machines[pushed.client]
        form = {
            **{k: v for k, v in machine.form(self.clock()).items() if k != "grant_type"},
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "code_verifier": pushed.verifier,
        }
        return self.http.post("/oauth/token", data=form, auth=ProvenBy(machine.key, self.clock))

    def browser(self) -> Browser:
        """A browser with no cookies yet."""
        client = httpx.Client(base_url=self.identity.issuer, timeout=20)
        return Browser(self.undo.enter_context(client))


@dataclass(frozen=True)
class Pushed:
    """A pushed request: where to send the browser, and what only the client knows."""

    address: str
    verifier: str
    client: str


@dataclass
class Browser:
    """Pages and forms without a browser engine: cookies, one page at a time, 303 followed."""

    http: httpx.Client
    page: httpx.Response = field(init=False)

    def open(self, address: str) -> httpx.Response:
        """Go to an address, and on to where it leads inside the site."""
        return self._follow(self.http.get(address))

    def send(self, act: str, **fields: str | list[str]) -> httpx.Response:
        """Send the page's form; the token and the notice's hash are those of the page."""
        text = self.page.text
        found = {"form": _FORM.search(text), "hash": _HASH.search(text)}
        hidden = {name: match[1] for name, match in found.items() if match}
        if not act.startswith("/"):
            act = f"{self.page.url.path}/{act}"
        return self._follow(self.http.post(act, data={**hidden, **fields}))

    def sign_in(self, person: str, method: str = "ehic_face") -> httpx.Response:
        """Sign in as one of the invented people."""
        act = "/person/sign-in" if self.page.url.path == "/person/sign-in" else "sign-in"
        return self.send(act, person=person, method=method)

    def visit(self, pushed: Pushed, person: str) -> httpx.Response:
        """From the client's redirect to the first screen after sign-in."""
        self.open(pushed.address)
        return self.sign_in(person)

    def _follow(self, reply: httpx.Response) -> httpx.Response:
        site = self.http.base_url.host, self.http.base_url.port
        while reply.status_code == 303:
            target = reply.request.url.join(reply.headers["location"])
            if (target.host, target.port) != site or target.path == "/callback":
                break
            reply = self.http.get(target)
        self.page = reply
        return reply


def answer_of(reply: httpx.Response) -> dict[str, str]:
    """What the client's address was given."""
    assert reply.status_code == 303, reply.text
    return dict(parse_qsl(urlsplit(reply.headers["location"]).query))


def details(consent: Mapping[str, Any]) -> str:
    """The authorization_details that ask for a consent."""
    detail = {
        "type": CONSENT_TYPE,
        "consent_id": consent["consent_id"],
        "scenario": consent["scenario"],
        "purpose": consent["purpose"],
        "services": consent["services"],
        "actions": ["read"],
    }
    return json.dumps([detail])


def enter_insurer(identity: Identity, tenant: str, client: str, redirect_uri: str) -> Machine:
    """An insurer licensed for one-stop claims, and its machine."""
    shown = [
        {"code": code, "valid_to": "2099-12-31", "evidence_hash": EVIDENCE} for code in QUALIFIED
    ]
    name = f"测试健康保险 {tenant}（虚构）"
    add_tenant(identity, tenant, name=name, contact=CONTACT, qualifications=shown)
    today = MovableClock()().date()
    add_grant(
        identity,
        grant_id=f"G-{tenant}",
        tenant_id=tenant,
        scenario="SC03",
        services=["S18", "S19"],
        product_name="测试百万医疗险（虚构）",
        valid_from=today - timedelta(days=1),
        valid_to=today + timedelta(days=300),
    )
    return add_app(identity, tenant, client, redirect_uri)


def add_app(identity: Identity, tenant: str, client: str, redirect_uri: str) -> Machine:
    """A client registered for codes and machine tokens."""
    key = new_key()
    grants = ("authorization_code", "refresh_token", "client_credentials")
    terms = ClientTerms.model_validate({"redirect_uris": (redirect_uri,), "grant_types": grants})
    with writing(identity.engine) as session:
        register_client(
            session,
            act(),
            client_id=client,
            tenant_id=tenant,
            name="测试理赔程序",
            jwks=public(key),
            terms=terms,
        )
    identity.directory.refresh()
    return Machine(client, key, identity.issuer)


def build_app(
    identity: Identity, settings: Settings, journal: SqliteJournal, clock: MovableClock
) -> FastAPI:
    """The application without its data services."""
    app = FastAPI()
    state = app.state
    state.settings, state.clock, state.identity = settings, clock, identity
    state.oauth, state.oauth_audit = office_of(identity, settings), OAuthAudit(journal)
    door = Doorkeeper(identity.verifier, journal, FailureBudget())
    state.desk = SimpleNamespace(door=door, journal=journal)
    oauth.install(app)
    consent_office.install(app, settings, clock)
    rule_packages.install(app, settings)
    reconciliations.install(app)
    problems.install(app)
    app.add_middleware(Edge)
    return app


@contextmanager
def consenting(
    home: Path, port: int = 0, redirect_uri: str = "", **facts: Any
) -> Iterator[ConsentServer]:
    """Serve the office by uvicorn in a thread; the keeper runs only where a test starts it."""
    server = uvicorn.Server(
        uvicorn.Config(FastAPI(), host="127.0.0.1", port=port, log_level="warning", lifespan="off")
    )
    with ExitStack() as undo:
        socket = undo.enter_context(server.config.bind_socket())
        port, clock = socket.getsockname()[1], MovableClock()
        chosen = {"person_login": "simulated", "fetch_loopback": True, **facts}
        identity, settings = open_at(home, port, clock, **chosen)
        undo.callback(identity.close)
        journal = SqliteJournal.open(settings.journal, settings.keys, clock())
        undo.callback(journal.close)
        app = server.config.app = build_app(identity, settings, journal, clock)
        identity.start()
        thread = threading.Thread(target=server.run, args=([socket],), daemon=True)
        thread.start()
        undo.callback(thread.join)
        undo.callback(setattr, server, "should_exit", True)
        redirect_uri = redirect_uri or CALLBACK.format(port=port)
        machines = {
            client: enter_insurer(identity, tenant, client, redirect_uri)
            for tenant, client in (("T-INS", "claims-app"), ("T-INS2", "claims2-app"))
        }
        http = undo.enter_context(httpx.Client(base_url=identity.issuer, timeout=30))
        yield ConsentServer(
            identity=identity,
            settings=settings,
            consents=app.state.consents,
            journal=journal,
            app=app,
            http=http,
            clock=clock,
            machines=machines,
            redirect_uri=redirect_uri,
            undo=undo,
        )
