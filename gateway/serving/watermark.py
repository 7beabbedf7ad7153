"""The mark every answer carries: HMAC of who asked, which decision let it out, and when.

The bureau can recompute it from the journal and so trace an answer found outside (SPEC §8.3).
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime
from functools import lru_cache


def tag(key: bytes, tenant: str, decision: str, time: datetime) -> str:
    """32 hex digits, different for every answer; nothing of the inputs can be read from it."""
    stamp = time.astimezone(UTC).isoformat(timespec="milliseconds")
    marked = b"\x00".join(part.encode() for part in ("watermark/1", tenant, decision, stamp))
    mac = _keyed(key).copy()
    mac.update(marked)
    return mac.digest()[:16].hex()


@lru_cache(maxsize=4)
def _keyed(key: bytes) -> hmac.HMAC:
    # Of a short text `hmac.digest` would let go of the interpreter, and wait to get it back.
    return hmac.new(key, digestmod=hashlib.sha256)
