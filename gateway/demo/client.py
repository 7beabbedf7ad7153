"""A participant's program as an insurer would write it: httpx, one private key, no Sluice code."""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from joserfc import jwt
from joserfc.jwk import import_key

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass(frozen=True)
class Participant:
    """A client of the gateway: who it is, its private JWK, where the gateway is."""

    client_id: str
    key_file: Path
    base_url: str

    def assertion(self) -> str:
        """A fresh signed statement of identity, good once and for a minute (RFC 7523)."""
        jwk = json.loads(self.key_file.read_text())
        key = import_key(jwk, jwk["kty"])
        header = {"alg": "ES256", "kid": key.kid or ""}
        now = int(time.time())
        claims = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": self.base_url,
            "jti": str(uuid.uuid4()),
            "iat": now,
            "exp": now + 60,
        }
        return jwt.encode(header, claims, key, algorithms=["ES256"])

    def token(self, http: httpx.Client) -> str:
        """An access token by client credentials."""
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION,
            "client_assertion": self.assertion(),
        }
        reply = http.post("/oauth/token", data=form)
        reply.raise_for_status()
        return str(reply.json()["access_token"])


@dataclass(frozen=True)
class Session:
    """A participant with a token in hand."""

    http: httpx.Client
    bearer: str

    def ask(self, service: str, question: dict[str, Any]) -> httpx.Response:
        """Put a question to a service."""
        return self.http.post(
            f"/v1/services/{service}/queries", json=question, headers=self._headers
        )

    def usage(self) -> httpx.Response:
        """What was counted so far this month."""
        return self.http.get("/v1/usage", headers=self._headers)

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.bearer}"}
