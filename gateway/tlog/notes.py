"""Signed notes (C2SP signed-note) that hold a log's checkpoint (C2SP tlog-checkpoint).

    <origin>            which log
    <size>              how many leaves
    <root>              base64
    <further lines>     ours: `chain <hash of the last event, hex>` and `time <when it was stamped>`
    <empty line>
    — <key name> <base64 of 4 bytes of key id and the Ed25519 signature>

The key's name is the origin, so a note of one log never passes for another's.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ORIGIN = "sluice.journal/"
_ED25519 = b"\x01"


class NotANote(ValueError):
    """The text is no checkpoint of ours, or nobody signed it who may."""


@dataclass(frozen=True, slots=True)
class Note:
    """A log's first `size` leaves have this root."""

    origin: str
    size: int
    root: bytes
    chain: str
    time: str

    def body(self) -> str:
        """What is signed."""
        root = base64.b64encode(self.root).decode()
        return f"{self.origin}\n{self.size}\n{root}\nchain {self.chain}\ntime {self.time}\n"


def origin_of(log: str) -> str:
    """What a journal's notes begin with."""
    return ORIGIN + log


def signed(note: Note, key: Ed25519PrivateKey) -> str:
    """The note with its signature line."""
    body = note.body()
    seal = key_id(note.origin, key.public_key()) + key.sign(body.encode())
    return f"{body}\n— {note.origin} {base64.b64encode(seal).decode()}\n"


def opened(text: str, key: Ed25519PublicKey) -> Note:
    """The checkpoint of a note that this key signed; raises `NotANote`."""
    body, _, seals = text.rpartition("\n\n")
    note = _parsed(f"{body}\n")
    for line in seals.splitlines():
        if _signs(line, note, f"{body}\n".encode(), key):
            return note
    raise NotANote("no signature of the log's key is under the note")


def verifier_key(origin: str, key: Ed25519PublicKey) -> str:
    """The key as a signed-note verifier key: name, id and key."""
    coded = base64.b64encode(_ED25519 + _raw(key)).decode()
    return f"{origin}+{key_id(origin, key).hex()}+{coded}"


def key_id(name: str, key: Ed25519PublicKey) -> bytes:
    """The four bytes that a signature names its key by."""
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + _raw(key)).digest()[:4]


def _signs(line: str, note: Note, body: bytes, key: Ed25519PublicKey) -> bool:
    mark, _, rest = line.partition(" ")
    name, _, coded = rest.partition(" ")
    if mark != "—" or name != note.origin:
        return False
    try:
        seal = base64.b64decode(coded, validate=True)
        if seal[:4] != key_id(name, key):
            return False
        key.verify(seal[4:], body)
    except (InvalidSignature, binascii.Error):
        return False
    return True


def _parsed(body: str) -> Note:
    lines = body.splitlines()
    try:
        origin, size, root, chain, time = lines[:5]
        if not origin.startswith(ORIGIN) or not size.isdecimal():
            raise NotANote("the note is not of a journal")
        if not (chain.startswith("chain ") and time.startswith("time ")):
            raise NotANote("the note does not name the chain's hash and time")
        decoded = base64.b64decode(root, validate=True)
    except (ValueError, binascii.Error) as error:
        raise NotANote("the text is not a checkpoint") from error
    return Note(origin, int(size), decoded, chain[6:], time[5:])


def _raw(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
