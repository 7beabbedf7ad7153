"""What an answer delivers and what of it is charged: each visible cell once in thirty days.

A cell is known by its address in the release, not by the page or question it came with: whoever
asks for the same cells in other pages, by another filter or in another order pays nothing again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.journal.charges import Cells, Claim
from gateway.policy.port import TariffRule
from gateway.releases.places import place_of
from gateway.serving.render import Table

HIDDEN = frozenset({"s", "c"})
FREE_OF_CHARGE = HIDDEN | {"z"}
_WHOLE = 1 << 46
"""Cells from here on are none of a release."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What is in a page, whoever it is delivered to."""

    rows: int
    cells: int  # delivered: neither suppressed nor structurally zero
    suppressed: int


@dataclass(frozen=True)
class Delivery:
    """One page as the books see it."""

    rows: int
    cells: int  # delivered: neither suppressed nor structurally zero
    suppressed: int
    unit: str
    page: str
    charged: int
    repeat_of: str | None


class _Shown(dict[tuple[str, ...], int]):
    """The measures a row delivers, as bits; most rows of a page have the same few flags."""

    def __init__(self, table: Table, letters: Mapping[str, int]) -> None:
        super().__init__()
        self._bits = [1 << letters[name] for name in table.flags]

    def __missing__(self, flags: tuple[str, ...]) -> int:
        pairs = zip(self._bits, flags, strict=True)
        self[flags] = sum(bit for bit, flag in pairs if flag not in FREE_OF_CHARGE)
        return self[flags]


def chargeable(
    table: Table, addresses: Sequence[tuple[int, Sequence[int]]], letters: Mapping[str, int]
) -> Cells:
    """The delivered cells of a page. `addresses`: block and cell numbers of its rows; `letters`:
    the number of each measure of the release."""
    found: dict[int, int] = {}
    rows, shown = zip(*table.flags.values(), strict=True), _Shown(table, letters)
    width = len(letters)
    for block, codes in addresses:
        # The rows are the second: they end later than the codes, and zip must not take one away.
        for code, flags in zip(codes, rows, strict=False):
            if bits := shown[flags]:
                place, at = place_of(block, code)
                found[place] = found.get(place, 0) | bits << at * width
    return found


def whole_answer(digest: str, block: int, width: int) -> Cells:
    """What stands in the books for one whole answer, however it is paged: a cell of the block that
    no release has, by the question's digest. `width`: how many measures the release has."""
    place, at = place_of(block, _WHOLE + int(digest[:16], 16) % _WHOLE)
    return {place: 1 << at * width}


def counted(table: Table) -> Counted:
    """Count a page; suppressed cells and structural zeros are not delivered."""
    flags = [flag for column in table.flags.values() for flag in column]
    return Counted(
        rows=table.rows,
        cells=sum(flag not in FREE_OF_CHARGE for flag in flags),
        suppressed=sum(flag in HIDDEN for flag in flags),
    )


def deliver(found: Counted, tariff: TariffRule, page: str, claim: Claim) -> Delivery:
    """What a page comes to; what was charged before costs nothing."""
    return Delivery(
        rows=found.rows,
        cells=found.cells,
        suppressed=found.suppressed,
        unit="free" if tariff.free else tariff.unit,
        page=page,
        charged=claim.count,
        repeat_of=claim.repeat_of,
    )
