"""Cells of a release as the books keep them: a block is cut into places, a place's cells are bits.

Large enough that a page has few places, small enough that the bits of one are cheap to add to.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

SPAN: Final = 256
_BLOCKS: Final = 1 << 40
_AT_ONCE: Final = 4096
Ints: TypeAlias = npt.NDArray[np.int64]


def place_of(block: int, cell: int) -> tuple[int, int]:
    """The place of a cell and its number inside that place."""
    part, at = divmod(cell, SPAN)
    return block * _BLOCKS + part, at


def counted(
    places: Ints, bits: Sequence[bytes], times: Ints, width: int
) -> Iterator[tuple[int, Ints]]:
    """Each place once, with how many measures of each of its cells were charged altogether: row
    `i` charged the measures `bits[i]` (big-endian) of `places[i]` so many `times`."""
    known, at = np.unique(places, return_inverse=True)
    size = (SPAN * width + 7) // 8
    sums = np.zeros((len(known), SPAN), np.int64)
    for first in range(0, len(bits), _AT_ONCE):
        some = slice(first, first + _AT_ONCE)
        raw = b"".join(each.rjust(size, b"\0") for each in bits[some])
        flat = np.frombuffer(raw, np.uint8).reshape(-1, size)
        single = np.unpackbits(flat[:, ::-1], axis=1, bitorder="little")[:, : SPAN * width]
        measures = single.reshape(-1, SPAN, width).sum(axis=2, dtype=np.int64)
        np.add.at(sums, at[some], measures * times[some, None])
    yield from zip(known.tolist(), sums, strict=True)


def addresses(place: int) -> tuple[int, int]:
    """The block of a place, and the number of its first cell."""
    block, part = divmod(place, _BLOCKS)
    return block, part * SPAN
