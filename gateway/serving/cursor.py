"""Cursors: opaque, signed places in one caller's one query on one release.

A cursor carries only an offset and a release; the signature also covers the tenant and the
canonical query, so a cursor of somebody else or of another query is simply not a cursor.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass

from gateway.errors import BadRequest

LONGEST = 512
_TAG = 16


@dataclass(frozen=True)
class Place:
    """Where the next page starts, and in which release."""

    release: str
    offset: int


class CursorSeal:
    """Seals places into cursors and opens them again with one secret key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def _sign(self, payload: bytes, tenant: str, query: str) -> bytes:
        bound = b"\x00".join((b"cursor/1", tenant.encode(), query.encode(), payload))
        return hmac.digest(self._key, bound, hashlib.sha256)[:_TAG]

    def seal(self, place: Place, tenant: str, query: str) -> str:
        """A cursor only this tenant can use, with exactly this query."""
        payload = f"{place.offset}:{place.release}".encode()
        sealed = self._sign(payload, tenant, query) + payload
        return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def open(self, cursor: str, tenant: str, query: str) -> Place:
        """The place a cursor marks; anything not sealed for this tenant and query is refused."""
        try:
            sealed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise BadRequest("invalid_cursor", "") from None
        tag, payload = sealed[:_TAG], sealed[_TAG:]
        if not hmac.compare_digest(tag, self._sign(payload, tenant, query)):
            raise BadRequest("invalid_cursor", "")
        offset, _, release = payload.decode().partition(":")
        return Place(release, int(offset))
