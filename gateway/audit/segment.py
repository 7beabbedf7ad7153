"""One segment of an archive: its file and its signed manifest, written, read back and checked."""

from __future__ import annotations

import base64
import gzip
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from gateway.db.whole import written_whole
from gateway.errors import OperatorError
from gateway.journal.archived import Archived, file_of, read_segment
from gateway.journal.entry import canonical
from gateway.journal.seal import content_hash, link
from metering.usage import time_of

HOT: Final = timedelta(days=180)
"""Network logs are kept at hand for six months by law; nothing younger is archived."""
RETENTION: Final = timedelta(days=1826)
"""Five years; nothing younger is removed."""
SEGMENT: Final = 50_000


@dataclass(frozen=True)
class Manifest:
    """One segment: its events, the links by which they hang in the chain, its file."""

    journal: str
    name: str
    first: int
    last: int
    first_time: str
    last_time: str
    prev_hash: str
    last_hash: str
    events: int
    sha256: str
    signature: str = ""

    def signed(self) -> bytes:
        """The bytes under the signature."""
        return canonical({**asdict(self), "signature": ""})

    def holds(self, key: Ed25519PublicKey) -> bool:
        """Whether this key signed it."""
        try:
            key.verify(base64.b64decode(self.signature), self.signed())
        except (InvalidSignature, ValueError):
            return False
        return True


class Listed(NamedTuple):
    """A segment as its journal lists it, with the links of its first and last event as they are."""

    first: int
    last: int
    name: str
    sha256: str
    is_removed: bool
    prev_hash: str | None
    last_hash: str | None


@dataclass(frozen=True)
class Checked:
    """What is wrong with an archive, as number and sentence, and which events are gone for good,
    as they may be."""

    faults: tuple[tuple[int, str], ...] = ()
    expired: tuple[tuple[int, int], ...] = ()

    def is_gone(self, seq: int) -> bool:
        """Whether this event's file was removed after its time."""
        return any(first <= seq <= last for first, last in self.expired)


NOTHING_ARCHIVED: Final = Checked()


def write_segment(
    folder: Path, journal_id: str, key: Ed25519PrivateKey, events: Sequence[Archived]
) -> Manifest:
    """Put consecutive events into a file with a manifest, and read both back. OperatorError
    (`archive.damaged`) where their chain does not hold: nothing is packed away as if it were true.
    """
    _check(events)
    first, last = events[0].seq, events[-1].seq
    name = f"{first:012d}-{last:012d}"
    with written_whole(file_of(folder, name)) as draft:
        draft.write_bytes(gzip.compress(b"".join(one.line() for one in events), mtime=0))
    if list(read_segment(folder, name)) != list(events):
        raise OperatorError("archive.unreadable", f"Segment {name} reads back otherwise: disk?")
    times = [str(orjson.loads(events[at].body)["time"]) for at in (0, -1)]
    unsigned = Manifest(
        journal=journal_id,
        name=name,
        first=first,
        last=last,
        first_time=times[0],
        last_time=times[1],
        prev_hash=events[0].prev_hash,
        last_hash=events[-1].hash,
        events=len(events),
        sha256=_digest(file_of(folder, name)),
    )
    signature = base64.b64encode(key.sign(unsigned.signed())).decode()
    manifest = Manifest(**{**asdict(unsigned), "signature": signature})
    with written_whole(folder / f"{name}.json") as draft:
        draft.write_bytes(canonical(asdict(manifest)) + b"\n")
    return manifest


def check_segments(
    folder: Path, journal_id: str, listed: Iterable[Listed], newest: datetime, key: Ed25519PublicKey
) -> Checked:
    """Whether every segment is there, is what was signed, hangs in the chain where it was, and was
    not removed before its time. The events of files are checked with the chain."""
    faults, expired = [], []
    for one in listed:
        fault = _fault(folder, journal_id, one, newest, key)
        if fault:
            faults.append((one.first, f"segment {one.name} {fault}"))
        elif one.is_removed:
            expired.append((one.first, one.last))
    return Checked(tuple(faults), tuple(expired))


def _fault(
    folder: Path, journal_id: str, one: Listed, newest: datetime, key: Ed25519PublicKey
) -> str:
    told = _told(folder / f"{one.name}.json", key)
    if told is None or (told.first, told.last, told.sha256) != (one.first, one.last, one.sha256):
        return "has no manifest, or not the one that was signed"
    if (told.journal, told.prev_hash, told.last_hash) != (journal_id, one.prev_hash, one.last_hash):
        return "does not hang in the chain where it was"
    if one.is_removed:
        early = time_of(told.last_time) > newest - RETENTION
        return "was removed before its time" if early else ""
    return "" if _digest(file_of(folder, one.name)) == one.sha256 else "is missing, or another file"


def _told(path: Path, key: Ed25519PublicKey) -> Manifest | None:
    """A manifest that this key signed."""
    try:
        told = Manifest(**orjson.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
    return told if told.holds(key) else None


def _check(events: Sequence[Archived]) -> None:
    """The segment is whole, its own chain holds, and decisions are those it was sealed with."""
    first, last, prev = events[0].seq, events[-1].seq, events[0].prev_hash
    whole = len(events) == last - first + 1
    for one in events:
        computed = link(bytes.fromhex(one.prev_hash), one.body.encode()).hex()
        decision = None if one.decision is None else one.decision.encode()
        sealed = orjson.loads(one.body).get("decision_hash") == content_hash(decision)
        whole = whole and sealed and one.prev_hash == prev and computed == one.hash
        prev = one.hash
    if not whole:
        raise OperatorError(
            "archive.damaged",
            f"Events {first} to {last} are not as they were sealed: run `sluice audit verify`. "
            "Nothing was archived.",
        )


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""
