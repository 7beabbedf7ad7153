"""A fact, once defined, in the words of other engines, with what they would read otherwise pinned.

The definition is DuckDB's. Its quotients are floating-point numbers, rounded half away from zero
where they become decimals; Spark would divide decimals as decimals, and so would differ by a last
digit where a quotient lies in the middle. So each is written out as what it means. Counts of days
are said as such everywhere. All else of the portable part reads the same, or sqlglot says it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.qualify import qualify

from gateway.errors import OperatorError
from gateway.releases.engine.naming import name_apart
from gateway.releases.engine.port import in_order
from gateway.releases.engine.portable import is_double
from gateway.releases.engine.sql import DIALECT, written
from gateway.releases.engine.stepwise import steps
from gateway.releases.source import Query
from synthetic.warehouse.schema import TABLES, arrow_schema

DIALECTS = ("spark", "trino", "clickhouse")
"""What every fact can be said in besides DuckDB; run on, so far: Spark."""


@dataclass(frozen=True)
class Compiled:
    """An engine that runs nothing: the statements it would send, by the names of the facts."""

    dialect: str
    statements: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"compiled {self.dialect}"

    def write(self, name: str, query: Query, whole: str, season: str, folder: Path) -> None:
        """Keep the statement; the folder stays empty, as of a fact without rows."""
        del folder
        self.statements[name] = spoken(in_order(query, whole, season), self.dialect)


def spoken(statement: str, dialect: str) -> str:
    """A statement of DuckDB's portable part in another dialect, which its own parser has read."""
    return _read_back(_pinned_for(statement, dialect), dialect)


def spoken_in_steps(statement: str, dialect: str) -> list[tuple[str, str]]:
    """The same as statements that read the rows of those before by name; the last has none."""
    made = steps(_pinned_for(statement, dialect))
    return [(step.name, _read_back(step.query, dialect)) for step in made]


def _pinned_for(statement: str, dialect: str) -> exp.Expr:
    tree = sqlglot.parse_one(statement, dialect=DIALECT)
    name_apart(tree)
    _everywhere(tree, _pinned)
    if dialect == "spark":
        _everywhere(tree, _for_spark)
    if dialect == "clickhouse":
        _everywhere(tree, _for_clickhouse)
        tree = qualify(
            tree,
            dialect=DIALECT,
            schema=_columns(),
            quote_identifiers=False,
            validate_qualify_columns=False,  # a table made for a release is not in the schema
        )
    return tree


def _read_back(tree: exp.Expr, dialect: str) -> str:
    text = written(tree, dialect)
    try:
        sqlglot.parse_one(text, dialect=dialect)
    except SqlglotError as error:
        raise OperatorError("fact_not_portable", f"Not to be said in {dialect}.") from error
    return text


def _everywhere(tree: exp.Expr, rule: Callable[[exp.Expr], exp.Expr]) -> None:
    """Put a rule to every node, to what lies deepest first."""
    for node in reversed(list(tree.walk())):
        new = rule(node)
        if new is not node:
            node.replace(new)


@cache
def _columns() -> dict[str, Any]:  # as sqlglot takes a schema
    """The columns of the warehouse's tables. Their types are of no interest here."""
    return {name: dict.fromkeys(arrow_schema(TABLES[name]).names, "TEXT") for name in TABLES}


def _pinned(node: exp.Expr) -> exp.Expr:
    """Division as that of doubles, and the step from a double to a decimal in DuckDB's way."""
    if isinstance(node, exp.Div):
        return exp.Div(this=_double(node.this), expression=_double(node.expression))
    if isinstance(node, exp.Round) and is_double(node.this) and node.args.get("decimals"):
        factor = _power(int(node.args["decimals"].name))
        whole = exp.Round(this=_times(node.this, factor))
        return exp.paren(exp.Div(this=whole, expression=_double(factor)))
    if isinstance(node, exp.Cast) and is_double(node.this):
        decimals = _decimals(node)
        return node if decimals is None else _rounded(node, decimals)
    return node


def _rounded(cast: exp.Cast, decimals: int) -> exp.Expr:
    """A double as a decimal: so many last digits, half away from zero, times the worth of one."""
    whole = _decimal(exp.Round(this=_times(cast.this, _power(decimals))), _WHOLE, 0)
    if not decimals:
        return exp.cast(whole, cast.to)
    one = _decimal(exp.Literal.string(f"0.{'1'.zfill(decimals)}"), decimals + 1, decimals)
    return exp.cast(exp.Mul(this=whole, expression=one), cast.to)


_GIVEN = (exp.Literal, exp.Null)
"""What is as long as it is written, or nothing."""

_WHOLE = 24
"""Digits of a quotient at most: with its decimals it stays within what all engines hold exactly."""


def _decimal(operand: exp.Expr, digits: int, decimals: int) -> exp.Expr:
    return exp.cast(operand, exp.DataType.build(f"DECIMAL({digits}, {decimals})", dialect=DIALECT))


def _double(operand: exp.Expr) -> exp.Expr:
    return exp.cast(operand, exp.DataType.build("DOUBLE"))


def _power(decimals: int) -> exp.Expr:
    return exp.Literal.number(10**decimals)


def _times(operand: exp.Expr, factor: exp.Expr) -> exp.Expr:
    return exp.Mul(this=exp.paren(operand), expression=_double(factor))


def _decimals(cast: exp.Cast) -> int | None:
    """The decimals of the type a value is cast to; none if it is no decimal."""
    if cast.to.this != exp.DataType.Type.DECIMAL:
        return None
    given = [size.this.name for size in cast.to.expressions]
    return int(given[1]) if len(given) > 1 else 0


def _for_spark(node: exp.Expr) -> exp.Expr:
    """Days between dates: with a unit, Spark would count whole days between moments."""
    if isinstance(node, exp.DateDiff):
        node.set("unit", None)
    return node


def _for_clickhouse(node: exp.Expr) -> exp.Expr:
    """What ClickHouse calls otherwise, cuts where others round, or fills with zeroes."""
    if isinstance(node, exp.LogicalOr):
        return exp.Max(this=node.this)
    if isinstance(node, exp.LogicalAnd):
        return exp.Min(this=node.this)
    if isinstance(node, exp.Round) and is_double(node.this):  # it would round to the even one
        half = exp.Add(this=exp.Abs(this=node.this.copy()), expression=exp.Literal.number("0.5"))
        return exp.Mul(this=exp.Sign(this=node.this.copy()), expression=exp.Floor(this=half))
    if isinstance(node, exp.Cast) and _decimals(node) and not isinstance(node.this, _GIVEN):
        digits = exp.Literal.number(_decimals(node) or 0)
        node.set("this", exp.Round(this=node.this, decimals=digits))
    if isinstance(node, (exp.Lag, exp.Lead)):  # outside the window: zero, unless NULL can be held
        node.set("this", exp.Anonymous(this="toNullable", expressions=[node.this]))
    if isinstance(node, exp.Div):  # it divides also where a side is NULL, by a zero behind it
        missing = exp.or_(node.this.is_(exp.null()), node.expression.is_(exp.null()))
        return exp.case().when(missing, exp.null()).else_(node.copy())
    return node
