"""Check an audit trail of Sluice without Sluice: Python 3.9 or later, its standard library alone.

    sluice_audit.py export EXPORT.jsonl --key audit-ed25519.pub [--checkpoints FILE] [--note FILE]
    sluice_audit.py inclusion PROOF.json --key audit-ed25519.pub [--request ID]
    sluice_audit.py consistency PROOF.json --key audit-ed25519.pub [--note FILE]

`export` replays what `sluice audit export` wrote: numbers, links, contents, and the tree under
every signed note. `inclusion` shows that a call is in the log, `consistency` that a later log
continues the one of a note that you kept. Exit 0: proven; 1: not, each fault on a line; 2: cannot
be read.

Written apart from Sluice's own code on purpose. SHA-256; Merkle tree of RFC 9162; Ed25519 of RFC
8032; notes of C2SP signed-note and tlog-checkpoint.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import re
import sys
from pathlib import Path
from typing import Any

Point = tuple[int, int, int, int]
Note = tuple[str, int, bytes, str]
Line = dict[str, Any]  # JSON

# --- Ed25519 verification, RFC 8032 section 5.1.7 -------------------------------------------------

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)


def _recover_x(y: int, sign: int) -> int | None:
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    if square == 0:
        return None if sign else 0
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT_OF_MINUS_ONE % P
    if (x * x - square) % P:
        return None
    return P - x if (x & 1) != sign else x


def _point(data: bytes) -> Point | None:
    if len(data) != 32:
        return None
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    x = _recover_x(y, sign)
    return None if x is None else (x, y, 1, x * y % P)


def _add(p: Point, q: Point) -> Point:
    a = (p[1] - p[0]) * (q[1] - q[0]) % P
    b = (p[1] + p[0]) * (q[1] + q[0]) % P
    c = 2 * p[3] * q[3] * D % P
    d = 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def _times(n: int, p: Point) -> Point:
    q: Point = (0, 1, 1, 0)
    while n:
        if n & 1:
            q = _add(q, p)
        p, n = _add(p, p), n >> 1
    return q


BASE_Y = 4 * pow(5, P - 2, P) % P
BASE_X = _recover_x(BASE_Y, 0) or 0
BASE: Point = (BASE_X, BASE_Y, 1, BASE_X * BASE_Y % P)


def ed25519(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` (64 bytes) by the key `public` (32 bytes) is over `message`."""
    if len(signature) != 64:
        return False
    a, r = _point(public), _point(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if a is None or r is None or s >= L:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % L
    left, right = _times(s, BASE), _add(r, _times(h, a))
    same_x = (left[0] * right[2] - right[0] * left[2]) % P == 0
    return same_x and (left[1] * right[2] - right[1] * left[2]) % P == 0


# --- The Merkle tree, RFC 9162 section 2.1 --------------------------------------------------------


def sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def leaf(data: bytes) -> bytes:
    return sha(b"\x00" + data)


def parent(left: bytes, right: bytes) -> bytes:
    return sha(b"\x01" + left + right)


class Stack:
    """Roots of the complete subtrees of what was added so far."""

    def __init__(self) -> None:
        self.size = 0
        self.roots: list[bytes] = []

    def add(self, data: bytes) -> None:
        found, count = leaf(data), self.size
        while count & 1:
            found, count = parent(self.roots.pop(), found), count >> 1
        self.roots.append(found)
        self.size += 1

    def root(self) -> bytes:
        found = self.roots[-1]
        for left in reversed(self.roots[:-1]):
            found = parent(left, found)
        return found


def root_of_path(index: int, size: int, found: bytes, path: list[bytes]) -> bytes | None:
    """The root that an inclusion proof comes to; None where it is of another length."""
    last = size - 1
    for step in path:
        if last == 0:
            return None
        if index & 1 or index == last:
            found = parent(step, found)
            while index and not index & 1:
                index, last = index >> 1, last >> 1
        else:
            found = parent(found, step)
        index, last = index >> 1, last >> 1
    return found if last == 0 else None


def continues(first: int, second: int, old: bytes, new: bytes, proof: list[bytes]) -> bool:
    """Whether the log of `second` leaves under `new` begins with that of `first` under `old`."""
    if not 0 < first <= second:
        return False
    if first == second:
        return old == new and not proof
    steps = [old, *proof] if first & (first - 1) == 0 else list(proof)
    if not steps:
        return False
    at, last = first - 1, second - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    before = after = steps[0]
    for step in steps[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            before, after = parent(step, before), parent(step, after)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            after = parent(after, step)
        at, last = at >> 1, last >> 1
    return last == 0 and before == old and after == new


# --- Notes ----------------------------------------------------------------------------------------


def read_key(text: str) -> bytes:
    """The 32 bytes of an Ed25519 public key in PEM."""
    inner = "".join(line for line in text.splitlines() if line and "-----" not in line)
    data = base64.b64decode(inner)
    if len(data) != 44 or data[:12] != bytes.fromhex("302a300506032b6570032100"):
        raise ValueError("the key is not an Ed25519 public key in PEM")
    return data[12:]


def open_note(text: str, key: bytes) -> Note:
    """(origin, size, root, chain) of a note that this key signed."""
    body, _, seals = text.rpartition("\n\n")
    body += "\n"
    lines = body.splitlines()
    if len(lines) < 4 or not lines[3].startswith("chain "):
        raise ValueError("this is not a note of a journal")
    origin = lines[0]
    name = hashlib.sha256(origin.encode() + b"\n\x01" + key).digest()[:4]
    for line in seals.splitlines():
        if line.startswith("\u2014 " + origin + " "):
            seal = base64.b64decode(line.rsplit(" ", 1)[1])
            if seal[:4] == name and ed25519(key, body.encode(), seal[4:]):
                return origin, int(lines[1]), base64.b64decode(lines[2]), lines[3][6:]
    raise ValueError("the note of " + origin + " is not signed by this key")


# --- What is checked ------------------------------------------------------------------------------


def parsed(text: str) -> Any:
    """JSON, with numbers that have a point or exponent left as they are written: programs differ in
    how they write them, and what is hashed is the writing."""
    return json.loads(text, parse_float=lambda number: f"\0{number}\0")


def canonical(value: Any) -> bytes:
    """JSON with sorted keys and no spaces: what is hashed. Of what `parsed` gave."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return re.sub(r'"\\u0000([0-9.eE+-]+)\\u0000"', r"\1", text).encode()


def digest(value: Any) -> str | None:
    return None if value is None else hashlib.sha256(canonical(value)).hexdigest()


def faults_of_event(line: Line, number: int, before: str) -> list[str]:
    """What is wrong with one line of an export that should be event `number` after `before`."""
    found: list[str] = []
    if line["seq"] < number:
        found.append(f"event {line['seq']} comes again, or out of order, after {number - 1}")
    elif line["seq"] > number:
        found.append(f"events {number} to {line['seq'] - 1} are missing")
    elif line["prev_hash"] != before:
        found.append(f"event {number} does not follow from the one before")
    event = line["event"]
    told = sha(bytes.fromhex(line["prev_hash"]) + canonical(event)).hex()
    if told != line["hash"]:
        found.append(f"event {line['seq']} was edited")
    elif event.get("seq") != line["seq"]:
        found.append(f"event {line['seq']} was sealed as event {event.get('seq')}")
    for name in ("decision", "usage"):
        if digest(line[name]) != event.get(name + "_hash"):
            found.append(f"event {line['seq']}: its {name} was changed")
    if digest(line["charged"] or None) != event.get("charged_hash"):
        found.append(f"event {line['seq']}: what it charged was changed")
    return found


class Export:
    """An export, journal after journal, against the notes that are there for each."""

    def __init__(self, notes: dict[str, dict[int, list[Note]]]) -> None:
        self.notes = notes
        self.faults: list[str] = []
        self.journals: dict[str, int] = {}
        self.signed: dict[str, int] = {name: max(sizes) for name, sizes in notes.items()}
        self.name, self.number, self.before, self.stack = "", 0, "", Stack()

    def line(self, line: Line) -> None:
        if "journal" in line and "genesis" in line:
            self.end()
            said = {"journal": line["journal"], "created": line["created"]}
            again = line["journal"] in self.journals
            self.name, self.number, self.stack = line["journal"], 0, Stack()
            self.before = sha(canonical(said)).hex()
            if again:
                self.fault("it comes twice")
            elif self.name not in self.notes:
                self.fault("no signed note is of it")
            return
        if "archived" in line["event"]:
            self.fault(f"event {line['seq']}: only its hash is left (archive)")
        else:
            for fault in faults_of_event(line, self.number + 1, self.before):
                self.fault(fault)
        self.number, self.before = line["seq"], line["hash"]
        self.stack.add(bytes.fromhex(line["hash"]))
        for note in self.notes.get(self.name, {}).pop(self.number, ()):
            if note[2] != self.stack.root() or note[3] != line["hash"]:
                self.fault(f"events up to {self.number} are not those of their signed note")

    def end(self) -> None:
        if self.name:
            for size in sorted(self.notes.get(self.name, {})):
                self.fault(f"it ends at event {self.number}, a signed note has {size}")
            self.journals.setdefault(self.name, self.number)
        self.name = ""

    def fault(self, message: str) -> None:
        self.faults.append(f"{self.name}: {message}")


def check_export(options: argparse.Namespace, key: bytes) -> tuple[list[str], str]:
    notes: dict[str, dict[int, list[Note]]] = {}
    faults: list[str] = []
    texts = [read(path) for path in options.note]
    for path in options.checkpoints:
        for line in read(path).splitlines():
            texts.append(json.loads(line).get("note", ""))
    for text in filter(None, texts):
        try:
            note = open_note(text, key)
        except ValueError as error:
            faults.append(str(error))
            continue
        journal = note[0].split("/", 1)[1]
        notes.setdefault(journal, {}).setdefault(note[1], []).append(note)
    export = Export(notes)
    with Path(options.file).open(encoding="utf-8") as lines:
        for line in lines:
            export.line(parsed(line))
    export.end()
    lost = [name for name in notes if name not in export.journals]
    faults += [f"{name}: a signed note is of it, the export is not" for name in lost]
    if not notes:
        faults.append("no signed note: a log that was cut off or written anew is not found")
    said = ", ".join(
        f"{name}: {count} events, {count - min(count, export.signed.get(name, 0))} not yet signed"
        for name, count in sorted(export.journals.items())
    )
    return faults + export.faults, said


def check_inclusion(options: argparse.Namespace, key: bytes) -> tuple[list[str], str]:
    told = parsed(read(options.file))
    origin, size, root, _ = open_note(told["note"], key)
    digest_of_event = bytes.fromhex(told["hash"])
    path = [base64.b64decode(step) for step in told["inclusion"]]
    faults, index = [], told["leaf_index"]
    if origin != told["origin"]:
        faults.append("the note is of another log")
    if not 0 <= index < size or root_of_path(index, size, leaf(digest_of_event), path) != root:
        faults.append("the event is not shown to be in the log")
    event = told.get("event")
    if options.request and (event is None or event.get("request_id") != options.request):
        why = "tells of another request" if event else "does not tell which request it is of"
        faults.append(f"the proof {why}")
    if event is not None:
        sealed = sha(bytes.fromhex(told["prev_hash"]) + canonical(event))
        if sealed != digest_of_event or event.get("seq") != index + 1:
            faults.append("what is told of the event is not what the log has")
    which = "withheld" if event is None else event.get("request_id")
    return faults, f"event {index + 1} (request {which}) of {origin}, size {size}"


def check_consistency(options: argparse.Namespace, key: bytes) -> tuple[list[str], str]:
    told = json.loads(read(options.file))
    old, new = open_note(told["first_note"], key), open_note(told["second_note"], key)
    faults = []
    for path in options.note:
        kept = open_note(read(path), key)
        if kept[:3] != old[:3]:
            faults.append("the proof does not begin with the note that you kept")
    proof = [base64.b64decode(step) for step in told["consistency"]]
    if old[0] != new[0]:
        faults.append("the notes are of two logs")
    if not continues(old[1], new[1], old[2], new[2], proof):
        faults.append("the later log is not shown to continue the earlier one")
    return faults, f"{old[0]}: {old[1]} to {new[1]}"


def read(path: str) -> str:
    return Path(path).read_text(encoding="utf-8")


CHECKS = {"export": check_export, "inclusion": check_inclusion, "consistency": check_consistency}


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Check an audit trail of Sluice.")
    parser.add_argument("what", choices=sorted(CHECKS))
    parser.add_argument("file")
    parser.add_argument("--key", required=True, help="public key of the audit trail (PEM)")
    parser.add_argument("--checkpoints", action="append", default=[], help="a checkpoint file")
    parser.add_argument("--request", default="", help="the request id that the proof must be of")
    parser.add_argument("--note", action="append", default=[], help="a signed note that you kept")
    options = parser.parse_args(words)
    try:
        faults, said = CHECKS[options.what](options, read_key(read(options.key)))
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        sys.stderr.write(f"cannot be checked: {error}\n")
        return 2
    for fault in faults:
        sys.stdout.write(f"FOUND  {fault}\n")
    sys.stdout.write(("NOT PROVEN  " if faults else "proven  ") + said + "\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
