"""One call as it enters the journal: decision, audit event and usage event, checked for sense."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, TypeAlias

import orjson

from gateway.db.event_kinds import CALLS, KINDS
from gateway.journal.charges import Cells, count
from metering.usage import UsageEvent

BY_CELL = "per_1000_cells"
RESULTS = frozenset({"answered", "refused", "failed", "done", "repeated"})
"""`repeated`: an answer given again under its Idempotency-Key; it was counted the first time."""
# Filled in by the journal itself, so that nobody else can claim them.
OWN = frozenset(
    {"seq", "event_id", "request_id", "time", "decision_hash", "usage_hash", "charged_hash"}
)
Row: TypeAlias = tuple[str | int | bytes | None, ...]


class InvalidEntryError(ValueError):
    """The entry contradicts itself: a mistake in the program that made it."""


@dataclass(frozen=True, slots=True)
class Keyed:
    """The Idempotency-Key of a call: SHA-256 of the key, of the request, of what was answered."""

    client: str
    key: bytes
    request: bytes
    answer: bytes
    expires: datetime


class Draft(NamedTuple):
    """An entry as rows, but for its place in a chain (see `seal.prepare`)."""

    event: tuple[bytes, bytes]
    """Canonical JSON before and behind the event's number."""
    time: str
    decision: str | None
    usage: Row | None
    charged: tuple[tuple[int, bytes], ...]
    """Cells by place, as the store has them."""
    hashes: tuple[str | None, str | None]


@dataclass(frozen=True, slots=True)
class Entry:
    """What happened in one call. `decision` is None only where nothing was decided (a login, a
    configuration change); `usage` exists exactly when an allowed call was answered, and `charged`
    are the cells that it bills. It is stored only if what it `rests_on` is (see `Claim`), and if no
    other answer was given under its key."""

    request_id: str
    event_id: str
    time: datetime
    decision: Mapping[str, object] | None
    audit: Mapping[str, object]
    usage: UsageEvent | None
    charged: Cells = field(default_factory=dict)
    rests_on: tuple[tuple[int, str], ...] = ()
    keyed: Keyed | None = None
    draft: Draft | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        wrong = _decision(self) or _audit(self) or _usage(self)
        if wrong:
            raise InvalidEntryError(wrong)


def canonical(value: Mapping[str, object]) -> bytes:
    """JSON with sorted keys and no spaces: the bytes that are stored and hashed."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def login_failed(event_id: str, time: datetime, reason: str, ip: str, count: int = 1) -> Entry:
    """A failed proof of identity; `count` stands for that many alike (see `failures`)."""
    audit = {
        "kind": "login",
        "result": "failed",
        "reason": reason,
        "actor": {"ip": ip},
        "count": count,
    }
    return Entry(event_id, event_id, time, None, audit, None)


def _decision(entry: Entry) -> str:
    decision = entry.decision
    if decision is None:
        return "a call has no decision" if entry.audit.get("kind") in CALLS else ""
    if not isinstance(decision.get("allow"), bool):
        return "decision.allow must be true or false"
    if not decision.get("decision_id"):
        return "decision.decision_id is missing"
    if decision["allow"] == bool(decision.get("deny")):
        return "a decision allows, or names its denials: one of the two"
    return ""


def _audit(entry: Entry) -> str:
    audit = entry.audit
    if audit.get("kind") not in KINDS:
        return f"audit.kind {audit.get('kind')!r} is not an event kind"
    if audit.get("result") not in RESULTS:
        return f"audit.result {audit.get('result')!r} is not a result"
    if OWN & audit.keys():
        return f"the journal itself writes {sorted(OWN & audit.keys())}"
    if entry.time.tzinfo is None or not entry.request_id or not entry.event_id:
        return "request_id, event_id and a time with zone are required"
    return ""


def _usage(entry: Entry) -> str:
    usage, decision = entry.usage, entry.decision
    allowed = decision is not None and decision["allow"] is True
    answered = entry.audit["result"] == "answered"
    if answered and not allowed:
        return "answered without a decision that allows it"
    if (usage is not None) != answered:
        return "usage belongs to an answered call, and every answered call has one"
    if usage is None or decision is None:
        return (
            "cells are charged or a key is kept without usage"
            if entry.charged or entry.keyed
            else ""
        )
    if (entry.charged or usage.unit == BY_CELL) and count(entry.charged) != usage.billable_qty:
        return "what is billed is not what the charged cells come to"
    pairs = (
        ("request_id", usage.request_id, entry.request_id),
        ("event_id", usage.event_id, entry.event_id),
        ("decision_id", usage.decision_id, decision["decision_id"]),
        ("time", usage.time, entry.time),
        ("cells", usage.qty, entry.audit.get("cells")),
        ("tenant", usage.tenant, entry.audit.get("tenant")),
        ("grant", usage.grant, entry.audit.get("grant")),
        ("service", usage.service, entry.audit.get("service")),
    )
    differing = [name for name, ours, theirs in pairs if ours != theirs]
    return f"usage and audit disagree on {', '.join(differing)}" if differing else ""
