"""The same cell charged twice within thirty days: the later charge is given back.

One process charges a tenant once for a cell of a release. Two of them, asked at the same time, may
both charge for it, as neither sees yet what the other does. The rule here is about the set of all
charges, so it comes to the same whatever order they arrived in, and to what one process alone would
have charged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final, NamedTuple

REPEAT_WINDOW: Final = timedelta(days=30)


class CellCharge(NamedTuple):
    """Cells of one place of a release, as bits, that an event charged to a tenant. Charges sort
    with those of one place together, in order of time."""

    tenant: str
    release: str
    place: int
    time: datetime
    event_id: str
    cells: int


def overcharged(charges: Iterable[CellCharge]) -> Iterator[CellCharge]:
    """What is given back: charges with those of their cells that were charged before.

    Takes each event's charge of a place once, in any order.
    """
    yield from overcharged_in_order(sorted(charges))


def overcharged_in_order(charges: Iterable[CellCharge]) -> Iterator[CellCharge]:
    """As `overcharged`, for charges that are sorted already; holds one place at a time."""
    for _, of_place in groupby(charges, key=_place):
        kept: list[tuple[datetime, int]] = []
        for charge in of_place:
            kept = [one for one in kept if charge.time - one[0] < REPEAT_WINDOW]
            again = 0
            for _, cells in kept:
                again |= cells & charge.cells
            if again:
                yield charge._replace(cells=again)
            if charge.cells & ~again:
                kept.append((charge.time, charge.cells & ~again))


def _place(charge: CellCharge) -> tuple[str, str, int]:
    return charge[:3]
