"""The hash chain: each audit event is sealed to the one before it, its decision and its usage.

    hash(n) = SHA-256( hash(n-1) ‖ canonical JSON of audit event n )

The event holds the hashes of its decision, its usage and the cells it was charged for, so those
cannot be changed either.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import orjson

from gateway.journal.charges import Cells
from gateway.journal.entry import Draft, Entry, Row, canonical
from metering.usage import time_text


class Sealed(NamedTuple):
    """The rows of one entry, ready to insert, and the new head of the chain."""

    seq: int
    hash: bytes
    audit: Row
    decision: Row | None
    usage: Row | None
    charged: tuple[Row, ...]
    keyed: Row | None
    hashes: tuple[str | None, str | None]
    """Of usage and charged cells, as the event holds them."""


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


def prepare(entry: Entry) -> None:
    """Make what of the entry's rows does not depend on what was recorded before it. The callers'
    loop does it, so that the one writer behind all callers has little left to do. An entry that
    cannot be written is left as it is: the writer says so."""
    try:
        draft = _draft(entry)
    except (TypeError, ValueError, OverflowError):
        return
    object.__setattr__(entry, "draft", draft)


def _draft(entry: Entry) -> Draft:
    decision = None if entry.decision is None else canonical(entry.decision)
    usage = None if entry.usage is None else entry.usage.record()
    used = content_hash(None if usage is None else canonical(usage))
    hashes = (used, cells_hash(entry.charged))
    time = time_text(entry.time) if usage is None else str(usage["time"])
    return Draft(
        _around_seq(entry, time, decision, hashes),
        time,
        None if decision is None else decision.decode(),
        None if usage is None else tuple(usage.values()),
        () if usage is None else tuple((place, _packed(b)) for place, b in entry.charged.items()),
        hashes,
    )


def _around_seq(
    entry: Entry, time: str, decision: bytes | None, hashes: tuple[str | None, str | None]
) -> tuple[bytes, bytes]:
    """The event's canonical JSON before and behind its number, which is not known yet: names are
    in order, and there is something on both sides, the event's id and its time."""
    before: dict[str, object] = {}
    behind: dict[str, object] = {}
    for name, value in entry.audit.items():
        (before if name < "seq" else behind)[name] = value
    before["event_id"], before["request_id"] = entry.event_id, entry.request_id
    if entry.decision is not None:
        before["decision_id"] = entry.decision["decision_id"]
    before["decision_hash"] = content_hash(decision)
    behind["usage_hash"], before["charged_hash"] = hashes
    behind["time"] = time
    return canonical(before)[:-1] + b',"seq":', b"," + canonical(behind)[1:]


def _packed(cells: int) -> bytes:
    return cells.to_bytes((cells.bit_length() + 7) // 8, "big")


def seal(entry: Entry, seq: int, prev: bytes) -> Sealed:
    """The entry as event number `seq` after `prev`."""
    made = entry.draft or _draft(entry)
    before, behind = made.event
    body = b"%b%d%b" % (before, seq, behind)
    digest = link(prev, body)
    return Sealed(
        seq,
        digest,
        (seq, entry.request_id, body.decode(), prev, digest),
        None if made.decision is None else (seq, entry.request_id, made.decision),
        None if made.usage is None else (seq, *made.usage),
        _charged(entry, seq, made),
        _keyed(entry, seq, made.time),
        made.hashes,
    )


def seal_all(entries: Sequence[Entry], seq: int, prev: bytes) -> list[Sealed]:
    """The entries as the events that follow event `seq`, whose hash is `prev`."""
    sealed = []
    for number, entry in enumerate(entries, start=seq + 1):
        one = seal(entry, number, prev)
        prev = one.hash
        sealed.append(one)
    return sealed


def _keyed(entry: Entry, seq: int, time: str) -> Row | None:
    """The key the answer was asked under; its request and what was answered."""
    key, usage = entry.keyed, entry.usage
    if key is None or usage is None:
        return None
    whose = (usage.tenant, key.client, key.key, key.request)
    counted = (usage.release, usage.qty, usage.billable_qty)
    ends = time_text(key.expires)
    return (*whose, seq, entry.event_id, key.answer, *counted, time, ends)


def _charged(entry: Entry, seq: int, made: Draft) -> tuple[Row, ...]:
    if entry.usage is None:
        return ()
    tenant, release, event_id = entry.usage.tenant, entry.usage.release, entry.event_id
    return tuple(
        (tenant, release, place, seq, event_id, made.time, cells) for place, cells in made.charged
    )
