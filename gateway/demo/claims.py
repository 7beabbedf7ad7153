"""The insurer's claims program: it asks a person for consent, and holds tokens that hang on it."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import httpx
from joserfc import jwt
from joserfc.jwk import KeySet

from gateway.demo.client import ASSERTION, Participant, Proven, Session

CALLBACK = "https://claims.demo-insurer.example/callback"
"""Where the person's browser is sent back; nothing listens there, the demonstration reads it."""
CONSENT = "urn:sluice:params:oauth:consent"


class SceneError(Exception):
    """The scene saw something it must not see; the message says what."""


@dataclass(frozen=True)
class Asked:
    """A pushed authorisation request: where the person answers, and what only we know."""

    address: str
    verifier: str
    state: str


@dataclass(frozen=True)
class Claims:
    """The program with its machine token."""

    http: httpx.Client
    who: Participant
    machine: Session

    def ask(self, day: date) -> Any:  # the parsed JSON of the server
        """Ask for a consent to look at one claim."""
        wanted = {
            "scenario": "SC03",
            "purpose": "claim_verification",
            "services": ["S18", "S19"],
            "scopes": ["SETL", "DX"],
            "claim_ref": f"CLM-{day:%Y%m%d}-001",
            "window": {"from": str(day - timedelta(days=90)), "to": str(day)},
            "valid_days": 30,
            "uses_max": 3,
        }
        key = {"Idempotency-Key": uuid.uuid4().hex}
        return self._json(self._post("/v1/consents", json=wanted, headers=key), 201)

    def push(self, consent: Mapping[str, Any]) -> Asked:
        """Push the request by which the person is to answer (PAR, PKCE, RAR)."""
        verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(16)
        digest = hashlib.sha256(verifier.encode()).digest()
        detail = {
            "type": CONSENT,
            "actions": ["read"],
            **{name: consent[name] for name in ("consent_id", "scenario", "purpose", "services")},
        }
        form = {
            "response_type": "code",
            "redirect_uri": CALLBACK,
            "scope": "openid",
            "state": state,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
            "authorization_details": json.dumps([detail]),
        }
        pushed = self._json(self._proved("/oauth/par", form), 201)
        query = httpx.QueryParams(
            client_id=self.who.client_id, request_uri=str(pushed["request_uri"])
        )
        return Asked(f"/oauth/authorize?{query}", verifier, state)

    def exchange(self, asked: Asked, back: httpx.URL) -> Any:  # the parsed JSON of the server
        """Tokens for the code with which the browser came back."""
        told = back.params
        if (told["state"], told["iss"]) != (asked.state, self.who.base_url):
            raise SceneError("the browser came back with an answer to another question")
        form = {
            "grant_type": "authorization_code",
            "code": told["code"],
            "redirect_uri": CALLBACK,
            "code_verifier": asked.verifier,
        }
        return self._json(self._proved("/oauth/token", form), 200)

    def refresh(self, refresh_token: str) -> httpx.Response:
        """Another access token, if the consent still stands."""
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        return self._proved("/oauth/token", form)

    def use(self, access_token: str) -> httpx.Response:
        """A call with the token that hangs on the person's consent."""
        return self.http.get("/v1/services", auth=Proven(self.who.key, access_token))

    def events(self) -> list[Mapping[str, Any]]:
        """What we have not heard yet: signed events, verified with the published keys."""
        asked = {"maxEvents": 20, "returnImmediately": True}
        sets = self._json(self._post("/v1/events/poll", json=asked), 200)["sets"]
        self._json(self._post("/v1/events/poll", json={"ack": list(sets), "maxEvents": 0}), 200)
        keys = KeySet.import_key_set(self.http.get("/oauth/jwks").json())
        algorithms = ["ES256", "PS256", "EdDSA"]
        return [jwt.decode(each, keys, algorithms=algorithms).claims for each in sets.values()]

    def read(self, consent_id: str) -> Any:  # the parsed JSON of the server
        """The consent as we may see it."""
        reply = self.http.get(f"/v1/consents/{consent_id}", auth=self.machine.proven)
        return self._json(reply, 200)

    def _post(self, path: str, **sent: Any) -> httpx.Response:  # httpx's own arguments
        return self.http.post(path, auth=self.machine.proven, **sent)

    def _proved(self, path: str, form: Mapping[str, str]) -> httpx.Response:
        """A form in our own name, with an assertion that is used once and a proof of our key."""
        said = {
            "client_id": self.who.client_id,
            "client_assertion_type": ASSERTION,
            "client_assertion": self.who.assertion(),
        }
        return self.http.post(path, data={**said, **form}, auth=Proven(self.who.key))

    @staticmethod
    def _json(reply: httpx.Response, status: int) -> Any:  # the parsed JSON of the server
        if reply.status_code != status:
            raise SceneError(f"{reply.url.path} answered {reply.status_code}: {reply.text[:300]}")
        return reply.json()
