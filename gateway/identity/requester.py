"""The client's side: sign an assertion, fetch an access token. For the CLI, the tour and tests."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, import_key

from gateway.errors import OperatorError
from gateway.identity.assertion import ASSERTION_TYPE
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


def fetch_token(issuer: str, client_id: str, key: Key, now: datetime) -> Mapping[str, Any]:
    """The token endpoint's answer; a refusal becomes a sentence with the server's own words."""
    form = token_form(make_assertion(key, client_id, issuer, now))
    try:
        reply = httpx.post(f"{issuer}/oauth/token", data=form, timeout=10)
        body: Mapping[str, Any] = reply.json()
    except (httpx.HTTPError, ValueError) as error:
        raise OperatorError(
            "token.unreachable", f"No token endpoint answers at {issuer}."
        ) from error
    if reply.status_code != httpx.codes.OK:
        said = body.get("error_description") or body.get("error")
        raise OperatorError("token.refused", f"{said} ({body.get('code')})")
    return body
