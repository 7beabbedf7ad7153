"""The mark every answer carries: HMAC of who asked, which decision let it out, and when.

The bureau can recompute it from the journal and so trace an answer found outside (SPEC §8.3).
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime


def tag(key: bytes, tenant: str, decision: str, time: datetime) -> str:
    """32 hex digits, different for every answer; nothing of the inputs can be read from it."""
    stamp = time.astimezone(UTC).isoformat(timespec="milliseconds")
    marked = b"\x00".join(part.encode() for part in ("watermark/1", tenant, decision, stamp))
    return hmac.digest(key, marked, hashlib.sha256)[:16].hex()
