"""One row a person: the columns of the root, and of each table below how many rows it has for
the person and the sum of every number. What attacks and discriminators see of a whole life."""

from __future__ import annotations

import duckdb
import numpy as np

from synthetic.evaluation.learning import CATEGORIES, Matrix
from synthetic.evaluation.longitudinal import quoted
from synthetic.evaluation.marginals import Coded, Codes
from synthetic.evaluation.sides import Raw, expression
from synthetic.tables.schema import Category, Number, Schema

CLASSES = 12
"""Quantiles of the real persons by which sums are classed for the attacks: they are made by
whoever checks, who has the real data, and go no further than this report's figures."""
PEOPLE = 100_000


def people(connection: duckdb.DuckDBPyConnection, schema: Schema, side: str, seed: int = 0) -> Raw:
    """The persons of a side, as columns of numbers; at most `PEOPLE`, drawn by the seed."""
    root = schema.root
    picked = [
        f"{expression(schema, root, column)} AS {quoted(column)}"
        for column in schema.tables[root].columns
    ]
    joins = []
    for name, table in schema.tables.items():
        if name == root:
            continue
        sums = {
            f"{name}.{column}": f"sum({quoted(column)}::DOUBLE)"
            for column, what in table.columns.items()
            if isinstance(what, Number) and column != (table.order and table.order.column)
        }
        asked = {f"{name}.rows": "count(*)::DOUBLE", **sums}
        picked += [f"coalesce({quoted(name)}.{quoted(key)}, 0) AS {quoted(key)}" for key in asked]
        figures = ", ".join(f"{sql} AS {quoted(key)}" for key, sql in asked.items())
        joins.append(
            f" LEFT JOIN (SELECT _unit AS _u, {figures} FROM {quoted(side)}.{quoted(name)}"
            f" GROUP BY 1) {quoted(name)} ON {quoted(name)}._u = t._unit"
        )
    found = connection.execute(
        f"SELECT * FROM (SELECT {', '.join(picked)} FROM {quoted(side)}.{quoted(root)} t"
        f"{''.join(joins)}) USING SAMPLE reservoir({PEOPLE} ROWS) REPEATABLE ({int(seed)})"
    ).fetchnumpy()
    return {
        column: np.ma.filled(np.ma.asarray(values, np.float64), np.nan)
        for column, values in found.items()
    }


def matrix(schema: Schema, persons: Raw) -> Matrix:
    """The persons as a learner takes them."""
    kinds = schema.tables[schema.root].columns
    return Matrix(
        np.column_stack(list(persons.values())),
        tuple(persons),
        tuple(
            isinstance(k := kinds.get(name), Category) and len(k.values) + 1 <= CATEGORIES
            for name in persons
        ),
    )


def classed(schema: Schema, real: Raw, *others: Raw) -> list[Coded]:
    """The persons in classes: listed values as they are, numbers by quantiles of the real."""
    kinds = schema.tables[schema.root].columns
    sides: list[dict[str, Codes]] = [{} for _ in (real, *others)]
    sizes = {}
    for name, values in real.items():
        what = kinds.get(name)
        if isinstance(what, Category):
            edges = np.arange(1.0, len(what.values) + 1) - 0.5
        else:
            known = values[~np.isnan(values)]
            edges = np.unique(np.quantile(known, np.linspace(0, 1, CLASSES + 1)[1:-1]))
        sizes[name] = len(edges) + 2
        for made, side in zip(sides, (real, *others), strict=True):
            place = np.searchsorted(edges, side[name], "right") + 1
            made[name] = np.where(np.isnan(side[name]), 0, place).astype(np.int64)
    return [Coded(made, sizes) for made in sides]
