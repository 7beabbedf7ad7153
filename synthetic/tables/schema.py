"""The schema file of the synthesiser: what is publicly known of a set of linked tables.

    tables:
      person:
        key: id                  # one row a person: the unit whose privacy is kept
        columns:
          sex: {kind: category, values: [M, F]}
          age: {kind: number, bins: [0, 15, 45, 60, 75, 111]}
      visit:
        parent: person
        foreign_key: person_id   # the column of visit that holds the key of person
        key: visit_id
        at_most: 40              # rows of one parent; further rows are left out
        order: {column: day, start: 2026-01-01, end: 2026-12-31}
        columns:
          day: {kind: date, bins: [0, 1, 8, 31, 366]}       # days since the visit before
          clinic: {kind: category, values: [GP, ER, LAB]}
          drugs: {kind: number, bins: [0, 0.01, 50, 500, 5000], step: 0.01}
          exams: {kind: number, bins: [0, 0.01, 50, 500, 5000], step: 0.01}
          total: {kind: number, bins: [0, 0.01, 100, 1000, 10000], step: 0.01}
        identities:
          - {kind: sum, total: total, items: [drugs, exams]}

All of it is public: values and bins come from code tables and rules, never from the data. A bin
holds its lower edge and not its upper one; what lies outside all bins is moved into the nearest.
"""

from __future__ import annotations

import re
from datetime import date
from itertools import pairwise
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Edge: TypeAlias = date | float
Label: TypeAlias = bool | int | str
UNSPLITTABLE = "a total that is split is never missing, and nothing of it below 0"

Name: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Category(_Part):
    """A column of listed values; what is not listed is read as `other`, or else refused."""

    kind: Literal["category"]
    values: tuple[Label, ...] = Field(min_length=1, max_length=20_000)
    other: Label | None = None
    nullable: bool = False

    @model_validator(mode="after")
    def _once(self) -> Self:
        if len({str(value) for value in self.values}) < len(self.values):
            raise ValueError("a value is listed twice")
        if self.other is not None and self.other not in self.values:
            raise ValueError("`other` is one of the values")
        return self


class _Measured(_Part):
    since: Name | None = None
    """Another column of the row: `bins` then tell the distance from it, which is never below the
    first edge (`discharge: {kind: date, since: admission, bins: [0, 1, 8]}` is no earlier)."""
    nullable: bool = False


class Number(_Measured):
    """A number on the grid of `step`, modelled in bins: n+1 rising edges make n bins."""

    kind: Literal["number"]
    bins: tuple[float, ...] = Field(min_length=2, max_length=2_000)
    step: float = Field(default=1.0, gt=0)

    @model_validator(mode="after")
    def _rising(self) -> Self:
        steps = [round(edge / self.step) for edge in self.bins]
        if any(b <= a for a, b in pairwise(steps)):
            raise ValueError("bins rise by a step at least")
        return self


class Day(_Measured):
    """A date, modelled in bins of days: dates, or numbers where it is a distance (`since`, or the
    table's `order`)."""

    kind: Literal["date"]
    bins: tuple[Edge, ...] = Field(min_length=2, max_length=2_000)

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if len({isinstance(edge, date) for edge in self.bins}) > 1:
            raise ValueError("bins are all dates or all numbers of days")
        numbers = [day_number(edge) for edge in self.bins]
        if any(b <= a for a, b in pairwise(numbers)):
            raise ValueError("bins rise by a day at least")
        return self


Column: TypeAlias = Annotated[Category | Number | Day, Field(discriminator="kind")]


class Sum(_Part):
    """`total` = the sum of `items`, to the step, in each row (`null` counts as nothing).

    keep: `items` derives the total; `total` models both and splits the total over the items by
    largest remainder, in proportion to the items drawn.
    """

    kind: Literal["sum"]
    total: Name
    items: tuple[Name, ...] = Field(min_length=1)
    keep: Literal["items", "total"] = "items"


class ChildrenSum(_Part):
    """`total` of a row = the sum of `item` over its rows of the table `child`; `keep` as in `Sum`.

    With `keep: total`, a row without children has the total 0.
    """

    kind: Literal["children_sum"]
    total: Name
    child: Name
    item: Name
    keep: Literal["items", "total"] = "total"


class Derived(_Part):
    """`column` is never modelled: an SQL expression (DuckDB's) over other columns of the row."""

    kind: Literal["derived"]
    column: Name
    sql: str = Field(min_length=1, max_length=2_000)

    @field_validator("sql")
    @classmethod
    def _one_expression(cls, sql: str) -> str:
        if ";" in sql or re.search(r"\b(select|from|copy|attach|install|load)\b", sql, re.I):
            raise ValueError("an expression over columns of the row: no statement, no query")
        return sql


Identity: TypeAlias = Annotated[Sum | ChildrenSum | Derived, Field(discriminator="kind")]


class Order(_Part):
    """The date or number that puts the rows of one parent in sequence, within a window.

    `start` and `end`: a column of the parent (or of its parents), or a value known to all. The
    column's bins tell the distance from the row before it, and of the first from `start`.
    """

    column: Name
    start: date | float | Name
    end: date | float | Name


class Table(_Part):
    """One table: its file holds a column for each of `columns`, and for its keys."""

    key: Name | None = None
    """Unique over the table; needed where the table has children. Made anew: 1, 2, 3, …"""
    parent: Name | None = None
    foreign_key: Name | None = None
    at_most: int = Field(default=1, ge=1, le=10_000)
    """Rows of one parent (in the table without parent: of one unit); the first are kept."""
    estimator: Literal["auto", "rows", "shares"] = "auto"
    """How a unit's rows are weighed: `rows` counts each 1 (a unit changes a count by up to
    `unit_rows`), `shares` counts each 1/n of its unit (by 1). `auto`: `rows` from a million units
    on, as a noised count tells."""
    order: Order | None = None
    columns: dict[Name, Column] = Field(max_length=400)
    identities: tuple[Identity, ...] = ()

    @property
    def derived(self) -> frozenset[str]:
        """Columns that are worked out from others, so not modelled."""
        found = {i.column for i in self.identities if isinstance(i, Derived)}
        sums = (i for i in self.identities if isinstance(i, Sum | ChildrenSum))
        return frozenset(found | {i.total for i in sums if i.keep == "items"})

    @property
    def modelled(self) -> tuple[str, ...]:
        """Columns that are drawn, in the order of the file."""
        return tuple(name for name in self.columns if name not in self.derived)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.parent is None) != (self.foreign_key is None):
            raise ValueError("`parent` and `foreign_key` go together")
        for name in {self.key, self.foreign_key} & set(self.columns):
            raise ValueError(f"{name} is a key, so no column to be modelled")
        if self.order is not None:
            ordering = self.columns.get(self.order.column)
            if self.parent is None or ordering is None or ordering.kind == "category":
                raise ValueError("`order` names a date or a number of a table with a parent")
            if ordering.nullable or ordering.since:
                raise ValueError("the column of `order` is neither nullable nor a distance")
        for identity in self.identities:
            self._known(identity)
        self._distances()
        return self

    def _known(self, identity: Sum | ChildrenSum | Derived) -> None:
        named: set[str] = set()
        if isinstance(identity, Sum):
            named = {identity.total, *identity.items}
            steps = {c.step for n in named if isinstance(c := self.columns.get(n), Number)}
            if len(steps) != 1 or any(not isinstance(self.columns.get(n), Number) for n in named):
                raise ValueError(f"{identity.total}: a sum is of numbers with one step")
            self._splittable(identity)
        elif isinstance(identity, ChildrenSum):
            named = {identity.total}
        else:
            named = {identity.column}
        for name in sorted(named - set(self.columns)):
            raise ValueError(f"an identity names {name}, which is no column")

    def _splittable(self, identity: Sum) -> None:
        found = [
            c for n in (identity.total, *identity.items) if isinstance(c := self.columns[n], Number)
        ]
        if identity.keep == "total" and (found[0].nullable or any(c.bins[0] < 0 for c in found)):
            raise ValueError(f"{identity.total}: {UNSPLITTABLE}")

    def _distances(self) -> None:
        for name, column in self.columns.items():
            other = None if isinstance(column, Category) else column.since
            if other is None:
                continue
            base = self.columns.get(other)
            if base is None or isinstance(base, Category) or base.kind != column.kind or base.since:
                raise ValueError(f"{name}: `since` names a column of the same kind, no distance")


class Schema(_Part):
    """The whole file. Tables without parent are the roots, and all hold the unit."""

    tables: dict[Name, Table] = Field(min_length=1, max_length=50)

    @property
    def ordered(self) -> tuple[str, ...]:
        """Tables, parents before their children."""
        done: list[str] = []
        while len(done) < len(self.tables):
            done += [
                name
                for name, table in self.tables.items()
                if name not in done and (table.parent is None or table.parent in done)
            ]
        return tuple(done)

    @property
    def root(self) -> str:
        """The table without parent."""
        return self.ordered[0]

    def children(self, name: str) -> tuple[str, ...]:
        """Tables whose parent is `name`."""
        return tuple(child for child, table in self.tables.items() if table.parent == name)

    def unit_rows(self, name: str) -> int:
        """The most rows of one unit in a table: the caps of its parents multiplied."""
        table = self.tables[name]
        return table.at_most * (self.unit_rows(table.parent) if table.parent else 1)

    @model_validator(mode="after")
    def _tree(self) -> Self:
        if sum(table.parent is None for table in self.tables.values()) != 1:
            raise ValueError("one table has no parent: that of the units")
        for name, table in self.tables.items():
            self._climb(name)
            if table.parent and self.tables[table.parent].key is None:
                raise ValueError(f"{table.parent} has children, so it needs a key")
            for identity in table.identities:
                if isinstance(identity, ChildrenSum):
                    self._summed(name, table, identity)
        return self

    def _climb(self, name: str) -> None:
        seen = {name}
        while (parent := self.tables[name].parent) is not None:
            if parent not in self.tables or parent in seen:
                raise ValueError(f"{name}: its parent {parent} is unknown or its own child")
            seen.add(parent)
            name = parent

    def _summed(self, name: str, table: Table, identity: ChildrenSum) -> None:
        child = self.tables.get(identity.child)
        if child is None or child.parent != name:
            raise ValueError(f"{name}: {identity.child} is not a child of it")
        item, total = child.columns.get(identity.item), table.columns[identity.total]
        if not (isinstance(item, Number) and isinstance(total, Number)) or item.step != total.step:
            raise ValueError(f"{name}.{identity.total}: a sum is of numbers with one step")
        splits = identity.keep == "total"
        if splits and (total.nullable or min(item.bins[0], total.bins[0]) < 0):
            raise ValueError(f"{identity.total}: {UNSPLITTABLE}")


def day_number(edge: Edge) -> float:
    """A date as days since 1970-01-01; a number as it is."""
    return float((edge - date(1970, 1, 1)).days) if isinstance(edge, date) else float(edge)
