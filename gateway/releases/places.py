"""Cells of a release as the books keep them: a block is cut into places, a place's cells are bits.

Large enough that a page has few places, small enough that the bits of one are cheap to add to.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

SPAN: Final = 256
_BLOCKS: Final = 1 << 40


class Address(NamedTuple):
    """Where a cell lies in the cell file, and how many of its measures were charged."""

    block: int
    cell: int
    measures: int


def place_of(block: int, cell: int) -> tuple[int, int]:
    """The place of a cell and its number inside that place."""
    part, at = divmod(cell, SPAN)
    return block * _BLOCKS + part, at


def cells_at(place: int, bits: int, width: int) -> Iterator[Address]:
    """The cells whose measures are bits of a place. `width`: measures of the release."""
    block, part = divmod(place, _BLOCKS)
    whole = (1 << width) - 1
    at = 0
    while bits:
        if measures := bits & whole:
            yield Address(block, part * SPAN + at, measures.bit_count())
        bits >>= width
        at += 1
