"""Comparing a chain's tree with its events: every full tile and signed note, computed anew."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gateway.journal.checkpoint import Checkpoint
from gateway.journal.tree import Kept
from gateway.tlog.notes import NotANote, Note, opened, origin_of
from gateway.tlog.tiles import Growing


@dataclass
class TreeCheck:
    """Takes the hashes of a chain's events in order, and says what of its tree does not fit them.

    `kept` is what the store has; `elsewhere` are notes from outside of it (checkpoints, an anchor,
    one that a client kept). Events that are `signed` by a checkpoint are compared with it: another
    hash, or none, is said there. `faults` are (first event, last event, what is wrong)."""

    journal: str
    key: Ed25519PublicKey
    kept: Kept
    elsewhere: Iterable[str] = ()
    signed: Mapping[int, Checkpoint] = field(default_factory=dict)
    faults: list[tuple[int, int, str]] = field(default_factory=list)
    _wanted: dict[int, set[str]] = field(default_factory=dict)
    _growing: Growing | None = field(default_factory=Growing)
    _met: set[tuple[int, int]] = field(default_factory=set)
    _good: int = 0

    def __post_init__(self) -> None:
        for size, text in self.kept.notes.items():
            self._wanted.setdefault(size, set()).add(text)
        for text in self.elsewhere:
            note = self._opened(text, 0)
            if note is not None:
                self._wanted.setdefault(note.size, set()).add(text)
                if note.size <= max(self.kept.notes, default=0) and not self._stored(note.size):
                    self._fault(note.size, note.size, "its signed note is not in the store")
        if not self._wanted:
            self._growing = None  # a chain of before there was a tree

    def add(self, seq: int, digest: bytes) -> None:
        """The next event's hash; events without a gap only."""
        if self._growing is None:
            return
        if seq != self._growing.size + 1:
            self._growing = None  # what is missing is named by the walk; no root can be computed
            return
        for tile in self._growing.add(digest):
            place = (tile.level, tile.number)
            self._met.add(place)
            held = self.kept.tiles.get(place)
            due = tile.size <= max(self.kept.notes, default=0)
            if held != tile.hashes and (due or held is not None):
                said = "was changed" if held is not None else "is missing"
                self._fault(self._good + 1, seq, f"tile {place} of the tree {said}")
        wanted = self._wanted.pop(seq, ())
        if wanted:
            root = self._growing.root()
            agree = [self._agrees(seq, digest, text, root) for text in wanted]
            self._good = seq if all(agree) else self._good

    def end(self) -> None:
        """After the last event: no note or tile may speak of more."""
        if self._growing is None:
            return
        size = self._growing.size
        for beyond in sorted(self._wanted):
            if beyond not in self.signed:
                said = f"the log ends at event {size}, a signed note has {beyond}"
                self._fault(size + 1, beyond, said)
        for level, number in sorted(set(self.kept.tiles) - self._met):
            self._fault(size, size, f"tile {(level, number)} of the tree is of no events")

    def _stored(self, size: int) -> bool:
        return size in self.kept.notes

    def _agrees(self, seq: int, digest: bytes, text: str, root: bytes) -> bool:
        note = self._opened(text, seq)
        if note is None:
            return False
        if note.size == seq and note.root == root and note.chain == digest.hex():
            return True
        told = self.signed.get(seq)
        if told is not None and told.hash == note.chain != digest.hex():
            return False  # the checkpoint says the same, and is compared with the event itself
        said = f"events {self._good + 1} to {seq} are not those of the signed note of size {seq}"
        self._fault(self._good + 1, seq, said)
        return False

    def _opened(self, text: str, seq: int) -> Note | None:
        try:
            note = opened(text, self.key)
        except NotANote as error:
            self._fault(seq, seq, f"a note is not authentic: {error}")
            return None
        if note.origin != origin_of(self.journal):
            self._fault(seq, seq, f"a note is of another journal, {note.origin}")
            return None
        return note

    def _fault(self, first: int, last: int, message: str) -> None:
        self.faults.append((first, last, message))


def notes_of(signed: Mapping[int, Checkpoint]) -> list[str]:
    """The notes in checkpoints."""
    return [one.note for one in signed.values() if one.note]
