"""The client's side: assertions, DPoP proofs, tokens, calls. For the command line and for tests."""

from __future__ import annotations

import json
import secrets
import ssl
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, import_key

from gateway.errors import OperatorError
from gateway.identity.assertion import ASSERTION_TYPE
from gateway.identity.dpop import PROOF_TYPE, token_hash
from gateway.identity.keyring import write_private

_ALGORITHMS = {"EC": "ES256", "RSA": "PS256", "OKP": "Ed25519"}
_LIFE = 60


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
    if key.key_type not in _ALGORITHMS or not key.is_private:
        raise OperatorError("key.unfit", f"{path} must hold a private EC, RSA or Ed25519 JWK.")
    return key


def make_assertion(key: Key, client_id: str, issuer: str, now: datetime) -> str:
    """A client assertion (RFC 7523) good once, for a minute."""
    issued = int(now.timestamp())
    algorithm = str(key.get("alg") or _ALGORITHMS[key.key_type])
    header = {"alg": algorithm, **({"kid": key.kid} if key.kid else {})}
    claims = {
        "iss": client_id,
        "sub": client_id,
        "aud": issuer,
        "jti": secrets.token_urlsafe(16),
        "iat": issued,
        "exp": issued + _LIFE,
    }
    return jwt.encode(header, claims, key, algorithms=[algorithm])


def token_form(assertion: str) -> dict[str, str]:
    """The form of a token request."""
    return {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": assertion,
    }


def make_proof(
    key: Key,
    method: str,
    url: str,
    now: datetime,
    *,
    nonce: str | None = None,
    access_token: str | None = None,
) -> str:
    """A DPoP proof (RFC 9449 §4) of one request; good once."""
    algorithm = str(key.get("alg") or _ALGORITHMS[key.key_type])
    members = ("kty", "crv", "x", "y", "n", "e")
    public = key.as_dict(private=False)
    jwk = {name: public[name] for name in members if name in public}
    claims: dict[str, Any] = {
        "jti": secrets.token_urlsafe(16),
        "htm": method,
        "htu": url,
        "iat": int(now.timestamp()),
    }
    if nonce is not None:
        claims["nonce"] = nonce
    if access_token is not None:
        claims["ath"] = token_hash(access_token)
    header = {"alg": algorithm, "typ": PROOF_TYPE, "jwk": jwk}
    return jwt.encode(header, claims, key, algorithms=[algorithm])


class ProvenBy(httpx.Auth):
    """Proves every request of an httpx client with one key, and sends the token if there is one.

    The server's nonce is remembered; a request refused for lack of it is sent once more.
    """

    requires_response_body = True

    def __init__(
        self, key: Key, clock: Callable[[], datetime], access_token: str | None = None
    ) -> None:
        self.key = key
        self.nonce: str | None = None
        self._clock = clock
        self._token = access_token

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        reply = yield self._proven(request)
        self.nonce = reply.headers.get("dpop-nonce", self.nonce)
        if _asks_for_nonce(reply):
            reply = yield self._proven(request)
            self.nonce = reply.headers.get("dpop-nonce", self.nonce)

    def _proven(self, request: httpx.Request) -> httpx.Request:
        url = str(request.url.copy_with(query=None, fragment=None))
        request.headers["DPoP"] = make_proof(
            self.key,
            request.method,
            url,
            self._clock(),
            nonce=self.nonce,
            access_token=self._token,
        )
        if self._token is not None:
            request.headers["Authorization"] = f"DPoP {self._token}"
        return request


def _asks_for_nonce(reply: httpx.Response) -> bool:
    if reply.status_code == httpx.codes.UNAUTHORIZED:
        return 'error="use_dpop_nonce"' in reply.headers.get("www-authenticate", "")
    return reply.status_code == httpx.codes.BAD_REQUEST and b'"use_dpop_nonce"' in reply.content


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
            return _ByCertificate(token)
        return ProvenBy(self.key, self.clock, token)


class _ByCertificate(httpx.Auth):
    """The connection's certificate is the proof; a token goes along as it is (RFC 8705)."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        if self._token is not None:
            request.headers["Authorization"] = f"Bearer {self._token}"
        yield request


def fetch_token(issuer: str, client_id: str, key: Key, now: datetime) -> Mapping[str, Any]:
    """One token, without keeping anything."""
    participant = Participant(issuer, client_id, key, lambda: now)
    with participant.open() as http:
        return participant.token(http)
