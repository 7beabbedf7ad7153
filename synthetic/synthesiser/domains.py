"""A column's public domain: codes 0 … size-1 in SQL and back. Numbers count in whole steps.

A category's code is its place in the list; a number's or a date's that of its bin; a missing value
has the last code. `fine` cuts the bins further, for the values inside them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from synthetic.tables.schema import Category, Day, Edge, Number, day_number

Ints = NDArray[np.int64]

FINE = 512
"""Cells, about, that a column's bins are cut into."""
CYCLE = 100
"""Steps after which habits of writing repeat: the last two digits of a number."""


@dataclass(frozen=True)
class Domain:
    """The codes of one column: `known` values or bins, and one more for a missing value."""

    known: int
    nullable: bool
    edges: tuple[int, ...] = ()  # of bins, in steps; none for a category

    @property
    def size(self) -> int:
        """How many codes there are."""
        return self.known + self.nullable

    @property
    def measured(self) -> bool:
        """Whether it is of numbers or dates."""
        return bool(self.edges)

    @cached_property
    def fine_edges(self) -> Ints:
        """Every bin cut into cells of equal width, as fine as single steps where they are few."""
        most = max(4, FINE // self.known)
        parts = [
            low + np.arange(n) * (high - low) // n
            for low, high in zip(self.edges, self.edges[1:], strict=False)
            for n in [min(high - low, most)]
        ]
        return np.concatenate([*parts, [self.edges[-1]]]).astype(np.int64)

    @cached_property
    def fine_bin(self) -> Ints:
        """The bin of each fine cell."""
        return np.searchsorted(self.edges, self.fine_edges[:-1], side="right") - 1

    @property
    def cyclic(self) -> bool:
        """Whether a fine cell is wide enough to hold habits of writing."""
        return self.measured and int(np.diff(self.fine_edges).max()) > 1


def domain_of(column: Category | Number | Day) -> Domain:
    """The codes of a declared column."""
    if isinstance(column, Category):
        return Domain(len(column.values), column.nullable)
    return Domain(len(column.bins) - 1, column.nullable, edges_of(column))


def edges_of(column: Number | Day) -> tuple[int, ...]:
    """The edges of its bins in whole steps (days of a date)."""
    return tuple(in_steps(edge, column) for edge in column.bins)


def in_steps(value: Edge, column: Number | Day) -> int:
    """A public value in steps of a column."""
    step = column.step if isinstance(column, Number) else 1.0
    return round(day_number(value) / step)


def count_domain(at_most: int) -> Domain:
    """How many rows a parent has: singly to 8, then in bins that grow by a quarter."""
    edges = list(range(min(8, at_most) + 1))
    while edges[-1] < at_most:
        edges.append(min(at_most, edges[-1] + max(1, edges[-1] // 4)))
    return Domain(len(edges), False, (*edges, at_most + 1))


def use_domain(most: int) -> Domain:
    """How many rows a unit has in all, in classes that grow fourfold."""
    edges = [1]
    while edges[-1] * 4 <= most:
        edges.append(edges[-1] * 4)
    return Domain(len(edges), False, (*edges, most + 1))


def steps_sql(column: Number | Day, name: str) -> str:
    """SQL for a column's value in steps; NULL where it is missing or no number."""
    if isinstance(column, Day):
        return f"date_diff('day', DATE '1970-01-01', TRY_CAST({name} AS DATE))"
    value = f"TRY_CAST({name} AS DOUBLE)"
    finite = f"CASE WHEN isfinite({value}) THEN {value} END"
    return f"TRY_CAST(round(({finite}) / {column.step!r}) AS BIGINT)"


def clamp_sql(value: str, edges: Sequence[int]) -> str:
    """A value in steps, moved into the bins; NULL stays."""
    return (
        f"CASE WHEN {value} IS NULL THEN NULL "
        f"ELSE greatest({edges[0]}, least({edges[-1] - 1}, {value})) END"
    )


def code_sql(value: str, edges: Sequence[int]) -> str:
    """SQL for the bin of a clamped value: a binary search written out; NULL stays."""
    return (
        f"CASE WHEN {value} IS NULL THEN NULL ELSE {_search(value, edges, 0, len(edges) - 1)} END"
    )


def _search(value: str, edges: Sequence[int], low: int, high: int) -> str:
    if high - low == 1:
        return str(low)
    middle = (low + high) // 2
    below, above = _search(value, edges, low, middle), _search(value, edges, middle, high)
    return f"(CASE WHEN {value} < {edges[middle]} THEN {below} ELSE {above} END)"
