"""Checks proofs of the audit log that an organisation asks for after a call.

`GET /v1/audit/inclusion` proves that a call stands in the log, `/v1/audit/consistency` that the log
only grew since a note that was kept (RFC 9162; notes are C2SP's signed-note). The log's key is to
come from elsewhere than the proof: keep the one of the day the connection was set up.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)

from sluice_client.errors import SluiceClientError


class NotProven(SluiceClientError):
    """What was handed over proves nothing: the sentence says which step does not hold."""


@dataclass(frozen=True)
class Note:
    """A signed note: the log `origin` had `size` events, with this root. Keep `text`."""

    origin: str
    size: int
    root: bytes
    text: str


def log_key(pem: str) -> Ed25519PublicKey:
    """The log's key, from PEM. Raises `NotProven` where it is of another kind."""
    try:
        key = load_pem_public_key(pem.encode())
    except ValueError as error:
        raise NotProven("the log's key cannot be read") from error
    if not isinstance(key, Ed25519PublicKey):
        raise NotProven("the log's key is not an Ed25519 key")
    return key


def opened(text: str, key: Ed25519PublicKey) -> Note:
    """The note, if this key signed it under the log's own name. Raises `NotProven`."""
    body, _, seals = text.rpartition("\n\n")
    body += "\n"
    try:
        origin, size, root = body.split("\n")[:3]
        note = Note(origin, int(size), base64.b64decode(root, validate=True), text)
    except ValueError as error:
        raise NotProven("the note is not a checkpoint") from error
    raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    name = hashlib.sha256(origin.encode() + b"\n\x01" + raw).digest()[:4]
    for line in seals.splitlines():
        mark, _, rest = line.partition(" ")
        signer, _, seal = rest.partition(" ")
        if (mark, signer) == ("—", origin) and _signs(key, seal, name, body.encode()):
            return note
    raise NotProven("the log's key did not sign the note")


def check_inclusion(answer: bytes | str, key: Ed25519PublicKey, request_id: str) -> Note:
    """The note under which the call `request_id` is proven to stand. `answer` is the body of
    `/v1/audit/inclusion` as it came; where it tells no event, its hash alone is proven.
    Raises `NotProven`."""
    try:
        proof = _parsed(answer)
        note, event = opened(proof["note"], key), proof["event"]
        leaf, path = bytes.fromhex(proof["hash"]), _steps(proof["inclusion"])
        index, before = int(proof["leaf_index"]), bytes.fromhex(proof["prev_hash"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NotProven("a part of the proof is missing or not of its form") from error
    if event is not None:
        if hashlib.sha256(before + _canonical(event)).digest() != leaf:
            raise NotProven("the event is not the one whose hash is in the log")
        if event.get("request_id") != request_id:
            raise NotProven("the event is of another request")
    if _root(index, note.size, hashlib.sha256(b"\0" + leaf).digest(), path) != note.root:
        raise NotProven("the path does not lead to the note's root")
    return note


def check_growth(answer: bytes | str, key: Ed25519PublicKey, kept: Note) -> Note:
    """The newer note, which is proven to continue the one that was kept. `answer` is the body of
    `/v1/audit/consistency?origin=…&first=<size of the kept note>`. Raises `NotProven`: then show
    both notes to a third party, each is signed."""
    try:
        proof = _parsed(answer)
        new, path = opened(proof["second_note"], key), _steps(proof["consistency"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NotProven("a part of the proof is missing or not of its form") from error
    if new.origin != kept.origin:
        raise NotProven("the notes are of different logs")
    if not _continues(kept, new, path):
        raise NotProven("the log was not only added to since the kept note")
    return new


def _signs(key: Ed25519PublicKey, seal: str, name: bytes, body: bytes) -> bool:
    try:
        octets = base64.b64decode(seal, validate=True)
        key.verify(octets[4:], body)
    except (InvalidSignature, ValueError):
        return False
    return octets[:4] == name


def _parsed(answer: bytes | str) -> Any:
    """JSON whose fractions stay as they are written: what is hashed is the writing."""
    return json.loads(answer, parse_float=lambda number: f"\0{number}\0")


def _canonical(event: Any) -> bytes:
    """An event as it was hashed: sorted names, no spaces."""
    text = json.dumps(event, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return re.sub(r'"\\u0000([0-9.eE+-]+)\\u0000"', r"\1", text).encode()


def _steps(coded: Sequence[str]) -> list[bytes]:
    steps = [base64.b64decode(one, validate=True) for one in coded]
    if any(len(one) != hashlib.sha256().digest_size for one in steps):
        raise ValueError("a step of the path is not a hash")
    return steps


def _parent(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()


def _root(index: int, size: int, leaf: bytes, path: Sequence[bytes]) -> bytes | None:
    """The root a path leads to (RFC 9162 §2.1.3.2), None where it has not the length it must."""
    if not 0 <= index < size:
        return None
    inner = (index ^ (size - 1)).bit_length()
    border = (index >> inner).bit_count()
    if len(path) != inner + border:
        return None
    found = leaf
    for level, step in enumerate(path[:inner]):
        found = _parent(step, found) if index >> level & 1 else _parent(found, step)
    for step in path[inner:]:
        found = _parent(step, found)
    return found


def _continues(old: Note, new: Note, path: list[bytes]) -> bool:
    """Whether a path shows that the new tree begins with the old one (RFC 9162 §2.1.4.2)."""
    if not 0 < old.size <= new.size:
        return False
    if old.size == new.size:
        return not path and old.root == new.root
    steps = path if old.size & (old.size - 1) else [old.root, *path]
    if not steps:
        return False
    # The last whole subtree of the old tree, and how far up it is its level's last.
    shift = (~(old.size - 1) & old.size).bit_length() - 1
    inner = ((old.size - 1) ^ (new.size - 1)).bit_length() - shift
    border = ((old.size - 1) >> (inner + shift)).bit_count()
    if len(steps) != 1 + inner + border:
        return False
    before = after = steps[0]
    place = (old.size - 1) >> shift
    for level, step in enumerate(steps[1 : 1 + inner]):
        if place >> level & 1:
            before, after = _parent(step, before), _parent(step, after)
        else:
            after = _parent(after, step)
    for step in steps[1 + inner :]:
        before, after = _parent(step, before), _parent(step, after)
    return (before, after) == (old.root, new.root)
