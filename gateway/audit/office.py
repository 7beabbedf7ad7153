"""Verifying the office journal: any edit, removal or insertion is found and located.

The chain alone cannot show that its end was cut off. So serving processes witness its head in the
journal of calls (`Witness`), whose own checkpoints are signed, anchored and given to clients: who
cuts the office journal has to cut those too.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Protocol

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.audit.findings import Finding, Findings
from gateway.db.chains import NOTHING
from gateway.db.engine import reading
from gateway.db.office_journal import JOURNAL, Sought, all_events, head, link
from gateway.db.office_tables import OfficeEventRow
from gateway.journal.entry import Entry
from gateway.journal.looking import Looking
from gateway.journal.stamp import Stamp
from metering.usage import time_text

REASON: Final = "office_journal_head"
"""Of the events in the journal of calls that witness the office journal."""
SECONDS: Final = 60.0
_PAGE: Final = 1000
_REPEATED: Final = ("seq", "event_id", "request_id", "kind", "result", "tenant", "service")
_CHAINED: Final = ("directory_audit", "staff_audit", "consent_event")
_NUMBER: Final = {"consent_event": "seq"}

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class OfficeVerdict:
    """What was checked, and what is wrong. `unwitnessed` events follow the last that a journal of
    calls vouches for: their removal from the end could not be seen yet."""

    journal: str
    events: int
    witnessed: int
    unwitnessed: int
    head: str
    findings: tuple[Finding, ...]


def verify_office(session: Session, witnesses: Sequence[tuple[int, str]]) -> OfficeVerdict:
    """Check the office journal against numbers and hashes that were witnessed elsewhere."""
    walk = _Walk(session, dict(witnesses))
    for row in all_events(session):
        walk.step(row)
    for seq, digest in witnesses:
        if seq <= walk.seq and walk.met.get(seq) not in {None, digest}:
            message = f"office event {seq} is not the one that was witnessed"
            walk.found.add("witness_mismatch", seq, message)
    last = max((seq for seq, _ in witnesses), default=0)
    if last > walk.seq:
        message = f"the office journal ends at event {walk.seq}, event {last} was witnessed"
        walk.found.add("truncated", walk.seq + 1, message, last)
    return OfficeVerdict(
        JOURNAL, walk.count, len(witnesses), max(0, walk.seq - last), walk.prev, walk.findings()
    )


@dataclass
class _Walk:
    """Follows the chain from event to event."""

    session: Session
    wanted: dict[int, str]
    found: Findings = field(default_factory=Findings)
    met: dict[int, str] = field(default_factory=dict)
    seq: int = 0
    count: int = 0
    prev: str = NOTHING
    event_id: str = ""

    def step(self, row: OfficeEventRow) -> None:
        """Check one event against the one before, then stand on it."""
        if row.seq > self.seq + 1:
            lost = f"office events {self.seq + 1} to {row.seq - 1} are missing"
            self.found.add("gap", self.seq + 1, lost, row.seq - 1)
        elif row.prev_hash != self.prev:
            self.found.add(
                "broken_link", row.seq - 1, f"event {row.seq} does not follow from it", row.seq
            )
        if link(row.prev_hash, row.body) != row.hash:
            self.found.add("edited", row.seq, f"office event {row.seq} was edited")
        else:
            self._check_content(row)
        if row.seq in self.wanted:
            self.met[row.seq] = row.hash
        self.seq, self.prev, self.event_id = row.seq, row.hash, row.event_id
        self.count += 1

    def findings(self) -> tuple[Finding, ...]:
        return tuple(self.found.items)

    def _check_content(self, row: OfficeEventRow) -> None:
        body: dict[str, Any] = json.loads(row.body)
        beside = {name: getattr(row, name) for name in _REPEATED} | {"time": time_text(row.time)}
        differing = sorted(name for name, value in beside.items() if body.get(name) != value)
        if differing:
            message = f"office event {row.seq}: {', '.join(differing)} was altered beside its body"
            self.found.add("edited", row.seq, message)
        if row.event_id <= self.event_id:
            self.found.add("clock", row.seq, f"office event {row.seq} is older than the one before")
        entry = body.get("entry")
        if entry and _hash_of(self.session, entry) != entry["hash"]:
            place = f"{entry['table']} {entry['number']}"
            message = f"office event {row.seq} tells of {place}, which is gone or another"
            self.found.add("entry_changed", row.seq, message)


def _hash_of(session: Session, entry: dict[str, Any]) -> str | None:
    """The hash that the entry of another chain has now."""
    name = str(entry["table"])
    if name not in _CHAINED:
        return None
    table = sa.table(name, sa.column("hash"), sa.column(_NUMBER.get(name, "revision")))
    number = table.c[_NUMBER.get(name, "revision")]
    found: str | None = session.scalar(sa.select(table.c.hash).where(number == entry["number"]))
    return found


def witnesses_in(journal: Looking) -> list[tuple[int, str]]:
    """Every head of the office journal that a journal of calls vouches for."""
    return [(int(seq), str(digest)) for seq, digest in _witnessed(journal)]


def _witnessed(journal: Looking) -> Iterator[tuple[int, str]]:
    before = ""
    while page := journal.events(Sought(before=before, kind="config"), _PAGE):
        for one in page:
            body = json.loads(one.body)
            if body.get("reason") == REASON:
                yield body["office"]["seq"], body["office"]["hash"]
        before = page[-1].event_id


class Journal(Protocol):
    """Where the head is witnessed."""

    def stamp(self, now: datetime) -> Stamp:
        """The id and time of an event."""

    def record(self, entry: Entry) -> Awaitable[object]:
        """Return once it is durable."""


@dataclass
class Witness:
    """Records the head of the office journal in the journal of calls, whenever it has moved."""

    engine: sa.Engine
    journal: Journal
    clock: Callable[[], datetime]
    _seen: int = 0

    async def follow(self) -> None:
        """A look every minute; one that fails is made again."""
        while True:
            await asyncio.sleep(SECONDS)
            try:
                await self.look()
            except Exception as error:  # noqa: BLE001 — what cannot be witnessed now is a minute later
                _log.error("the office journal was not witnessed: %s", type(error).__name__)

    async def look(self) -> None:
        """Witness the head, where it is not the one of the last time."""
        seq, digest = await asyncio.to_thread(self._head)
        if seq > self._seen:
            stamp = self.journal.stamp(self.clock())
            audit: dict[str, object] = {
                "kind": "config",
                "result": "done",
                "reason": REASON,
                "actor": {"user": "sluice"},
                "office": {"seq": seq, "hash": digest},
            }
            entry = Entry(stamp.event_id, stamp.event_id, stamp.time, None, audit, None)
            await self.journal.record(entry)
            self._seen = seq

    def _head(self) -> tuple[int, str]:
        with reading(self.engine) as session:
            return head(session)
