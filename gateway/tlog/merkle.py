"""The Merkle tree of RFC 9162 §2.1: roots, inclusion proofs, consistency proofs, and their checks.

All hashes are SHA-256, 32 bytes. A tree is known by the hashes of its complete subtrees: `Node`
gives the one of 2^level leaves that begins at leaf index · 2^level. Sizes count leaves; leaves are
numbered from 0.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import TypeAlias

Node: TypeAlias = Callable[[int, int], bytes]
"""(level, index) → hash of a complete subtree."""
EMPTY = hashlib.sha256().digest()
"""The root of the tree without leaves."""


def leaf_hash(data: bytes) -> bytes:
    """The hash of a leaf."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def folded(hashes: Sequence[bytes]) -> bytes:
    """The root over neighbours of one level, a power of two of them."""
    row = list(hashes)
    while len(row) > 1:
        row = [node_hash(row[at], row[at + 1]) for at in range(0, len(row), 2)]
    return row[0]


def root(size: int, node: Node) -> bytes:
    """The root of the first `size` leaves."""
    return _span(0, size, node) if size else EMPTY


def inclusion_proof(index: int, size: int, node: Node) -> list[bytes]:
    """The audit path of a leaf, from the leaf up (§2.1.3.1). Raises `ValueError` where the tree of
    this size has no such leaf."""
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} leaves has no leaf {index}")
    path: list[bytes] = []
    first, last = 0, size
    while last - first > 1:
        middle = first + _split(last - first)
        if index < middle:
            path.append(_span(middle, last, node))
            last = middle
        else:
            path.append(_span(first, middle, node))
            first = middle
    return path[::-1]


def consistency_proof(first: int, second: int, node: Node) -> list[bytes]:
    """That the tree of `second` leaves begins with the tree of `first` (§2.1.4.1)."""
    if not 0 < first <= second:
        raise ValueError(f"a tree of {second} leaves cannot continue one of {first}")
    return [] if first == second else _subproof(first, 0, second, node, whole=True)


def includes(index: int, size: int, leaf: bytes, path: Sequence[bytes], expected: bytes) -> bool:
    """Whether a path shows a leaf's hash under a root (§2.1.3.2)."""
    if not 0 <= index < size:
        return False
    at, last, found = index, size - 1, leaf
    for step in path:
        if last == 0:
            return False
        if at & 1 or at == last:
            found = node_hash(step, found)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            found = node_hash(found, step)
        at, last = at >> 1, last >> 1
    return last == 0 and found == expected


def consistent(first: int, second: int, old: bytes, new: bytes, proof: Sequence[bytes]) -> bool:
    """Whether a proof shows that the second root continues the first (§2.1.4.2)."""
    if not 0 < first <= second:
        return False
    if first == second:
        return not proof and old == new
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
            before, after = node_hash(step, before), node_hash(step, after)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            after = node_hash(after, step)
        at, last = at >> 1, last >> 1
    return last == 0 and (before, after) == (old, new)


def _split(leaves: int) -> int:
    """The largest power of two below a number of leaves above one."""
    return 1 << ((leaves - 1).bit_length() - 1)


def _span(first: int, last: int, node: Node) -> bytes:
    """The root over leaves `first` to `last`, where `first` is a multiple of what lies left."""
    leaves = last - first
    if leaves & (leaves - 1) == 0:
        level = leaves.bit_length() - 1
        return node(level, first >> level)
    middle = first + _split(leaves)
    return node_hash(_span(first, middle, node), _span(middle, last, node))


def _subproof(upto: int, first: int, last: int, node: Node, *, whole: bool) -> list[bytes]:
    if upto == last - first:
        return [] if whole else [_span(first, last, node)]
    half = _split(last - first)
    middle = first + half
    if upto <= half:
        return [
            *_subproof(upto, first, middle, node, whole=whole),
            _span(middle, last, node),
        ]
    rest = _subproof(upto - half, middle, last, node, whole=False)
    return [*rest, _span(first, middle, node)]
