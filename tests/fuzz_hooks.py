"""Loaded by schemathesis, in its own process: who asks, with a DPoP proof of each request."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import schemathesis
from requests import PreparedRequest, Response
from requests.auth import AuthBase

from gateway.identity.requester import read_key
from sluice_client.proof import make_proof


class Proven(AuthBase):
    """Adds the token and its proof to what schemathesis is about to send."""

    def __init__(self) -> None:
        self._key = read_key(Path(os.environ["FUZZ_KEY"]))
        self._shift = timedelta(seconds=float(os.environ["FUZZ_CLOCK_SHIFT"]))
        self._token, self._nonce = os.environ["FUZZ_TOKEN"], os.environ["FUZZ_NONCE"]

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        url, now = str(request.url).partition("?")[0], datetime.now(UTC) + self._shift
        request.headers["Authorization"] = f"DPoP {self._token}"
        request.headers["DPoP"] = make_proof(
            self._key,
            str(request.method),
            url,
            now,
            nonce=self._nonce,
            access_token=self._token,
        )
        request.register_hook("response", self._heard)
        return request

    def _heard(self, reply: Response, **_options: Any) -> None:
        self._nonce = reply.headers.get("DPoP-Nonce", self._nonce)


schemathesis.auth.set_from_requests(Proven())


@schemathesis.serializer("application/zip")
def as_octets(_context: object, value: object) -> bytes:
    """What the fuzzer takes for an archive: bytes, or anything as text."""
    return value if isinstance(value, bytes) else str(value).encode()


@schemathesis.serializer("application/jose")
def as_compact(_context: object, value: object) -> bytes:
    """A signed text, or what the fuzzer takes for one."""
    return str(value).encode()
