"""What a client proves itself by: assertions (RFC 7523), DPoP proofs (RFC 9449), certificates."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Callable, Generator
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

import httpx
from joserfc import jwt
from joserfc.jwk import Key

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
PROOF_TYPE: Final = "dpop+jwt"
ALGORITHMS: Final = {"EC": "ES256", "RSA": "PS256", "OKP": "Ed25519"}
_LIFE = 60


def token_hash(access_token: str) -> str:
    """The `ath` of an access token."""
    digest = hashlib.sha256(access_token.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def make_assertion(key: Key, client_id: str, issuer: str, now: datetime) -> str:
    """A client assertion (RFC 7523) good once, for a minute."""
    issued = int(now.timestamp())
    algorithm = str(key.get("alg") or ALGORITHMS[key.key_type])
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
    algorithm = str(key.get("alg") or ALGORITHMS[key.key_type])
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

    def sync_auth_flow(
        self, request: httpx.Request
    ) -> Generator[httpx.Request, httpx.Response, None]:
        """The same; only an answer that may ask for a nonce is read, files arrive as streams."""
        flow = self.auth_flow(request)
        asked = next(flow)
        with suppress(StopIteration):
            while True:
                reply = yield asked
                if reply.status_code == httpx.codes.BAD_REQUEST:
                    reply.read()
                asked = flow.send(reply)

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


class ByCertificate(httpx.Auth):
    """The connection's certificate is the proof; a token goes along as it is (RFC 8705)."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        if self._token is not None:
            request.headers["Authorization"] = f"Bearer {self._token}"
        yield request
