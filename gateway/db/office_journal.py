"""The office journal: audit events of what is done in the operational database, one chain.

An event is written in the transaction of its act, so both are there or neither. As in the journal
of calls, hash(n) = SHA-256(hash(n-1) ‖ canonical JSON of event n), and an event's id rises with its
number. Writers take turns (`gateway.db.engine.writing`), so the chain has one end.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.db.chains import NOTHING
from gateway.db.event_ids import tick_in, tick_of, uuid7
from gateway.db.event_kinds import KINDS
from gateway.db.office_tables import OfficeEventRow
from metering.usage import time_text

JOURNAL = "office"
"""What this chain is called among the journals."""
_NOISE_BITS = 62


@dataclass(frozen=True)
class OfficeEvent:
    """What is said of an act; `facts` are further fields of SPEC §8.2, under their names there."""

    kind: str
    result: str
    time: datetime
    actor: Mapping[str, object]
    tenant: str | None = None
    service: str | None = None
    request_id: str | None = None
    facts: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Sought:
    """Which events are asked for, newest first: those before an id, alike in all that is given."""

    before: str = ""
    since: str = ""  # no event of a smaller id
    kind: str = ""
    result: str = ""
    tenant: str = ""
    service: str = ""
    request: str = ""

    def equal(self) -> dict[str, str]:
        """The columns that must hold a given value."""
        named = ("kind", "result", "tenant", "service")
        return {name: getattr(self, name) for name in named if getattr(self, name)}


@dataclass(frozen=True)
class Listed:
    """An event as it lies in a chain: its id, number and links, and its body as it was hashed."""

    event_id: str
    journal: str
    seq: int
    body: str
    prev_hash: str
    hash: str
    decision: str | None = None  # the decision recorded with it, JSON


def record_event(session: Session, event: OfficeEvent) -> str:
    """Grow the chain by one event; returns its id. Call it in a writing transaction."""
    if event.kind not in KINDS:
        raise ValueError(f"{event.kind!r} is not an event kind")
    last = session.execute(_LAST).one_or_none()
    seq, prev, rising = (last.seq + 1, last.hash, tick_in(last.event_id) + 1) if last else _FIRST
    event_id = uuid7(max(rising, tick_of(event.time)), secrets.randbits(_NOISE_BITS))
    body = canonical_body(event, seq, event_id)
    row = OfficeEventRow(
        seq=seq,
        event_id=event_id,
        request_id=event.request_id,
        time=event.time,
        kind=event.kind,
        result=event.result,
        tenant=event.tenant,
        service=event.service,
        body=body,
        prev_hash=prev,
        hash=link(prev, body),
    )
    session.add(row)
    session.flush()
    return event_id


def canonical_body(event: OfficeEvent, seq: int, event_id: str) -> str:
    """The event as JSON with sorted keys and no spaces."""
    said = {
        **event.facts,
        "seq": seq,
        "event_id": event_id,
        "request_id": event.request_id,
        "time": time_text(event.time),
        "kind": event.kind,
        "result": event.result,
        "actor": dict(event.actor),
        "tenant": event.tenant,
        "service": event.service,
    }
    return json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def link(prev: str, body: str) -> str:
    """The hash of an event that follows `prev`."""
    return hashlib.sha256(bytes.fromhex(prev) + body.encode()).hexdigest()


def read_events(session: Session, sought: Sought, limit: int) -> list[Listed]:
    """The newest events that are sought, by their ids, newest first."""
    table = OfficeEventRow
    chosen = sa.select(table).order_by(table.event_id.desc()).limit(limit)
    if sought.before:
        chosen = chosen.where(table.event_id < sought.before)
    if sought.since:
        chosen = chosen.where(table.event_id >= sought.since)
    if sought.request:
        chosen = chosen.where(table.request_id == sought.request)
    chosen = chosen.filter_by(**sought.equal())
    return [
        Listed(row.event_id, JOURNAL, row.seq, row.body, row.prev_hash, row.hash)
        for row in session.scalars(chosen)
    ]


def all_events(session: Session, after: int = 0) -> Iterator[OfficeEventRow]:
    """Every event after a number, in order, a thousand at a time."""
    table = OfficeEventRow
    chosen = sa.select(table).where(table.seq > after).order_by(table.seq)
    yield from session.scalars(chosen.execution_options(yield_per=1000))


def head(session: Session) -> tuple[int, str]:
    """Number and hash of the newest event; 0 and the hash of nothing where there is none."""
    last = session.execute(_LAST).one_or_none()
    return (last.seq, last.hash) if last else (0, NOTHING)


_FIRST = (1, NOTHING, 0)
_LAST = (
    sa.select(OfficeEventRow.seq, OfficeEventRow.event_id, OfficeEventRow.hash)
    .order_by(OfficeEventRow.seq.desc())
    .limit(1)
)
