"""Headers that every answer carries, whoever wrote it: application, last ring or connection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

SAFE: Final[Mapping[str, str]] = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""What an answer may say otherwise: pages have a policy of their own."""
STRICT_TRANSPORT: Final = "max-age=31536000; includeSubDomains"
"""RFC 6797; said where the public address is https, and only there."""
