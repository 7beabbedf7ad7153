"""A second opinion on differencing: plain loops over published figures, sharing no code.

Meant for tests and for `release verify` on samples and small tables: slow, obvious, and able to see
only what a client sees, namely dimension values and published person figures.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TypeAlias

Cell: TypeAlias = tuple[str, ...]
RollUp: TypeAlias = Mapping[str, str | None]
"""Value → next coarser value; '*' is the total, None says that no coarser figure is published."""

TOTAL = "*"


@dataclass(frozen=True)
class Difference:
    """Published cells whose subtraction leaves a person count of 1 … k−1."""

    upper: Cell
    lower: tuple[Cell, ...]


def audit_differences(
    rows: Iterable[tuple[Cell, int | None]], parents: Sequence[RollUp], k: int
) -> list[Difference]:
    """Every published cell minus one cell below it, or minus two children along one axis."""
    figure = {cell: persons for cell, persons in rows if persons is not None}
    return [*_pairs(figure, parents, k), *_triples(figure, parents, k)]


def _pairs(figure: Mapping[Cell, int], parents: Sequence[RollUp], k: int) -> list[Difference]:
    found = []
    for cell, persons in figure.items():
        for upper in _ancestors(cell, parents):
            if upper in figure and 1 <= abs(figure[upper] - persons) < k:
                found.append(Difference(upper, (cell,)))
    return found


def _triples(figure: Mapping[Cell, int], parents: Sequence[RollUp], k: int) -> list[Difference]:
    children: dict[tuple[Cell, int], list[Cell]] = {}
    for cell in figure:
        for axis, roll_up in enumerate(parents):
            upper = _published_above(cell, axis, roll_up, figure)
            if upper is not None:
                children.setdefault((upper, axis), []).append(cell)
    return [
        Difference(upper, (one, other))
        for (upper, _), cells in children.items()
        for one, other in combinations(sorted(cells), 2)
        if 1 <= abs(figure[upper] - figure[one] - figure[other]) < k
    ]


def _published_above(
    cell: Cell, axis: int, roll_up: RollUp, figure: Mapping[Cell, int]
) -> Cell | None:
    """The next coarser cell along one axis, if its figure is published."""
    coarser = roll_up[cell[axis]] if cell[axis] != TOTAL else None
    upper = (*cell[:axis], coarser, *cell[axis + 1 :]) if coarser is not None else None
    return upper if upper in figure else None


def _ancestors(cell: Cell, parents: Sequence[RollUp]) -> set[Cell]:
    """Every cell that contains this one: any dimensions rolled up by any number of steps."""
    found = {cell}
    for axis, roll_up in enumerate(parents):
        found |= {
            (*known[:axis], value, *known[axis + 1 :])
            for known in found
            for value in _above(known[axis], roll_up)
        }
    return found - {cell}


def _above(value: str, roll_up: RollUp) -> list[str]:
    chain = []
    while value != TOTAL:
        coarser = roll_up[value]
        if coarser is None:
            break
        chain.append(coarser)
        value = coarser
    return chain
