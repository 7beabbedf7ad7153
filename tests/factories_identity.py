"""Tenants, clients, grants, assertions and a served token endpoint, made through the front door.

Everything has a default, so a test says only what it is about. Names are visibly invented.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI
from joserfc import jwt
from joserfc.jwk import ECKey, Key

from gateway.api import oauth
from gateway.api.edge import Edge
from gateway.api.oauth_audit import OAuthAudit
from gateway.api.oauth_office import open_office
from gateway.authserver.office import Office
from gateway.db.engine import writing
from gateway.identity.binding import Presented
from gateway.identity.boundaries import load_boundaries
from gateway.identity.changes import (
    register_client,
    register_tenant,
)
from gateway.identity.desk import Identity, open_identity
from gateway.identity.entries import ClientTerms, GrantEntry, TenantEntry
from gateway.identity.grants import approve_grant, enter_grant
from gateway.identity.model import Client, Grant, Tenant
from gateway.identity.narrowing import Boundaries
from gateway.identity.organisations import set_tenant_status
from gateway.identity.record import Act
from gateway.identity.secrets import secret
from gateway.journal.sqlite import SqliteJournal
from gateway.settings import Settings
from sluice_client.proof import ProvenBy, make_proof, token_form

EVIDENCE = "0" * 64
TODAY = date(2026, 6, 1)
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
QUALIFICATIONS = {
    "insurer": (
        "licensed_health_or_life_insurer",
        "data_security_officer",
        "mlps_level>=3",
        "signed_data_agreement",
    ),
    "pharma": (
        "drug_or_device_marketing_authorisation_holder",
        "compliance_commitment_no_tongfang",
    ),
}


@cache
def project_bounds() -> Boundaries:
    """Scenarios, services and regions of the project's own policies."""
    return load_boundaries(Settings().policies)


def act(actor: str = "测试戊一", at: datetime = NOON, reason: str = "test") -> Act:
    """An act of an invented officer."""
    return Act(actor, at, reason)


def shown(qualifications: Iterable[str]) -> list[dict[str, str]]:
    """Qualifications with their evidence."""
    return [
        {"code": code, "valid_to": "2099-12-31", "evidence_hash": EVIDENCE}
        for code in qualifications
    ]


def tenant_entry(tenant_id: str = "T-INS", kind: str = "insurer", **facts: object) -> TenantEntry:
    """A tenant with every qualification its usual scenario asks for."""
    entry = {
        "id": tenant_id,
        "type": kind,
        "name": f"测试机构 {tenant_id}（虚构）",
        "source_ips": ["127.0.0.0/8", "::1/128"],
        "qualifications": shown(QUALIFICATIONS.get(kind, ())),
        "data_security_officer": "测试丁一",
        **facts,
    }
    return TenantEntry.model_validate(entry)


def grant_entry(
    grant_id: str = "G-1", tenant_id: str = "T-INS", scenario: str = "SC01", **facts: object
) -> GrantEntry:
    """A grant that only narrows its scenario."""
    services = {"SC01": ["S02", "S04", "S06", "S09"], "SC05": ["S06", "S09"]}.get(scenario, [])
    entry = {
        "id": grant_id,
        "tenant": tenant_id,
        "scenario": scenario,
        "product_name": "测试产品",
        "purpose_text": "测试用途",
        "regions": ["990100"],
        "services": services,
        "valid_from": TODAY,
        "valid_to": TODAY + timedelta(days=364),
        "price_plan": "test/2026",
        "agreement_hash": EVIDENCE,
        **facts,
    }
    return GrantEntry.model_validate(entry)


def add_tenant(identity: Identity, tenant_id: str = "T-INS", **facts: Any) -> Tenant:
    """Register a tenant."""
    with writing(identity.engine) as session:
        return register_tenant(session, act(), tenant_entry(tenant_id, **facts))


def add_client(
    identity: Identity, client_id: str, tenant_id: str, jwks: object, **terms: Any
) -> Client:
    """Register a client; a machine with DPoP unless its terms say otherwise."""
    with writing(identity.engine) as session:
        return register_client(
            session,
            act(),
            client_id=client_id,
            tenant_id=tenant_id,
            name="测试程序",
            jwks=jwks,
            terms=ClientTerms(**terms),
        )


def add_grant(identity: Identity, bounds: Boundaries | None = None, **facts: Any) -> Grant:
    """Enter a grant and let two people approve it."""
    bounds = bounds or project_bounds()
    entry = grant_entry(**facts)
    with writing(identity.engine) as session:
        enter_grant(session, act(), entry, bounds)
    for person in ("测试己一", "测试己二"):
        with writing(identity.engine) as session:
            grant = approve_grant(session, act(person), entry.id, bounds)
    return grant


def suspend(identity: Identity, tenant_id: str) -> None:
    """Suspend a tenant."""
    with writing(identity.engine) as session:
        set_tenant_status(session, act(), tenant_id, "suspended")


def new_key(kid: str | None = None) -> ECKey:
    """A private P-256 key with a kid."""
    key = ECKey.generate_key("P-256")
    named = {"kid": kid or key.thumbprint()}
    return ECKey.import_key({**key.as_dict(private=True), **named})


def public(key: Key) -> dict[str, Any]:
    """The public JWK of a key."""
    return dict(key.as_dict(private=False))


@dataclass(frozen=True)
class Machine:
    """A registered client with its private key."""

    client_id: str
    key: Key
    issuer: str
    algorithm: str = "ES256"

    def claims(self, now: datetime, **changes: object) -> dict[str, Any]:
        """The claims of a good assertion, with changes; a change to None leaves the claim out."""
        issued = int(now.timestamp())
        claims = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": self.issuer,
            "jti": f"jti-{time.monotonic_ns()}",
            "iat": issued,
            "exp": issued + 60,
            **changes,
        }
        return {name: value for name, value in claims.items() if value is not None}

    def assertion(self, now: datetime, **changes: object) -> str:
        """A signed assertion, with changed claims."""
        header = {"alg": self.algorithm, "kid": self.key.kid}
        return sign(header, self.claims(now, **changes), self.key)

    def form(self, now: datetime, **changes: object) -> dict[str, str]:
        """A token request's form."""
        return token_form(self.assertion(now, **changes))


IP = "127.0.0.1"
ANYWHERE = "/v1/services"


def proven(
    identity: Identity,
    key: Key,
    now: datetime,
    token: str | None = None,
    *,
    method: str = "GET",
    path: str = ANYWHERE,
    ip: str = IP,
) -> Presented:
    """What a request shows that was proved by this key, with a nonce of this very process."""
    url = f"{identity.issuer}{path}"
    nonce = identity.proofs.nonce(now)
    proof = make_proof(key, method, url, now, nonce=nonce, access_token=token)
    return Presented(method, url, (proof,), ip=ip)


def sign(header: Mapping[str, Any], claims: Mapping[str, Any], key: Key) -> str:
    """A JWT by joserfc, an implementation Sluice's own verifier does not share."""
    return jwt.encode(dict(header), dict(claims), key, algorithms=[header["alg"]])


@dataclass
class MovableClock:
    """The real clock, shifted at will."""

    shift: timedelta = field(default_factory=timedelta)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.shift


@dataclass(frozen=True)
class Served:
    """Identity behind real HTTP on the loopback, with one registered insurer's machine."""

    identity: Identity
    settings: Settings
    machine: Machine
    http: httpx.Client
    clock: MovableClock

    prover: ProvenBy
    office: Office
    app: FastAPI

    def post(self, form: Mapping[str, Any], **asked: Any) -> httpx.Response:
        """One token request, with a proof by the first machine's key unless told otherwise."""
        return self.http.post("/oauth/token", **{"data": dict(form), "auth": self.prover} | asked)

    def token(self, machine: Machine | None = None) -> str:
        """An access token, bound to the first machine's key."""
        reply = self.post((machine or self.machine).form(self.clock()))
        assert reply.status_code == 200, reply.text
        return str(reply.json()["access_token"])


def open_at(
    home: Path, port: int = 8780, clock: MovableClock | None = None, **facts: Any
) -> tuple[Identity, Settings]:
    """Identity on a fresh home, with the project's own policies."""
    settings = Settings(home=home, port=port, **facts)
    clock = clock or MovableClock()
    return open_identity(settings, clock=clock, bounds=project_bounds()), settings


def first_machine(identity: Identity, key: Key | None = None) -> Machine:
    """A tenant, its grant and its client."""
    key = key or new_key()
    add_tenant(identity)
    add_grant(identity)
    add_client(identity, "ins-app", "T-INS", public(key))
    identity.directory.refresh()
    return Machine("ins-app", key, identity.issuer)


def office_of(identity: Identity, settings: Settings) -> Office:
    """The authorisation server of this identity."""
    return open_office(identity, secret(settings.keys, "oauth"))


@contextmanager
def served(home: Path) -> Iterator[Served]:
    """Serve the OAuth routes by uvicorn in a thread, on a free port of the loopback."""
    server = uvicorn.Server(
        uvicorn.Config(FastAPI(), host="127.0.0.1", port=0, log_level="warning", lifespan="off")
    )
    socket = server.config.bind_socket()
    port = socket.getsockname()[1]
    clock = MovableClock()
    identity, settings = open_at(home, port, clock)
    app = FastAPI()
    oauth.install(app)
    app.add_middleware(Edge)
    journal = SqliteJournal.open(settings.journal, settings.keys, clock())
    app.state.identity = identity
    app.state.oauth = office = office_of(identity, settings)
    app.state.oauth_audit = OAuthAudit(journal)
    server.config.app = app
    thread = threading.Thread(target=server.run, args=([socket],), daemon=True)
    identity.start()
    thread.start()
    try:
        with httpx.Client(base_url=identity.issuer, timeout=20) as http:
            machine = first_machine(identity)
            prover = ProvenBy(machine.key, clock)
            yield Served(identity, settings, machine, http, clock, prover, office, app)
    finally:
        server.should_exit = True
        thread.join()
        socket.close()
        journal.close()
        identity.close()
