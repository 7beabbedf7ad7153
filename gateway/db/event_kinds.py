"""The kinds of audit events (SPEC §8.2), whichever chain an event is in."""

from __future__ import annotations

from typing import Final

CALLS: Final = frozenset({"read", "write", "job", "export", "decision"})
KINDS: Final = CALLS | {
    "login",
    "egress-request",
    "egress-review",
    "consent-change",
    "grant-change",
    "policy-change",
    "price-change",
    "key-use",
    "break-glass",
    "config",
    "dq-run",
    "release-publish",
    "release-withdraw",
    "alarm",
}
