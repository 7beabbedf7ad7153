"""A relying party against a served authorisation server, step by step, and the person it asks.

HTTP is real; the person's pages are not: the visit is read and finished as those pages do it, in
process. Names, tokens and addresses are visibly invented.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc.jwk import Key

from gateway.authserver.interaction import Approved, Denied, cookie_name
from gateway.consent import changes
from gateway.consent.changes import Answer, Deed
from gateway.consent.record import Actor, Consent, Evidence
from gateway.consent.tokens import for_token
from gateway.db.engine import reading, writing
from gateway.identity.changes import register_client
from gateway.identity.entries import ClientTerms
from gateway.identity.metadata import CONSENT_TYPE
from sluice_client.proof import ProvenBy
from tests.factories_identity import (
    Machine,
    Served,
    act,
    add_tenant,
    new_key,
    public,
    served,
    sign,
)

REDIRECT = "https://claims.insurer.example/callback"
SUBJECT = "subject-token-1"


@dataclass(frozen=True)
class Sent:
    """A pushed request and the verifier only its sender knows."""

    verifier: str
    reply: httpx.Response

    @property
    def request_uri(self) -> str:
        """The name it got."""
        assert self.reply.status_code == 201, self.reply.text
        return str(self.reply.json()["request_uri"])


@dataclass
class RelyingParty:
    """A client registered for codes, with its keys."""

    server: Served
    machine: Machine
    redirect_uri: str = REDIRECT
    prover: ProvenBy = field(init=False)

    def __post_init__(self) -> None:
        self.prover = ProvenBy(self.machine.key, self.server.clock)

    def post(self, path: str, form: Mapping[str, str], **sent: Any) -> httpx.Response:
        """An authenticated form, proved by this party's key unless told otherwise."""
        auth = {
            name: value
            for name, value in self.machine.form(self.server.clock()).items()
            if name != "grant_type"
        }
        fields = {**auth, **form}
        return self.server.http.post(path, **{"data": fields, "auth": self.prover} | sent)

    def parameters(self, verifier: str, **changed: str | None) -> dict[str, str]:
        """Parameters of a good request, with changes; a change to None leaves one out."""
        good: dict[str, str | None] = {
            "client_id": self.machine.client_id,
            "response_type": "code",
            "redirect_uri": self.redirect_uri,
            "scope": "openid",
            "state": "state-of-the-client",
            "nonce": "nonce-of-the-client",
            "code_challenge": create_s256_code_challenge(verifier),
            "code_challenge_method": "S256",
            **changed,
        }
        return {name: value for name, value in good.items() if value is not None}

    def push(self, **changed: str | None) -> Sent:
        """Push a request."""
        verifier = secrets.token_urlsafe(48)
        return Sent(verifier, self.post("/oauth/par", self.parameters(verifier, **changed)))

    def push_signed(
        self, claims: Mapping[str, object] | None = None, **changed: str | None
    ) -> Sent:
        """Push a signed request object."""
        verifier, now = secrets.token_urlsafe(48), int(self.server.clock().timestamp())
        envelope = {
            "iss": self.machine.client_id,
            "aud": self.server.identity.issuer,
            "nbf": now,
            "exp": now + 300,
        }
        content = {**self.parameters(verifier, **changed), **envelope, **(claims or {})}
        header = {"alg": "ES256", "kid": self.machine.key.kid, "typ": "oauth-authz-req+jwt"}
        return Sent(verifier, self.post("/oauth/par", {"request": sign(header, content, self.key)}))

    @property
    def key(self) -> Key:
        """The private key."""
        return self.machine.key

    def visit(self, request_uri: str) -> tuple[str, str]:
        """Send a browser; the visit's name and the cookie the browser got."""
        reply = self.server.http.get(
            "/oauth/authorize",
            params={"client_id": self.machine.client_id, "request_uri": request_uri},
        )
        assert reply.status_code == 303, reply.text
        visit = reply.headers["location"].rpartition("/")[2]
        return visit, reply.cookies[cookie_name(self.server.identity.issuer, visit)]

    def decide(
        self,
        visit: tuple[str, str],
        *,
        approve: bool = True,
        consent: str | None = None,
        subject: str = SUBJECT,
    ) -> str:
        """The person's decision, as the pages make it: consent and code in one transaction."""
        now = self.server.clock()
        outcome = Approved(subject, now) if approve else Denied()
        with writing(self.server.identity.engine) as session:
            if approve and consent is not None:
                changes.authorise(session, consent, answer(now), now)
            return self.server.office.interactions.finish(session, *visit, outcome, now)

    def authorised(self, **changed: str | None) -> tuple[dict[str, str], str]:
        """Push, visit, approve: the parameters of the answer, and the verifier."""
        sent = self.push(**changed)
        return query_of(self.decide(self.visit(sent.request_uri))), sent.verifier

    def exchange(self, code: str, verifier: str | None, **changed: Any) -> httpx.Response:
        """Exchange a code."""
        sent = {name: changed.pop(name) for name in ("auth", "headers") if name in changed}
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "code_verifier": verifier,
            **changed,
        }
        plain = {name: value for name, value in form.items() if value is not None}
        return self.post("/oauth/token", plain, **sent)

    def tokens(self, **changed: str | None) -> dict[str, Any]:
        """The whole flow: a token response."""
        answered, verifier = self.authorised(**changed)
        reply = self.exchange(answered["code"], verifier)
        assert reply.status_code == 200, reply.text
        return dict(reply.json())

    def tokens_for(self, consent: Consent) -> dict[str, Any]:
        """The whole flow for a consent the person gives on the way."""
        sent = self.push(authorization_details=details(consent))
        url = self.decide(self.visit(sent.request_uri), consent=consent.id)
        reply = self.exchange(query_of(url)["code"], sent.verifier)
        assert reply.status_code == 200, reply.text
        return dict(reply.json())

    def refresh(self, refresh_token: str, **sent: Any) -> httpx.Response:
        """Refresh."""
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        return self.post("/oauth/token", form, **sent)

    def introspect(self, token: str) -> dict[str, Any]:
        """What the server says of a token."""
        reply = self.post("/oauth/introspect", {"token": token})
        assert reply.status_code == 200, reply.text
        return dict(reply.json())


def query_of(url: str) -> dict[str, str]:
    """The parameters of an answer, each once."""
    pairs = parse_qsl(urlsplit(url).query, strict_parsing=True)
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def answer(now: datetime, subject: str = SUBJECT) -> Answer:
    """The invented person's yes to everything asked."""
    evidence = Evidence("ehic_pin", "simulated", "0" * 64, now)
    return Answer(subject, ("SELF", "SETL"), "zh", "test-notice", "0" * 64, evidence)


def ask_consent(server: Served, tenant_id: str = "T-INS", **facts: Any) -> Consent:
    """A consent that awaits the person."""
    now = server.clock()
    draft = Consent(
        id=f"C-{secrets.token_hex(6)}",
        tenant_id=tenant_id,
        client_id="claims-app",
        grant_id="G-1",
        product_name="测试产品",
        scenario="SC03",
        purpose_code="claim_settlement",
        services=("S18", "S19"),
        scopes_asked=("SELF", "SETL"),
        scopes=(),
        claim_ref=None,
        policy_ref=None,
        window_from=now.date() - timedelta(days=90),
        window_to=now.date(),
        valid_days=30,
        uses_max=10,
        uses=0,
        channel="online",
        language="zh",
        notice_version="test-notice",
        fields_preview_hash=None,
        subject_hint=None,
        subject_ref=None,
        guardian=None,
        evidence=None,
        state="DRAFT",
        created_at=now,
        answer_by=now + timedelta(minutes=15),
        valid_from=None,
        valid_to=None,
        ended_at=None,
        ended_by=None,
        end_reason=None,
        prev_hash="",
    )
    with writing(server.identity.engine) as session:
        return changes.request(session, replace(draft, **facts), now)


def consent_now(server: Served, consent: Consent) -> str:
    """The state a consent is in."""
    with reading(server.identity.engine) as session:
        found = for_token(session, consent.id, consent.tenant_id, server.clock())
        assert found is not None
        return found.state


def revoke_consent(server: Served, consent: Consent) -> None:
    """The person takes the consent back."""
    deed = Deed(Actor("person", SUBJECT), server.clock(), "test")
    with writing(server.identity.engine) as session:
        changes.revoke(session, consent.id, deed)


def details(consent: Consent, **changed: object) -> str:
    """The authorization_details that ask for a consent."""
    detail = {
        "type": CONSENT_TYPE,
        "consent_id": consent.id,
        "scenario": consent.scenario,
        "purpose": consent.purpose_code,
        "services": list(consent.services),
        "actions": ["read"],
        **changed,
    }
    return json.dumps([{name: value for name, value in detail.items() if value is not None}])


def register(
    server: Served, client_id: str = "claims-app", tenant_id: str = "T-INS", **terms: Any
) -> RelyingParty:
    """A client registered for codes and refresh."""
    key = new_key()
    agreed = {
        "redirect_uris": (REDIRECT,),
        "grant_types": ("authorization_code", "refresh_token", "client_credentials"),
        **terms,
    }
    with writing(server.identity.engine) as session:
        register_client(
            session,
            act(),
            client_id=client_id,
            tenant_id=tenant_id,
            name="测试理赔程序",
            jwks=public(key),
            terms=ClientTerms.model_validate(agreed),
        )
    server.identity.directory.refresh()
    return RelyingParty(server, Machine(client_id, key, server.identity.issuer))


@contextmanager
def relying(home: Path) -> Iterator[RelyingParty]:
    """A served authorisation server with a relying party and another organisation's one."""
    with served(home) as server:
        add_tenant(server.identity, "T-INS2")
        yield register(server)
