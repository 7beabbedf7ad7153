"""Signed checkpoints: what the chain's head was, kept beside the journal and not inside it.

The hash chain alone cannot show that its end was cut off, nor that all of it was computed anew.
A checkpoint signs (journal, sequence, hash, time, previous checkpoint) with Ed25519 and is appended
to `<journal>.checkpoints`. Copy that file to a place the gateway's host cannot rewrite: somebody
who can replace both files and holds the key can still cut off what came after the last copy.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from gateway.journal.entry import canonical
from gateway.journal.names import make_folder, sync_names
from gateway.tlog import notes

PRIVATE_KEY = "audit-ed25519.pem"
PUBLIC_KEY = "audit-ed25519.pub"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The chain had this hash at this event. `prev` is the SHA-256 of the line before."""

    journal: str
    seq: int
    hash: str
    time: str
    prev: str
    signature: str
    note: str = ""
    """The signed note of the tree over the events up to `seq` (see `gateway.tlog.notes`); empty in
    checkpoints of before there was a tree, and where the store could not be read."""

    def signed(self) -> bytes:
        """The bytes under the signature."""
        names = ("journal", "seq", "hash", "time", "prev", *(("note",) if self.note else ()))
        return canonical({name: getattr(self, name) for name in names})

    def line(self) -> bytes:
        """The checkpoint as one line of the file."""
        return canonical({**orjson.loads(self.signed()), "signature": self.signature}) + b"\n"

    def holds(self, key: Ed25519PublicKey) -> bool:
        """Whether this key signed it, and a note that says the same of the same event."""
        try:
            key.verify(base64.b64decode(self.signature), self.signed())
            told = notes.opened(self.note, key) if self.note else None
        except (InvalidSignature, ValueError):
            return False
        same = (notes.origin_of(self.journal), self.seq, self.hash)
        return told is None or (told.origin, told.size, told.chain) == same


def path_of(journal: Path) -> Path:
    """Where a journal's checkpoints lie."""
    return journal.with_name(f"{journal.name}.checkpoints")


def digest(line: bytes) -> str:
    """What the next checkpoint says about this line."""
    return hashlib.sha256(line).hexdigest()


def read(journal: Path) -> list[tuple[bytes, Checkpoint | None]]:
    """All whole lines of a journal's checkpoint file; None where a line is not a checkpoint."""
    path = path_of(journal)
    data = path.read_bytes() if path.exists() else b""
    return [(line, _parse(line)) for line in data.splitlines(keepends=True) if line[-1:] == b"\n"]


def _parse(line: bytes) -> Checkpoint | None:
    try:
        return Checkpoint(**orjson.loads(line))
    except (TypeError, ValueError):
        return None


class CheckpointFile:
    """Appends checkpoints, each on stable storage before the next is made."""

    def __init__(self, journal: Path, journal_id: str, keys: Path) -> None:
        self.path = path_of(journal)
        self.journal_id = journal_id
        self._key = signing_key(keys)
        self._prev, self.seq, self.hash, self.time = _resume(self.path)

    def note(self, seq: int, head: bytes, time: str, root: bytes) -> str:
        """The signed note of the tree whose last leaf is the head of the chain."""
        origin = notes.origin_of(self.journal_id)
        return notes.signed(notes.Note(origin, seq, root, head.hex(), time), self._key)

    def append(self, seq: int, head: bytes, time: str, note: str = "") -> None:
        """Sign and store the head of the chain."""
        draft = Checkpoint(self.journal_id, seq, head.hex(), time, self._prev, "", note)
        signature = base64.b64encode(self._key.sign(draft.signed())).decode()
        line = replace(draft, signature=signature).line()
        _append(self.path, line)
        self._prev, self.seq, self.hash, self.time = digest(line), seq, head.hex(), time


def signing_key(keys: Path) -> Ed25519PrivateKey:
    """The audit key of this home, made on first use; only its owner can read it."""
    private = keys / PRIVATE_KEY
    if not private.exists():
        make_folder(keys, 0o700)
        with _alone(keys):
            if not private.exists():
                _write_new_key(keys)
    key = serialization.load_pem_private_key(private.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise TypeError(f"{private} is not an Ed25519 key")
    return key


@contextmanager
def _alone(keys: Path) -> Iterator[None]:
    """One of several starting processes makes the key; the others wait for it."""
    descriptor = os.open(
        keys / f".{PRIVATE_KEY}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
    )
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def public_key(path: Path) -> Ed25519PublicKey:
    """The key that checkpoints are checked with."""
    key = serialization.load_pem_public_key(path.read_bytes())
    if not isinstance(key, Ed25519PublicKey):
        raise TypeError(f"{path} is not an Ed25519 key")
    return key


def _write_new_key(keys: Path) -> None:
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    # The private key appears last and whole: a crash between leaves no half key behind.
    _write_synced(keys / PUBLIC_KEY, public, 0o644)
    fresh = keys / f".{PRIVATE_KEY}.{os.getpid()}"
    fresh.unlink(missing_ok=True)
    _write_synced(fresh, private, 0o600)
    fresh.replace(keys / PRIVATE_KEY)
    sync_names(keys)


def _write_synced(path: Path, content: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _resume(path: Path) -> tuple[str, int, str, str]:
    """Digest of the last whole line, its sequence, hash and time.

    A power cut while a line is being appended may leave rubbish at the end, and may take with it
    the lines in the same sector. What is not a checkpoint is cut off from the end, never from the
    middle; the auditor's copy of the file shows lines that went missing.
    """
    data = path.read_bytes() if path.exists() else b""
    lines = data.splitlines(keepends=True)
    while lines and (lines[-1][-1:] != b"\n" or _parse(lines[-1]) is None):
        lines.pop()
    whole = sum(map(len, lines))
    if whole != len(data):
        os.truncate(path, whole)
    last = _parse(lines[-1]) if lines else None
    return (digest(lines[-1]), last.seq, last.hash, last.time) if last else ("", 0, "", "")


def _append(path: Path, line: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    before = os.fstat(descriptor).st_size
    try:
        if os.write(descriptor, line) != len(line):
            raise OSError("the disk took only part of a checkpoint")
        os.fsync(descriptor)
        if not before:
            sync_names(path.parent)
    except OSError:
        os.ftruncate(descriptor, before)
        raise
    finally:
        os.close(descriptor)
