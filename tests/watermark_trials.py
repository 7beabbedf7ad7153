"""Trials of the code alone: invented amounts, tenants with random bits, makers of a file."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from gateway.releases.sdc import round_significant
from gateway.watermark.accusing import Readings, Verdict, verdicts
from gateway.watermark.channel import Read, Rounding, read
from gateway.watermark.code import WHOLE, Bools, Carriers, Ints, carriers

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Trial:
    """A cube of `cells` amounts in `rows` rows, and what `makers` of the tenants made of it.

    Without makers the file is what somebody who is on no list was given.
    """

    cells: int
    rows: int
    tenants: int = 200
    makers: int = 1
    way: str = "cells"
    deleted: float = 0.0
    rounding: str | None = None
    seed: int = 0

    @cached_property
    def rng(self) -> np.random.Generator:
        return np.random.default_rng(self.seed)

    @cached_property
    def cube(self) -> Carriers:
        raw = (10 ** self.rng.uniform(7, 13, self.cells)).astype(np.int64)
        draws = self.rng.integers(0, WHOLE, self.cells).astype(np.uint16)
        return carriers(round_significant(raw, 4), 4, draws)

    @cached_property
    def bits(self) -> Bools:
        held: Bools = self.rng.integers(0, WHOLE, (self.tenants, self.cells)) < self.cube.bias
        return held

    @cached_property
    def guilty(self) -> list[int]:
        return [int(t) for t in self.rng.choice(self.tenants, self.makers, replace=False)]

    @property
    def row(self) -> Ints:
        return np.arange(self.cells) * self.rows // self.cells

    @cached_property
    def file(self) -> Floats:
        """Amounts of the file, in yuan; NaN where the row was deleted."""
        stranger = self.rng.integers(0, WHOLE, (1, self.cells)) < self.cube.bias
        own = self.bits[self.guilty] if self.makers else stranger
        given = np.where(own, self.cube.high, self.cube.low).astype(np.float64)
        fen = self._mixed(given)
        if self.rounding is not None:
            mode = Rounding("digits", 3, self.rounding)  # type: ignore[arg-type]  # a test's word
            fen = mode.applied(fen.astype(np.int64))
        gone = (self.rng.random(self.rows) < self.deleted)[self.row]
        return np.where(gone, np.nan, fen / 100)

    def _mixed(self, given: Floats) -> Floats:
        ordered, copies = np.sort(given, axis=0), len(given)
        one_each = self.rng.integers(0, copies, self.cells)
        per_row = self.rng.integers(0, copies, self.rows)[self.row]
        pick = per_row if self.way == "rows" else one_each
        made: dict[str, Floats] = {
            "majority": ordered[copies // 2],
            "minority": np.where(ordered[copies // 2] == ordered[0], ordered[-1], ordered[0]),
            "highest": ordered[-1],
            "lowest": ordered[0],
            "average": given.mean(axis=0),
        }
        return made.get(self.way, given[pick, np.arange(self.cells)])

    @cached_property
    def read(self) -> Read:
        return read(self.file, "yuan", self.cube)

    def readings(self) -> Readings:
        held = self.read.held
        return Readings(self.read.value[held], self.cube.bias[held], self.row[held])

    def bits_read(self) -> Bools:
        return self.bits[:, self.read.held]

    def verdicts(self) -> list[Verdict]:
        names = [str(t) for t in range(self.tenants)]
        guilty = self.guilty  # drawn before the file is, so that the file is of these
        assert len(guilty) == self.makers
        return verdicts(self.readings(), names, self.bits_read())
