"""The drawn rows of one table in one block of units."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from synthetic.synthesiser.levels import Level

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass
class Rows:
    """Rows, those of one parent together; `parent`: each one's place among the parent's rows."""

    level: Level
    parent: Ints
    ids: Ints
    above: Rows | None
    codes: dict[str, Ints] = field(default_factory=dict)
    values: dict[str, Ints] = field(default_factory=dict)  # numbers and dates, in steps
    filled: dict[str, Bools] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """How many rows there are."""
        return int(self.ids.size)

    @property
    def unit(self) -> Ints:
        """The place of each row's unit in the block."""
        if self.above is None:
            return np.arange(self.size)
        return np.asarray(self.above.unit[self.parent])

    def inherited(self, table: str, name: str) -> Ints:
        """The codes of a variable of the table or of one above it, for each row."""
        if table == self.level.name:
            return self.codes[name]
        if self.above is None:
            raise KeyError(table)
        return self.above.inherited(table, name)[self.parent]

    def inherited_value(self, table: str, name: str) -> Ints:
        """The value in steps of a column above, for each row."""
        if table == self.level.name:
            return self.values[name]
        if self.above is None:
            raise KeyError(table)
        return self.above.inherited_value(table, name)[self.parent]

    def missing(self, name: str) -> Bools:
        """Where a column has no value."""
        if name not in self.codes:
            return np.zeros(self.size, np.bool_)
        gone = self.codes[name] >= self.level.own[name].known
        if name in self.filled:
            gone &= ~self.filled[name]
        return np.asarray(gone)

    def known(self, name: str) -> Ints:
        """A column's values in steps, 0 where one is missing."""
        return np.asarray(np.where(self.missing(name), 0, self.values[name]))

    def fill(self, name: str, where: Bools | None = None) -> None:
        """Say that a column has a value in these rows (in all)."""
        if name in self.codes and self.level.own[name].nullable:
            self.filled[name] = np.ones(self.size, np.bool_) if where is None else where
