"""What the schema declares, checked by SQL on the synthetic tables: keys, parents, listed values,
windows, caps and identities. A check says how many rows it looked at and how many break it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import duckdb

from synthetic.evaluation.longitudinal import quoted
from synthetic.evaluation.sides import text
from synthetic.tables.schema import (
    Category,
    ChildrenSum,
    Column,
    Day,
    Derived,
    Identity,
    Number,
    Schema,
    Sum,
    day_number,
)


@dataclass(frozen=True)
class Check:
    """One declaration: `broken` of `rows` rows do not keep it."""

    table: str
    rule: str
    rows: int
    broken: int

    @property
    def held(self) -> float:
        """Share of rows that keep it; 1 where there is none."""
        return 1.0 if not self.rows else 1 - self.broken / self.rows


def check(connection: duckdb.DuckDBPyConnection, schema: Schema, side: str) -> list[Check]:
    """Every declaration of the schema over the tables of a side."""
    found = []
    for name, rule, query in _queries(schema, side):
        row = connection.execute(query).fetchone() or (0, 0)
        found.append(Check(name, rule, int(row[0]), int(row[1] or 0)))
    return found


def _queries(schema: Schema, side: str) -> Iterator[tuple[str, str, str]]:
    for name, table in schema.tables.items():
        place = f"{quoted(side)}.{quoted(name)}"
        rows = f"SELECT count(*), count(*) FILTER (WHERE {{}}) FROM {place} t"
        if table.key:
            unique = f"SELECT count(*), count(*) - count(DISTINCT {quoted(table.key)}) FROM {place}"
            yield name, f"{table.key} is unique", unique
        if table.parent and table.foreign_key:
            yield name, f"{table.foreign_key} is of {table.parent}", rows.format("_unit IS NULL")
            many = f"SELECT {quoted(table.foreign_key)}, count(*) AS n FROM {place} GROUP BY 1"
            capped = f"SELECT count(*), count(*) FILTER (WHERE n > {table.at_most}) FROM ({many})"
            yield name, f"at most {table.at_most} of one {table.parent}", capped
        for column, what in table.columns.items():
            ranged = column in _ranged(schema, name)
            broken = _outside(column, what, ranged=ranged)
            yield name, f"{column} {_words(what, ranged=ranged)}", rows.format(broken)
        for identity in table.identities:
            yield name, _said(identity), _identity(schema, side, name, identity)


def _ranged(schema: Schema, name: str) -> frozenset[str]:
    """Columns whose own bins bound them: not what is worked out from others, nor distances."""
    table = schema.tables[name]
    above = schema.tables[table.parent].identities if table.parent else ()
    free = {i.item for i in above if isinstance(i, ChildrenSum) and i.child == name}
    for identity in table.identities:
        free |= {*identity.items} if isinstance(identity, Sum) else set()
    order = {table.order.column} if table.order else set()
    return frozenset(set(table.modelled) - free - order)


def _words(what: Column, *, ranged: bool) -> str:
    if isinstance(what, Category):
        return "is listed"
    if what.since:
        return f"is not before {what.since}"
    grid = "is a day" if what.kind == "date" else "is on its grid"
    return f"{grid} within its bins" if ranged else grid


def _outside(column: str, what: Column, *, ranged: bool) -> str:
    """True where a value is null unduly, not listed, off the grid or out of its bins."""
    place = f"t.{quoted(column)}"
    null = "false" if what.nullable else f"{place} IS NULL"
    if isinstance(what, Category):
        listed = ", ".join(
            text(str(v).lower() if isinstance(v, bool) else str(v)) for v in what.values
        )
        return f"{null} OR ({place} IS NOT NULL AND {place}::VARCHAR NOT IN ({listed}))"
    if what.since:
        return f"{null} OR {place} < t.{quoted(what.since)}"
    value = place if isinstance(what, Number) else f"date_diff('day', DATE '1970-01-01', {place})"
    low, high = day_number(what.bins[0]), day_number(what.bins[-1])
    out = f"({ranged} AND NOT ({value} >= {low!r} AND {value} <= {high!r}))"
    if isinstance(what, Day):
        return f"{null} OR {out}"
    steps = f"({place} / {what.step!r})"
    return f"{null} OR {out} OR abs({steps} - round({steps})) > 1e-4"


def _said(identity: Identity) -> str:
    if isinstance(identity, Sum):
        return f"{identity.total} = {' + '.join(identity.items)}"
    if isinstance(identity, ChildrenSum):
        return f"{identity.total} = Σ {identity.child}.{identity.item}"
    return f"{identity.column} = {identity.sql}"


def _identity(schema: Schema, side: str, name: str, identity: Identity) -> str:
    place, table = f"{quoted(side)}.{quoted(name)}", schema.tables[name]
    if isinstance(identity, Derived):
        same = f"({identity.sql}) IS NOT DISTINCT FROM {quoted(identity.column)}"
        what = table.columns[identity.column]
        if isinstance(what, Number):
            same = _equal(f"({identity.sql})", quoted(identity.column), what.step)
        return f"SELECT count(*), count(*) FILTER (WHERE NOT ({same})) FROM {place}"
    step = _step(schema, name, identity.total)
    if isinstance(identity, Sum):
        items = " + ".join(f"coalesce({quoted(item)}, 0)::DOUBLE" for item in identity.items)
        same = _equal(items, quoted(identity.total), step)
        return f"SELECT count(*), count(*) FILTER (WHERE NOT ({same})) FROM {place}"
    child = schema.tables[identity.child]
    same = _equal("coalesce(s, 0)", f"p.{quoted(identity.total)}", step)
    return (
        f"SELECT count(*), count(*) FILTER (WHERE NOT ({same})) FROM {place} p LEFT JOIN ("
        f"SELECT {quoted(child.foreign_key or '')} AS k, sum({quoted(identity.item)}::DOUBLE) AS s"
        f" FROM {quoted(side)}.{quoted(identity.child)} GROUP BY 1) c"
        f" ON c.k = p.{quoted(table.key or '')}"
    )


def _step(schema: Schema, name: str, column: str) -> float:
    what = schema.tables[name].columns[column]
    return what.step if isinstance(what, Number) else 1.0


def _equal(one: str, other: str, step: float) -> str:
    """Equal to a fiftieth of a step: on a grid that is equal, less what binary sums add."""
    return f"abs(coalesce(({one})::DOUBLE, 0) - coalesce(({other})::DOUBLE, 0)) < {step / 50!r}"
