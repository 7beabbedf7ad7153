"""The hash chain: each audit event is sealed to the one before it, its decision and its usage.

    hash(n) = SHA-256( hash(n-1) ‖ canonical JSON of audit event n )

The event holds the hashes of its decision, its usage and the cells it was charged for, so those
cannot be changed either.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import orjson

from gateway.journal.charges import Cells
from gateway.journal.entry import Entry, canonical
from metering.usage import time_text

Row: TypeAlias = tuple[str | int | bytes | None, ...]


@dataclass(frozen=True, slots=True)
class Sealed:
    """The rows of one entry, ready to insert, and the new head of the chain."""

    seq: int
    hash: bytes
    audit: Row
    decision: Row | None
    usage: Row | None
    charged: tuple[Row, ...]


def genesis(journal_id: str, created: str) -> bytes:
    """The hash before the first event: names this journal, so that no other's tail fits on it."""
    return hashlib.sha256(canonical({"journal": journal_id, "created": created})).digest()


def link(prev: bytes, body: bytes) -> bytes:
    """The hash of an event that follows `prev`."""
    return hashlib.sha256(prev + body).digest()


def content_hash(content: bytes | None) -> str | None:
    """Hash of a decision's or a usage event's canonical JSON, as the audit event carries it."""
    return None if content is None else hashlib.sha256(content).hexdigest()


def cells_hash(cells: Cells) -> str | None:
    """Hash of the cells an answer was charged for; None when there are none."""
    if not cells:
        return None
    return content_hash(orjson.dumps([[place, f"{cells[place]:x}"] for place in sorted(cells)]))


def seal(entry: Entry, seq: int, prev: bytes) -> Sealed:
    """The entry as event number `seq` after `prev`."""
    decision = None if entry.decision is None else canonical(entry.decision)
    usage = None if entry.usage is None else entry.usage.record()
    body = canonical(_event(entry, seq, decision, usage))
    digest = link(prev, body)
    return Sealed(
        seq,
        digest,
        (seq, entry.request_id, body.decode(), prev, digest),
        None if decision is None else (seq, entry.request_id, decision.decode()),
        None if usage is None else (seq, *usage.values()),
        _charged(entry, seq),
    )


def _charged(entry: Entry, seq: int) -> tuple[Row, ...]:
    if entry.usage is None:
        return ()
    whose, event = (entry.usage.tenant, entry.usage.release), (seq, entry.event_id)
    time = time_text(entry.time)
    return tuple(
        (*whose, place, *event, time, bits.to_bytes((bits.bit_length() + 7) // 8, "big"))
        for place, bits in entry.charged.items()
    )


def _event(
    entry: Entry, seq: int, decision: bytes | None, usage: Mapping[str, object] | None
) -> dict[str, object]:
    event = dict(entry.audit)
    event["seq"] = seq
    event["event_id"] = entry.event_id
    event["request_id"] = entry.request_id
    event["time"] = time_text(entry.time)
    if entry.decision is not None:
        event["decision_id"] = entry.decision["decision_id"]
    event["decision_hash"] = content_hash(decision)
    event["usage_hash"] = content_hash(None if usage is None else canonical(usage))
    event["charged_hash"] = cells_hash(entry.charged)
    return event
