"""A statement in steps, for an engine that would run a CTE as often as it is read.

Where views read views that read views, what is written once is read thousands of times: an engine
that writes each CTE in where it is named never ends to plan that. What is read more than once then
comes first, as a step whose rows are kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sqlglot import exp

from gateway.releases.engine.naming import Bindings

MANY = 50
"""Reads of tables, all CTEs written in, up to which a statement is left in one piece."""

KEPT = "__kept"
"""Ends the name of a step: the query's own names do not end so."""


@dataclass(frozen=True)
class Step:
    """A query over tables and the steps before it; the last one has no name."""

    name: str
    query: exp.Expr


def steps(tree: exp.Expr) -> list[Step]:
    """The steps of a statement whose CTEs have names of their own; its own tree is used up."""
    bodies = _bodies(tree)
    uses = Counter(name for body in bodies.values() for name in _reads(body))
    if _weights(bodies, {})[""] <= MANY:
        uses.clear()
    made: list[Step] = []
    weights: dict[str, int] = {}
    for name, body in bodies.items():
        weights |= _weights({name: body}, weights)
        if uses[name] > 1 and weights[name] > 1:
            made.append(Step(f"{name}{KEPT}", _closed(name, bodies)))
            bodies[name] = exp.select("*").from_(f"{name}{KEPT}")
            weights[name] = 1
    return [*made, Step("", _closed("", bodies))]


def _bodies(tree: exp.Expr) -> dict[str, exp.Expr]:
    """Every CTE's query without those inside it, each after what it reads; the statement as ''."""
    ctes = [cte for cte, _ in Bindings.of(tree).ctes]
    for clause in list(tree.find_all(exp.With)):
        clause.pop()
    return {**{cte.alias.lower(): _body(cte) for cte in ctes}, "": tree}


def _body(cte: exp.CTE) -> exp.Expr:
    query: exp.Expr = cte.this
    if not cte.alias_column_names:
        return query
    return exp.select("*").from_(exp.Subquery(this=query, alias=cte.args["alias"]))


def _reads(body: exp.Expr) -> Iterator[str]:
    return (table.name.lower() for table in body.find_all(exp.Table) if table.name)


def _weights(bodies: Mapping[str, exp.Expr], known: Mapping[str, int]) -> dict[str, int]:
    """How often each query reads tables when all that it reads is written in."""
    found = dict(known)
    for name, body in bodies.items():
        found[name] = sum(found.get(read, 1) for read in _reads(body))
    return found


def _closed(name: str, bodies: dict[str, exp.Expr]) -> exp.Expr:
    """A query with the CTEs that it needs."""
    needed = {name}
    for other, body in reversed(bodies.items()):
        if other in needed:
            needed.update(_reads(body))
    query = bodies[name].copy()
    ctes = [
        exp.CTE(this=body.copy(), alias=exp.TableAlias(this=exp.to_identifier(other)))
        for other, body in bodies.items()
        if other in needed and other not in {name, ""}
    ]
    if ctes:
        query.set("with_", exp.With(expressions=ctes))
    return query
