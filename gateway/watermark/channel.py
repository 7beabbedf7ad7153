"""What became of a column of amounts on its way out, and what is left of the bits.

A column may have been written in another unit and rounded once more. Both are found by what makes
most values one of the two figures a carrier may have; the bits of the tenants play no part in that,
so the bound on false accusations holds. A carrier whose two figures round to the same says nothing
and is left out; a value between the two is what averaging copies gives.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np

from gateway.watermark.code import Bools, Carriers, Floats, Ints

UNITS: Final[dict[str, float]] = {
    "yuan": 1.0, "wan yuan": 1e4, "fen": 0.01, "thousand yuan": 1e3, "million yuan": 1e6,
    "yi yuan": 1e8,
}  # fmt: skip
Mode: TypeAlias = Literal["half up", "half even", "cut off"]
MODES: Final[tuple[Mode, ...]] = ("half up", "half even", "cut off")

_NEAR: Final = 0.011  # three digits kept and half a unit more, relative
_EQUAL: Final = 1e-9
_FEWER: Final = (3, 2)  # digits a rounding may have left
_DECIMALS: Final = (2, 1, 0, -1, -2)  # of the unit it is written in


@dataclass(frozen=True)
class Rounding:
    """A rounding somebody may have applied: to significant digits, or to a step in fen."""

    kind: Literal["as given", "digits", "step"]
    size: float = 0
    mode: Mode = "half up"

    def __str__(self) -> str:
        if self.kind == "as given":
            return self.kind
        what = f"{self.size:g} digits" if self.kind == "digits" else f"steps of {self.size:g} fen"
        return f"rounded to {what}, {self.mode}"

    def applied(self, fen: Ints) -> Floats:
        """Figures after this rounding."""
        if self.kind == "as given":
            return fen.astype(np.float64)
        size = np.abs(fen)
        if self.kind == "step":
            unit = np.full(len(fen), int(self.size), np.int64)
        else:
            length = np.array([len(str(n)) for n in size.tolist()], np.int64)
            unit = 10 ** np.maximum(length - int(self.size), 0)
        whole, rest = np.divmod(size, unit)
        if self.mode == "half up":
            whole = whole + (2 * rest >= unit) * (unit > 1)
        elif self.mode == "half even":
            whole = whole + ((2 * rest > unit) | ((2 * rest == unit) & (whole % 2 == 1)))
        return (np.sign(fen) * whole * unit).astype(np.float64)


@dataclass(frozen=True)
class Read:
    """Readings of a column: where there is one, what it is, and how the column was taken."""

    held: Bools
    value: Floats
    rounding: Rounding
    explained: float  # part of the carriers' values that are one of the two figures exactly


def unit_of(values: Floats, amounts: Ints) -> tuple[str, float]:
    """The unit a column of values is written in, and the part of it that fits these amounts."""
    known = ~np.isnan(values) & (amounts != 0)
    if not known.any():
        return "yuan", 0.0
    fits = {
        name: float(np.mean(_near(values[known] * size * 100, amounts[known])))
        for name, size in UNITS.items()
    }
    best = max(fits, key=lambda name: fits[name])
    return best, fits[best]


def read(values: Floats, unit: str, carriers: Carriers) -> Read:
    """The readings of a column that is written in this unit."""
    fen = values * UNITS[unit] * 100
    usable = carriers.held & ~np.isnan(fen)
    usable &= _near(fen, carriers.low)
    chosen, explained = Rounding("as given"), -1.0
    for rounding in _roundings(UNITS[unit]):
        part = _explained(rounding, fen, carriers, usable)
        if part > explained:
            chosen, explained = rounding, part
    low, high = chosen.applied(carriers.low), chosen.applied(carriers.high)
    apart = usable & (low != high)
    with np.errstate(divide="ignore", invalid="ignore"):
        place = np.where(apart, (fen - low) / (high - low), 0.0)
    sharp = np.where(np.abs(place) < _EQUAL * 1e3, 0.0, place)
    sharp = np.where(np.abs(place - 1) < _EQUAL * 1e3, 1.0, sharp)
    # Between the two where copies were averaged; beyond them it is no reading at all.
    held = apart & (sharp >= 0) & (sharp <= 1)
    return Read(held, np.where(held, sharp, 0.0), chosen, max(explained, 0.0))


def _roundings(unit: float) -> Iterator[Rounding]:
    yield Rounding("as given")
    for digits in _FEWER:
        yield from (Rounding("digits", digits, mode) for mode in MODES)
    steps = {round(unit * 100 / 10**d) for d in _DECIMALS}
    for step in sorted(s for s in steps if s > 1):
        yield from (Rounding("step", step, mode) for mode in MODES)


def _explained(rounding: Rounding, fen: Floats, carriers: Carriers, usable: Bools) -> float:
    if not usable.any():
        return 0.0
    low = rounding.applied(carriers.low[usable])
    high = rounding.applied(carriers.high[usable])
    found = fen[usable]
    return float(np.mean(_same(found, low) | _same(found, high)))


def _same(a: Floats, b: Floats) -> Bools:
    same: Bools = np.abs(a - b) <= _EQUAL * np.abs(b) + 1e-6
    return same


def _near(fen: Floats, amounts: Ints) -> Bools:
    near: Bools = np.abs(fen - amounts) <= _NEAR * np.abs(amounts)
    return near
