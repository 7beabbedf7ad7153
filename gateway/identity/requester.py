"""The client's side for the command line and for tests: keys in files, tokens, calls."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, import_key

from gateway.errors import OperatorError
from gateway.identity.keyring import write_private
from sluice_client.proof import (
    ALGORITHMS,
    ByCertificate,
    ProvenBy,
    make_assertion,
    token_form,
)


def generate_key(path: Path) -> dict[str, Any]:
    """Write a new private JWK that only its owner can read; returns its public part."""
    if path.exists():
        raise OperatorError("key.exists", f"{path} exists already; it is not overwritten.")
    key = ECKey.generate_key("P-256")
    named = {"kid": key.thumbprint(), "use": "sig", "alg": "ES256"}
    write_private(path, {**key.as_dict(private=True), **named})
    return {**key.as_dict(private=False), **named}


def read_key(path: Path) -> Key:
    """The private JWK in a file."""
    try:
        key = import_key(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, JoseError) as error:
        raise OperatorError("key.unreadable", f"Cannot read a JWK from {path}.") from error
    if key.key_type not in ALGORITHMS or not key.is_private:
        raise OperatorError("key.unfit", f"{path} must hold a private EC, RSA or Ed25519 JWK.")
    return key


@dataclass(frozen=True)
class Certificates:
    """What a client needs for TLS beyond the system's own CAs."""

    ca: Path | None = None
    own: Path | None = None
    """Client certificate and its key, in one PEM file."""

    def open(self, issuer: str) -> httpx.Client:
        """An HTTP client for the issuer."""
        trust = ssl.create_default_context(cafile=self.ca)
        if self.own is not None:
            trust.load_cert_chain(self.own)
        return httpx.Client(base_url=issuer, timeout=30, verify=trust)


@dataclass(frozen=True)
class Participant:
    """A registered client that can fetch tokens and call the data API.

    With a key it signs its assertions and proofs; without one its certificate is its proof.
    """

    issuer: str
    client_id: str
    key: Key | None
    clock: Callable[[], datetime]
    certificates: Certificates = Certificates()

    def open(self) -> httpx.Client:
        """An HTTP client for the calls below."""
        return self.certificates.open(self.issuer)

    def token(self, http: httpx.Client) -> Mapping[str, Any]:
        """The token endpoint's answer; a refusal becomes a sentence with the server's own words."""
        try:
            reply = http.post("/oauth/token", data=self._form(), auth=self._proven())
            body: Mapping[str, Any] = reply.json()
        except (httpx.HTTPError, ValueError) as error:
            raise OperatorError(
                "token.unreachable", f"No token endpoint answers at {self.issuer}."
            ) from error
        if reply.status_code != httpx.codes.OK:
            said = body.get("error_description") or body.get("error")
            raise OperatorError("token.refused", f"{said} ({body.get('code')})")
        return body

    def call(
        self,
        http: httpx.Client,
        method: str,
        url: str,
        *,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        token: str | None = None,
    ) -> httpx.Response:
        """One request of the data API, with a token and what proves its sender."""
        sent = token or str(self.token(http)["access_token"])
        try:
            return http.request(
                method, url, content=content, headers=headers, auth=self._proven(sent)
            )
        except httpx.HTTPError as error:
            raise OperatorError("call.unreachable", f"Nobody answers at {self.issuer}.") from error

    def _form(self) -> dict[str, str]:
        if self.key is None:
            return {"grant_type": "client_credentials", "client_id": self.client_id}
        return token_form(make_assertion(self.key, self.client_id, self.issuer, self.clock()))

    def _proven(self, token: str | None = None) -> httpx.Auth:
        if self.key is None:
            return ByCertificate(token)
        return ProvenBy(self.key, self.clock, token)


def fetch_token(issuer: str, client_id: str, key: Key, now: datetime) -> Mapping[str, Any]:
    """One token, without keeping anything."""
    participant = Participant(issuer, client_id, key, lambda: now)
    with participant.open() as http:
        return participant.token(http)
