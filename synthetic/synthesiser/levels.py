"""What is drawn at each table, and from what: worked out from the schema alone, so public.

Names of variables: `age` is a column of the row, `#visit` how many rows of `visit` it has,
`person.age` a parent's column, `prev.clinic` the last known value in the rows before of the same
parent, `left` how many rows of the parent come after, `pace` the days of the window that remain
for each of them, `use` how many rows the unit has in all.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import NamedTuple

from synthetic.synthesiser.domains import Domain, count_domain, domain_of, use_domain
from synthetic.tables.errors import SynthesisError
from synthetic.tables.schema import Category, Schema, Table

USE = "use"
"""Known where units have several rows: what heavy users do is not what the average unit does."""
UNIT = "unit"
"""The table of units that nobody declared, where the first table holds several rows of one."""


class Child(NamedTuple):
    """A table below: its name, the most rows of one parent, its column of the parent's key."""

    name: str
    at_most: int
    foreign_key: str


@dataclass(frozen=True)
class Level:
    """A table as the synthesiser sees it."""

    name: str
    table: Table
    ancestors: tuple[Level, ...]  # nearest first
    children: tuple[Child, ...]

    @cached_property
    def own(self) -> dict[str, Domain]:
        """Variables that are drawn."""
        found = {name: domain_of(self.table.columns[name]) for name in self.table.modelled}
        return found | {f"#{child.name}": count_domain(child.at_most) for child in self.children}

    @cached_property
    def given(self) -> dict[str, Domain]:
        """Variables that are known when a row is drawn."""
        found = {
            f"{above.name}.{name}": domain
            for above in self.ancestors
            for name, domain in above.own.items()
        }
        if self.unit_rows > 1:
            found[USE] = use_domain(self.unit_rows)
        if self.sequential:
            found["left"] = count_domain(self.table.at_most - 1)
            if self.ordering:
                gap = self.own[self.ordering]
                found["pace"] = Domain(gap.known, False, gap.edges)
            for name in self.table.modelled:
                found[f"prev.{name}"] = Domain(self.own[name].known + 1, False)
        return found

    @property
    def unit_rows(self) -> int:
        """The most rows of one unit."""
        levels = [one for one in (self, *self.ancestors) if one.ancestors]
        return prod(one.table.at_most for one in levels)

    @property
    def sequential(self) -> bool:
        """Whether a parent may have several rows, each drawn after the one before it."""
        return bool(self.ancestors) and self.table.at_most > 1

    @property
    def ordering(self) -> str:
        """The column that puts rows in sequence, or nothing."""
        return self.table.order.column if self.table.order else ""

    def domain(self, name: str) -> Domain:
        """The codes of a variable."""
        return self.own[name] if name in self.own else self.given[name]


def levels_of(schema: Schema) -> tuple[Level, ...]:
    """The levels of a schema, parents before their children."""
    made: dict[str, Level] = {}
    for name in schema.ordered:
        table = schema.tables[name]
        above = made[table.parent] if table.parent else None
        ancestors = (above, *above.ancestors) if above else ()
        below = ((child, schema.tables[child]) for child in schema.children(name))
        children = tuple(Child(n, t.at_most, t.foreign_key or "") for n, t in below)
        made[name] = Level(name, table, ancestors, children)
        _window(made[name])
    return tuple(made.values())


def of_unit(schema: Schema, unit: str | None) -> Schema:
    """The schema whose first table has one row for each unit.

    Where `unit` is not the key of the declared first table but a column of it, a table of units
    without columns goes before it. Without a unit and a key, each row is one.

    Raises:
        SynthesisError: `synth_unit`, where the column cannot be the unit.
    """
    root = schema.tables[schema.root]
    if unit is None or unit == root.key:
        if root.at_most > 1:
            raise _no_unit(f"{schema.root} allows several rows of a unit, so --unit names another")
        return schema
    if unit in root.columns:
        raise _no_unit(f"{unit} is a column that is modelled: take it out of {schema.root}")
    if UNIT in schema.tables:
        raise _no_unit(f"the name {UNIT} is kept for the table of units")
    # Keys and columns of the new table are known to be right; it is no table of a file.
    first = Table.model_construct(key=unit, columns={})
    under = root.model_copy(update={"parent": UNIT, "foreign_key": unit})
    tables = {UNIT: first} | schema.tables | {schema.root: under}
    return schema.model_copy(update={"tables": tables})


def bound(level: Level, edge: str) -> tuple[str, str] | None:
    """The table and column that a window's edge names; nothing where the edge is a value."""
    order = level.table.order
    named = getattr(order, edge)
    if not isinstance(named, str):
        return None
    for above in level.ancestors:
        column = above.table.columns.get(named)
        if column is not None and not isinstance(column, Category) and not column.nullable:
            return above.name, named
    raise SynthesisError(
        "synth_schema",
        f"The schema cannot be used: the window of {level.name} names {named}, which no table "
        "above it has as a date or number without missing values.",
        "合成数据的表结构文件不可用。",
    )


def _window(level: Level) -> None:
    if level.table.order is not None:
        bound(level, "start")
        bound(level, "end")


def _no_unit(why: str) -> SynthesisError:
    return SynthesisError(
        "synth_unit", f"The unit cannot be used: {why}.", "无法使用所指定的单位列。"
    )
