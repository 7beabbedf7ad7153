"""Replay the audit chain: any edit, removal, insertion or reordering is found and located.

The chain shows changes inside; signed checkpoints show that the end was cut off or that events
were rewritten together with all later hashes. Works on a journal that is being written.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gateway.audit.archive import check_archive
from gateway.audit.findings import Finding, Findings
from gateway.audit.segment import NOTHING_ARCHIVED, Checked
from gateway.audit.treed import TreeCheck, notes_of
from gateway.audit.vouching import vouched
from gateway.journal import checkpoint
from gateway.journal.archived import is_stub, segment_of
from gateway.journal.checkpoint import Checkpoint
from gateway.journal.entry import canonical
from gateway.journal.reader import Recorded, identity, recorded
from gateway.journal.schema import connect_reading
from gateway.journal.seal import cells_hash, content_hash, genesis, link
from gateway.journal.tree import Kept, kept_in
from metering.usage import time_of

IN_FLIGHT = timedelta(minutes=1)
"""Longer than any request is worked on: so far may stamps of neighbours be out of order."""


@dataclass(frozen=True)
class Outside:
    """What is known of a journal from elsewhere: an anchor's copy of its checkpoints, and notes
    that somebody kept."""

    lines: list[tuple[bytes, Checkpoint | None]] = field(default_factory=list)
    notes: tuple[str, ...] = ()


NOTHING_OUTSIDE = Outside()


def no_anchor(_journal: str) -> Outside:
    """Where nothing is known of any journal from elsewhere."""
    return NOTHING_OUTSIDE


NO_TREE = Kept({}, {})


@dataclass(frozen=True)
class Verdict:
    """What was checked, and what is wrong. `unsigned` events follow the last checkpoint: their
    removal from the end could not be seen yet."""

    journal: str
    events: int
    checkpoints: int
    unsigned: int
    head: str
    findings: tuple[Finding, ...]


def verify(path: Path, key: Ed25519PublicKey, outside: Outside = NOTHING_OUTSIDE) -> Verdict:
    """Check the whole journal at `path` against its checkpoints, signed by `key`, and against what
    is known of it from `outside`."""
    found = Findings()
    # Read before the journal: a checkpoint is written after its event, so never ahead of it.
    lines = checkpoint.read(path)
    with closing(connect_reading(path)) as db:
        db.execute("BEGIN")
        journal_id, created = identity(db)
        signed = _Signed(lines, journal_id, key, found)
        signed.compare(outside, journal_id, key, found)
        elsewhere = [*notes_of(signed.by_seq), *outside.notes]
        tree = partial(TreeCheck, journal_id, key, kept_in(db), elsewhere, signed.by_seq)
        walk = _Walk(journal_id, created, signed, found, tree)
        walk.take(check_archive(path, db, key))
        try:
            if not walk.passes(db):
                for event in recorded(db):
                    walk.step(event)
            _orphans(db, found)
        except sqlite3.DatabaseError as error:
            found.add("unreadable", walk.seq + 1, f"the file cannot be read further: {error}")
    return walk.end()


def verify_chain(
    journal_id: str,
    created: str,
    events: Iterable[Recorded],
    lines: list[tuple[bytes, Checkpoint | None]],
    key: Ed25519PublicKey,
    *,
    archive: Checked = NOTHING_ARCHIVED,
    kept: Kept = NO_TREE,
    outside: Outside = NOTHING_OUTSIDE,
) -> Verdict:
    """Check a chain wherever it lies; `lines` are its checkpoints, read before its events."""
    found = Findings()
    signed = _Signed(lines, journal_id, key, found)
    signed.compare(outside, journal_id, key, found)
    elsewhere = [*notes_of(signed.by_seq), *outside.notes]
    tree = partial(TreeCheck, journal_id, key, kept, elsewhere, signed.by_seq)
    walk = _Walk(journal_id, created, signed, found, tree)
    walk.take(archive)
    for event in events:
        walk.step(event)
    return walk.end()


class _Signed:
    """What the checkpoints of a journal say."""

    def __init__(
        self,
        lines: list[tuple[bytes, Checkpoint | None]],
        journal_id: str,
        key: Ed25519PublicKey,
        found: Findings,
    ) -> None:
        trusted = _trusted(lines, journal_id, key, found)
        self.count, self.by_seq = len(lines), {one.seq: one for one in trusted}

    def compare(
        self, outside: Outside, journal_id: str, key: Ed25519PublicKey, found: Findings
    ) -> None:
        """Against the checkpoints that an anchor has: what it has more was put back here."""
        if not outside.lines:
            return
        last = max(self.by_seq, default=0)
        anchored = _trusted(outside.lines, journal_id, key, found)
        further = [one.seq for one in anchored if one.seq > last]
        if further:
            said = f"the anchor has checkpoints up to event {max(further)}, this store up to {last}"
            found.add("rolled_back", last + 1, said, max(further))
        for one in anchored:
            own = self.by_seq.setdefault(one.seq, one)
            if own.hash != one.hash:
                said = f"the anchor has another checkpoint of event {one.seq}"
                found.add("rewritten", one.seq, said)


class _Walk:
    """Follows the chain from event to event."""

    def __init__(
        self,
        journal: str,
        created: str,
        signed: _Signed,
        found: Findings,
        tree: Callable[[], TreeCheck],
    ) -> None:
        self._new_tree = tree
        self._tree = tree()
        self.seq, self.count, self.prev = 0, 0, genesis(journal, created)
        self._journal, self._time = journal, ""
        self._checkpoints, self._signed, self._found = signed.count, signed.by_seq, found
        self._last_good = 0
        self._archive, self._missing = NOTHING_ARCHIVED, set[str]()

    def take(self, archive: Checked) -> None:
        """What the chain's archive is found to be, before its first event."""
        self._archive = archive
        for first, fault in archive.faults:
            self._found.add("archive", first, fault)

    def passes(self, db: sqlite3.Connection) -> bool:
        """Whether a quick pass vouches for all events: then this stands on the last one."""
        end = vouched(db, self.prev, self._signed, IN_FLIGHT, self._tree.add)
        if end is None:
            self._tree = self._new_tree()
        else:
            self.seq = self.count = end.seq
            self.prev = end.hash
        return end is not None

    def step(self, event: Recorded) -> None:
        """Check one event against the one before, then stand on it."""
        self._check_order(event)
        self._check_content(event)
        self._check_signed(event)
        self._tree.add(event.seq, event.hash)
        self.seq, self.prev = event.seq, event.hash
        self.count += 1

    def end(self) -> Verdict:
        """After the last event: every signed event must have been met."""
        missing = [seq for seq in self._signed if seq > self.seq]
        if missing:
            self._found.add(
                "truncated",
                self.seq + 1,
                f"the journal ends at event {self.seq}, a checkpoint signed {max(missing)}",
                max(missing),
            )
        self._tree.end()
        for first, last, fault in self._tree.faults:
            self._found.add("tree", first, fault, last)
        return Verdict(
            journal=self._journal,
            events=self.count,
            checkpoints=self._checkpoints,
            unsigned=max(0, self.seq - max(self._signed, default=0)),
            head=self.prev.hex(),
            findings=tuple(self._found.items),
        )

    def _check_order(self, event: Recorded) -> None:
        if event.seq > self.seq + 1:
            self._found.add(
                "gap",
                self.seq + 1,
                f"events {self.seq + 1} to {event.seq - 1} are missing",
                event.seq - 1,
            )
        elif event.prev_hash != self.prev:
            self._found.add(
                "broken_link",
                max(1, event.seq - 1),
                f"event {event.seq} does not follow from event {event.seq - 1}: one was replaced",
                event.seq,
            )

    def _check_content(self, event: Recorded) -> None:
        if is_stub(event.body):
            self._check_stub(event)
            return
        if link(event.prev_hash, event.body.encode()) != event.hash:
            self._found.add("edited", event.seq, f"audit event {event.seq} was edited")
            return
        body = orjson.loads(event.body)
        for code, ok, message in _claims(event, body):
            if not ok:
                self._found.add(code, event.seq, f"event {event.seq}: {message}")
        self._check_clock(event.seq, str(body.get("time")))

    def _check_stub(self, event: Recorded) -> None:
        """Of an event only its hash is left: the time of its segment is over, or it is lost."""
        name = segment_of(event.body)
        if not self._archive.is_gone(event.seq) and name not in self._missing:
            self._missing.add(name)
            said = f"of event {event.seq}, in segment {name} of the archive, only its hash is left"
            self._found.add("archive_missing", event.seq, said)

    def _check_clock(self, seq: int, time: str) -> None:
        """Events are stamped when a request arrives and stored when it is answered."""
        if time < self._time and time_of(time) < time_of(self._time) - IN_FLIGHT:
            self._found.add("clock", seq, f"event {seq} is older than the one before")
        self._time = max(self._time, time)

    def _check_signed(self, event: Recorded) -> None:
        signed = self._signed.get(event.seq)
        if signed is None:
            return
        if signed.hash == event.hash.hex():
            self._last_good = event.seq
            return
        self._found.add(
            "checkpoint_mismatch",
            self._last_good + 1,
            f"events {self._last_good + 1} to {event.seq} are not those that were signed",
            event.seq,
        )


def _claims(event: Recorded, body: dict[str, object]) -> tuple[tuple[str, bool, str], ...]:
    """What a sealed event says about its number and companions, compared with what is there."""
    usage = None if event.usage is None else canonical(event.usage)
    decision = None if event.decision is None else event.decision.encode()
    return (
        ("reordered", body.get("seq") == event.seq, f"it was sealed as event {body.get('seq')}"),
        ("edited", body.get("request_id") == event.request_id, "its request id was changed"),
        (
            "decision_changed",
            body.get("decision_hash") == content_hash(decision)
            and event.decision_request in {None, event.request_id},
            "its decision was changed, added or removed",
        ),
        (
            "usage_changed",
            body.get("usage_hash") == content_hash(usage),
            "its usage event was changed, added or removed",
        ),
        (
            "charge_changed",
            body.get("charged_hash") == cells_hash({row.place: row.cells for row in event.charged}),
            "the cells it charged were changed, added or removed",
        ),
    )


def _trusted(
    lines: list[tuple[bytes, Checkpoint | None]],
    journal_id: str,
    key: Ed25519PublicKey,
    found: Findings,
) -> list[Checkpoint]:
    """The checkpoints that are signed, of this journal, and in unbroken order."""
    trusted: list[Checkpoint] = []
    prev, seq = "", 0
    for number, (line, one) in enumerate(lines, start=1):
        if one is None or one.journal != journal_id or not one.holds(key):
            found.add("checkpoint_forged", seq + 1, f"checkpoint line {number} is not authentic")
        elif one.prev != prev or one.seq <= seq:
            found.add("checkpoint_gap", seq + 1, f"a checkpoint before line {number} is missing")
            trusted.append(one)
        else:
            trusted.append(one)
        prev, seq = checkpoint.digest(line), seq if one is None else one.seq
    return trusted


def _orphans(db: sqlite3.Connection, found: Findings) -> None:
    """Decisions, usage and charged cells that belong to no audit event."""
    for table in ("decision", "usage_event", "charged_cell"):
        rows = db.execute(
            f"SELECT DISTINCT t.seq FROM {table} t LEFT JOIN audit_event a ON a.seq = t.seq"
            " WHERE a.seq IS NULL"
        )
        for (seq,) in rows:
            found.add("orphan", seq, f"{table} {seq} belongs to no audit event")
