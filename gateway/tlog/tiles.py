"""Tiles of a tree (C2SP tlog-tiles): 256 neighbouring hashes of every eighth level, kept once full.

With them a proof reads a handful of rows whatever the log's size; what lies past the last full tile
is hashed from the log itself. Tiles hold nothing that the log does not say: who doubts them makes
them anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple, Protocol, TypeAlias

from gateway.tlog.merkle import folded, leaf_hash, node_hash

HEIGHT = 8
WIDTH = 1 << HEIGHT
_SIZE = 32
Roots: TypeAlias = dict[tuple[int, int], bytes]
"""Roots of full tiles by level and number."""
MOST_ROOTS = 4 * WIDTH


class Tile(NamedTuple):
    """A full tile: `WIDTH` hashes of tree level `HEIGHT` · `level`, 32 bytes each."""

    level: int
    number: int
    hashes: bytes

    @property
    def size(self) -> int:
        """How many leaves the log has when this tile is full."""
        return (self.number + 1) << HEIGHT * (self.level + 1)


class Source(Protocol):
    """Where a log lies."""

    def tile(self, level: int, number: int) -> bytes | None:
        """A full tile, if it is kept."""

    def leaves(self, first: int, count: int) -> Sequence[bytes]:
        """What leaves `first` and following hold; fewer where the log ends."""


class Tree:
    """The complete subtrees of a log, from its tiles and, past them, its leaves. For one proof or
    one checkpoint: what was read is remembered. `roots` of full tiles never change; who makes many
    trees of one log hands them from one to the next."""

    def __init__(self, source: Source, roots: Roots | None = None) -> None:
        self._source = source
        self._kept = cache(source.tile)
        self._roots: Roots = {} if roots is None else roots

    def node(self, level: int, index: int) -> bytes:
        """The hash of a complete subtree. Raises `LookupError` where the log is shorter."""
        height, within = divmod(level, HEIGHT)
        return folded(self._entries(height, index << within, 1 << within))

    def missing(self, size: int) -> Iterator[Tile]:
        """The full tiles of the first `size` leaves that are not kept, lower levels first."""
        level, count = 0, size // WIDTH
        while count:
            missing = []
            while count and self._kept(level, count - 1) is None:
                count -= 1
                missing.append(count)
            for number in reversed(missing):
                entries = self._entries(level, number * WIDTH, WIDTH)
                yield Tile(level, number, b"".join(entries))
            level, count = level + 1, size // WIDTH ** (level + 2)

    def _entries(self, height: int, first: int, count: int) -> list[bytes]:
        """Hashes of neighbours; none of them lies in another tile than the first."""
        number, at = divmod(first, WIDTH)
        kept = self._kept(height, number)
        if kept is not None:
            return _cut(kept)[at : at + count]
        if height:
            return [self._whole(height - 1, first + step) for step in range(count)]
        leaves = [leaf_hash(data) for data in self._source.leaves(first, count)]
        if len(leaves) != count:
            raise LookupError(f"the log ends before leaf {first + count - 1}")
        return leaves

    def _whole(self, height: int, number: int) -> bytes:
        """The root of a full tile."""
        found = self._roots.get((height, number))
        if found is None:
            found = folded(self._entries(height, number * WIDTH, WIDTH))
            if len(self._roots) >= MOST_ROOTS:
                self._roots.clear()
            self._roots[height, number] = found
        return found


class Growing:
    """A tree that leaves are added to one by one: what the root and the tiles must be."""

    def __init__(self) -> None:
        self.size = 0
        self._roots: list[bytes] = []
        self._open: dict[int, list[bytes]] = {}

    def add(self, data: bytes) -> list[Tile]:
        """Add a leaf; the tiles that are full by it."""
        found, count, level = leaf_hash(data), self.size, 0
        full = self._note(0, found)
        while count & 1:
            found = node_hash(self._roots.pop(), found)
            count, level = count >> 1, level + 1
            if level % HEIGHT == 0:
                full += self._note(level // HEIGHT, found)
        self._roots.append(found)
        self.size += 1
        return full

    def root(self) -> bytes:
        """The root of what was added; there must be something."""
        found = self._roots[-1]
        for left in reversed(self._roots[:-1]):
            found = node_hash(left, found)
        return found

    def _note(self, level: int, found: bytes) -> list[Tile]:
        held = self._open.setdefault(level, [])
        held.append(found)
        if len(held) < WIDTH:
            return []
        number = (self.size + 1) // WIDTH ** (level + 1) - 1
        full = Tile(level, number, b"".join(held))
        held.clear()
        return [full]


def _cut(hashes: bytes) -> list[bytes]:
    return [hashes[at : at + _SIZE] for at in range(0, len(hashes), _SIZE)]
