"""Proofs for those whose calls are in the log: that one is in it, and that it only grew.

A proof is worth something beside a signed note that the caller keeps: two notes that do not follow
from each other show that the log was rewritten, whoever says what.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gateway.errors import NotFound, Unavailable
from gateway.identity.model import Document
from gateway.journal.archived import is_stub
from gateway.journal.proving import Log, Place
from gateway.tlog import merkle
from gateway.tlog.notes import opened, origin_of
from gateway.tlog.tiles import Tree

Own = Callable[[Document], bool]
"""Whether an event is the caller's to ask for; and whether its content may be told."""
WAIT = 2
"""Seconds after which a call that was not signed yet is."""


def inclusion(
    logs: Iterable[Log], request_id: str, key: Ed25519PublicKey, own: Own, told: Own
) -> Document:
    """That the event of a request is under a signed note. Raises `NotFound` where it is not the
    caller's, as where there is none; `Unavailable` (`not_signed_yet`) where no note has it yet."""
    for log in logs:
        place = log.event(request_id)
        if place is None or not own(orjson.loads(place.body)):
            continue
        text = log.tree.note_covering(place.seq)
        if text is None:
            raise Unavailable(
                "not_signed_yet",
                "The call is on record, and no signed note covers it yet; ask again.",
                "该调用已记录，尚未被签名检查点覆盖，请稍后重试。",
                retry_after=WAIT,
            )
        return _inclusion(log, place, text, key, told)
    raise NotFound(
        "unknown_request",
        "No call of yours is on record under this request id.",
        "没有您名下该请求编号的调用记录。",
    )


def consistency(
    logs: Iterable[Log], origin: str, first: int, second: int, key: Ed25519PublicKey
) -> Document:
    """That a log's signed note of size `second` (0: the newest) continues the one of size `first`.
    Raises `NotFound` where there is no such log or note."""
    for log in logs:
        if origin_of(log.journal_id) != origin:
            continue
        old = log.tree.note_of(first)
        new = log.tree.note_of(second) if second else log.tree.newest_note()
        if old is None or new is None or first > opened(new, key).size:
            continue
        size = opened(new, key).size
        proof = merkle.consistency_proof(first, size, Tree(log.tree).node)
        return {
            "origin": origin,
            "first_note": old,
            "second_note": new,
            "consistency": [_coded(step) for step in proof],
        }
    raise NotFound(
        "unknown_note",
        "No log of this origin has signed notes of these sizes; see /v1/audit/checkpoints.",
        "没有该来源及大小的签名检查点。",
    )


def newest(logs: Iterable[Log]) -> Document:
    """The last signed note of every log: keep them, and ask later whether the logs continue."""
    notes = {log.journal_id: log.tree.newest_note() for log in logs}
    return {"notes": [notes[name] for name in sorted(notes) if notes[name] is not None]}


def _inclusion(log: Log, place: Place, text: str, key: Ed25519PublicKey, told: Own) -> Document:
    note = opened(text, key)
    path = merkle.inclusion_proof(place.seq - 1, note.size, Tree(log.tree).node)
    whole = orjson.loads(place.body)
    shown = not is_stub(place.body) and told(whole)
    return {
        "origin": note.origin,
        "leaf_index": place.seq - 1,
        "tree_size": note.size,
        "hash": place.hash.hex(),
        "prev_hash": place.prev_hash.hex(),
        "event": whole if shown else None,
        "inclusion": [_coded(step) for step in path],
        "note": text,
    }


def _coded(step: bytes) -> str:
    return base64.b64encode(step).decode()
