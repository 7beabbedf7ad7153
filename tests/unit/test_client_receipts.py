"""What the client takes for a proof of the log, against the gateway's own tree and notes."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.tlog import merkle, notes
from sluice_client.receipts import NotProven, check_growth, check_inclusion, opened

KEY = Ed25519PrivateKey.generate()
EVENTS = [{"request_id": f"r-{n}", "名": n, "share": n / 8e7} for n in range(40)]
NOTHING = "00" * 32


def hashed(event: dict[str, Any]) -> bytes:
    told = json.dumps(event, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(bytes.fromhex(NOTHING) + told.encode()).digest()


def node(level: int, index: int) -> bytes:
    first, count = index << level, 1 << level
    return merkle.folded([merkle.leaf_hash(hashed(one)) for one in EVENTS[first : first + count]])


def note(size: int, origin: str = "sluice.journal/x", key: Ed25519PrivateKey = KEY) -> str:
    return notes.signed(notes.Note(origin, size, merkle.root(size, node), "aa", "now"), key)


def coded(steps: list[bytes]) -> list[str]:
    return [base64.b64encode(step).decode() for step in steps]


def included(index: int, size: int) -> dict[str, Any]:
    path = coded(merkle.inclusion_proof(index, size, node))
    leaf = hashed(EVENTS[index]).hex()
    told = {"leaf_index": index, "hash": leaf, "prev_hash": NOTHING, "event": EVENTS[index]}
    return {**told, "inclusion": path, "note": note(size)}


def grown(first: int, second: int) -> dict[str, Any]:
    steps = merkle.consistency_proof(first, second, node)
    return {"second_note": note(second), "consistency": coded(steps)}


def other_name(text: str) -> str:
    """The note under another key's name."""
    head, _, seal = text.strip().rpartition(" ")
    octets = base64.b64decode(seal)
    return f"{head} {base64.b64encode(b'none' + octets[4:]).decode()}\n"


def test_every_call_of_every_size_is_proven_and_as_no_other() -> None:
    for size in (1, 2, 3, 7, 8, 9, 21, 32, 40):
        for index in range(size):
            proof = included(index, size)
            assert check_inclusion(json.dumps(proof), KEY.public_key(), f"r-{index}").size == size
            assert (
                check_inclusion(json.dumps(proof | {"event": None}), KEY.public_key(), "any").size
                == size
            )
            for other in {*range(min(size, 21) + 1), size} - {index}:
                with pytest.raises(NotProven):
                    check_inclusion(
                        json.dumps(proof | {"leaf_index": other}), KEY.public_key(), f"r-{index}"
                    )


@pytest.mark.parametrize(
    "change",
    [
        {"event": EVENTS[4] | {"名": 5}},
        {"event": EVENTS[5], "hash": hashed(EVENTS[5]).hex()},
        {"inclusion": []},
        {"inclusion": coded([b"\0" * 32] * 4)},
        {"inclusion": coded([b"\0" * 31] * 4)},
        {"inclusion": None},
        {"hash": "zz"},
        {"leaf_index": -1},
        {"event": "told"},
        {"note": note(13, key=Ed25519PrivateKey.generate())},
        {"note": note(14)},
        {"note": note(13).replace("\n13\n", "\n14\n")},
        {"note": note(13).replace("— sluice.journal/x", "— sluice.journal/y")},
        {"note": other_name(note(13))},
        {"note": "x"},
        {"note": None},
    ],
)
def test_what_was_changed_proves_nothing(change: dict[str, Any]) -> None:
    with pytest.raises(NotProven):
        check_inclusion(json.dumps(included(4, 13) | change), KEY.public_key(), "r-4")
    with pytest.raises(NotProven):
        check_inclusion(json.dumps(included(4, 13)), KEY.public_key(), "r-5")


def test_a_log_that_only_grew_is_told_from_every_other() -> None:
    public = KEY.public_key()
    for second in (1, 2, 3, 8, 13, 40):
        for first in range(1, second + 1):
            kept, proof = opened(note(first), public), grown(first, second)
            assert check_growth(json.dumps(proof), public, kept).size == second
            other = notes.Note("sluice.journal/x", first, b"\1" * 32, "aa", "now")
            with pytest.raises(NotProven):
                check_growth(json.dumps(proof), public, opened(notes.signed(other, KEY), public))
            longer = {"consistency": [*proof["consistency"], *coded([b"\0" * 32])]}
            with pytest.raises(NotProven):
                check_growth(json.dumps(proof | longer), public, kept)


def test_an_older_note_or_another_logs_is_no_growth() -> None:
    public = KEY.public_key()
    with pytest.raises(NotProven):
        check_growth(json.dumps(grown(5, 9)), public, opened(note(10), public))
    with pytest.raises(NotProven):
        check_growth(json.dumps(grown(5, 9)), public, opened(note(5, "sluice.journal/y"), public))
