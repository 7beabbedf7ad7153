"""Cells of one shape with their true figures, as columns; none of this leaves the builder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from gateway.releases.kernel import Floats, Ints, Shares


@dataclass(frozen=True)
class Block:
    """The cells of one shape at one geography level, sorted by period, place and code.

    `sums` and `records` are filled for published cells only, once it is known which these are.
    """

    shape: int
    level: int
    period: Ints
    geo: Ints
    code: Ints
    persons: Ints
    institutions: Ints
    exposure: Ints
    magnitude: Ints
    top1: Ints
    top2: Ints
    top_person: Ints
    makers: Ints
    maker_top1: Ints
    squares: Mapping[str, Floats]
    shares: Shares
    sums: Mapping[tuple[str, str], Ints] = field(default_factory=dict)
    records: Mapping[tuple[str, str], Records] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.code)

    def only(self, kept: Ints) -> Block:
        """Some of the cells, in the same order; providers of the others are dropped."""
        place = np.full(len(self), -1, np.int64)
        place[kept] = np.arange(len(kept))
        there = place[self.shares.cells]
        own = there >= 0
        held = self.shares
        figures: dict[str, Any] = {  # replaces fields of one type by columns of the same
            name: getattr(self, name)[kept] for name in _FIGURES
        }
        return replace(
            self,
            **figures,
            squares={name: values[kept] for name, values in self.squares.items()},
            shares=Shares(there[own], held.party[own], held.persons[own], held.only[own]),
        )


@dataclass(frozen=True)
class Records:
    """Values of a per-record column, sorted inside each cell, with offsets and persons by cell."""

    values: Ints
    starts: Ints
    persons: Ints


def joined(parts: Sequence[Block]) -> Block:
    """Blocks of one shape and level, of later and later periods, as one; not yet filled."""
    if len(parts) == 1:
        return parts[0]
    before = np.cumsum([0, *(len(part) for part in parts)])
    first = parts[0]
    figures: dict[str, Any] = {  # replaces fields of one type by columns of the same
        name: _lined_up(getattr(part, name) for part in parts) for name in _FIGURES
    }
    cells = (part.shares.cells + start for part, start in zip(parts, before, strict=False))
    others = {name: _lined_up(getattr(p.shares, name) for p in parts) for name in _SHARES}
    return replace(
        first,
        **figures,
        squares={k: _lined_up(p.squares[k] for p in parts) for k in first.squares},
        shares=Shares(_lined_up(cells), **others),
    )


def _lined_up(columns: Iterable[npt.NDArray[Any]]) -> npt.NDArray[Any]:  # of any one kind
    return np.concatenate(list(columns))


_FIGURES = (
    "period",
    "geo",
    "code",
    "persons",
    "institutions",
    "exposure",
    "magnitude",
    "top1",
    "top2",
    "top_person",
    "makers",
    "maker_top1",
)
_SHARES = ("party", "persons", "only")
