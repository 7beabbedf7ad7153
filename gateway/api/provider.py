"""What an OpenID provider says of itself: read by one thread at a time, and remembered.

Whoever presses a sign-in button, however often, makes us ask the provider once in ten minutes, and
once in five seconds while it does not answer; the others are answered from memory at once.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx
from authlib.common.security import is_secure_transport

REMEMBERED = timedelta(minutes=10)
USABLE = timedelta(hours=1)
"""How long what was read is used when the provider does not answer any more."""
SILENCE = timedelta(seconds=5)
"""How long a failure is remembered."""
KEYS_SETTLED = timedelta(seconds=30)
"""Keys younger than this are not read again for a token they do not fit."""
SECONDS = 10.0
_LONGEST = 64 * 1024

_log = logging.getLogger(__name__)


class ProviderSilent(Exception):
    """The provider cannot be read, or describes itself as somebody else."""


@dataclass(frozen=True)
class Described:
    """The provider as it described itself, with its keys."""

    authorization_endpoint: str
    token_endpoint: str
    jwks: Mapping[str, Any]
    says_iss: bool
    read_at: datetime


class Provider:
    """The memory of one provider, shared by the threads of a process."""

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self._reading = threading.Lock()
        self._known: Described | None = None
        self._silent_until: datetime | None = None
        self._tls = httpx.create_ssl_context(trust_env=False)

    def described(self, now: datetime) -> Described:
        """The provider's metadata and keys; raises `ProviderSilent`, soon."""
        known = self._known
        if known is not None and now < known.read_at + REMEMBERED:
            return known
        usable = known if known is not None and now < known.read_at + USABLE else None
        if not self._reading.acquire(blocking=usable is None) and usable is not None:
            return usable  # somebody else is asking
        try:
            return self._once_more(now, usable)
        finally:
            self._reading.release()

    def with_newer_keys(self, now: datetime) -> Described | None:
        """Read again for a token that fits no key; None when that was done just now."""
        with self._reading:
            known = self._known
            if known is not None and now < known.read_at + KEYS_SETTLED:
                return None
            return self._read_or_refuse(now)

    def line(self) -> httpx.Client:
        """A connection to the provider, for one sign-in."""
        return httpx.Client(
            verify=self._tls, timeout=SECONDS, follow_redirects=False, trust_env=False
        )

    def _once_more(self, now: datetime, usable: Described | None) -> Described:
        """Read, unless another thread has done so while this one waited."""
        known = self._known
        if known is not None and now < known.read_at + REMEMBERED:
            return known
        try:
            return self._read_or_refuse(now)
        except ProviderSilent:
            if usable is None:
                raise
            return usable

    def _read_or_refuse(self, now: datetime) -> Described:
        if self._silent_until is not None and now < self._silent_until:
            raise ProviderSilent
        try:
            self._known, self._silent_until = self._read(now), None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError) as error:
            self._silent_until = now + SILENCE
            _log.warning("the provider %s cannot be read: %s", self.issuer, type(error).__name__)
            raise ProviderSilent from error
        return self._known

    def _read(self, now: datetime) -> Described:
        with self.line() as http:
            where = f"{self.issuer.rstrip('/')}/.well-known/openid-configuration"
            said = read_object(http, where)
            if said.get("issuer") != self.issuer:
                raise ValueError("another issuer")
            names = ("authorization_endpoint", "token_endpoint", "jwks_uri")
            asking, exchanging, keys = (str(said[name]) for name in names)
            if not all(map(is_secure_transport, (asking, exchanging, keys))):
                raise ValueError("an endpoint without TLS")
            says_iss = bool(said.get("authorization_response_iss_parameter_supported"))
            return Described(asking, exchanging, read_object(http, keys), says_iss, now)


def read_object(http: httpx.Client, address: str) -> dict[str, Any]:
    """A JSON object of bounded size, had in bounded time; raises `ValueError` for all else."""
    ends, body = time.monotonic() + SECONDS, bytearray()
    with http.stream("GET", address) as answer:
        if answer.status_code != httpx.codes.OK:
            raise ValueError("no document")
        for piece in answer.iter_bytes():
            body += piece
            if len(body) > _LONGEST or time.monotonic() > ends:
                raise ValueError("too long")
    content = json.loads(bytes(body))
    if not isinstance(content, dict):
        raise ValueError("no object")
    return content
