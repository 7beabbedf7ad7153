"""A participant's program as an insurer would write it: httpx, one private key, no Sluice code."""

from __future__ import annotations

import base64
import hashlib
import json
import time
import uuid
from collections.abc import Generator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
from joserfc import jwt
from joserfc.jwk import Key, import_key

from sluice_client.exports import Exports

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass(frozen=True)
class Participant:
    """A client of the gateway: who it is, its private JWK, where the gateway is."""

    client_id: str
    key_file: Path
    base_url: str

    @cached_property
    def key(self) -> Key:
        """The private key; the assertions are signed and the token is bound with it."""
        jwk = json.loads(self.key_file.read_text())
        key: Key = import_key(jwk, jwk["kty"])
        return key

    def assertion(self) -> str:
        """A fresh signed statement of identity, good once and for a minute (RFC 7523)."""
        now = int(time.time())
        claims = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": self.base_url,
            "jti": str(uuid.uuid4()),
            "iat": now,
            "exp": now + 60,
        }
        header = {"alg": "ES256", "kid": self.key.kid or ""}
        return jwt.encode(header, claims, self.key, algorithms=["ES256"])

    def sign_in(self, http: httpx.Client) -> Session:
        """A session with an access token by client credentials, bound to this key."""
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION,
            "client_assertion": self.assertion(),
        }
        reply = http.post("/oauth/token", data=form, auth=Proven(self.key))
        reply.raise_for_status()
        return Session(http, Proven(self.key, str(reply.json()["access_token"])))


class Proven(httpx.Auth):
    """Sends with each request a proof that we hold the key the token is bound to (RFC 9449)."""

    requires_response_body = True

    def __init__(self, key: Key, token: str = "") -> None:
        self.key = key
        self.token = token
        self._nonce = ""

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Ask; where the server hands out its first nonce, ask again with it."""
        reply = yield self._signed(request)
        known, self._nonce = self._nonce, reply.headers.get("dpop-nonce", self._nonce)
        if reply.status_code in (400, 401) and self._nonce != known:
            yield self._signed(request)

    def _signed(self, request: httpx.Request) -> httpx.Request:
        claims = {
            "jti": str(uuid.uuid4()),
            "iat": int(time.time()),
            "htm": request.method,
            "htu": str(request.url.copy_with(query=None)),
        }
        if self._nonce:
            claims["nonce"] = self._nonce
        if self.token:
            digest = hashlib.sha256(self.token.encode()).digest()
            claims["ath"] = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
            request.headers["Authorization"] = f"DPoP {self.token}"
        public = self.key.as_dict(private=False)
        jwk = {name: public[name] for name in ("kty", "crv", "x", "y")}
        header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": jwk}
        request.headers["DPoP"] = jwt.encode(header, claims, self.key, algorithms=["ES256"])
        return request


@dataclass(frozen=True)
class Session:
    """A participant with a token in hand."""

    http: httpx.Client
    proven: Proven

    def ask(self, service: str, question: dict[str, Any]) -> httpx.Response:
        """Put a question to a service."""
        return self.http.post(f"/v1/services/{service}/queries", json=question, auth=self.proven)

    def export(self, service: str, question: dict[str, Any], folder: Path) -> dict[str, Any]:
        """The whole answer to a question as files in a folder; returns the manifest."""
        return Exports(self.http, self.proven).export(service, question, folder)

    def usage(self) -> httpx.Response:
        """What was counted so far this month."""
        return self.http.get("/v1/usage", auth=self.proven)
