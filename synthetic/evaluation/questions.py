"""What a set should be good for, as an operator writes it: `visit.total`, `visit.total>20000`,
`visit.next<=30` (another row of the same parent within 30 days: readmission)."""

from __future__ import annotations

import re
from dataclasses import dataclass

import duckdb

from synthetic.evaluation import people
from synthetic.evaluation.learning import Matrix, Target, Utility, utility
from synthetic.evaluation.sides import NEXT, matrix, raw
from synthetic.tables.errors import SynthesisError
from synthetic.tables.schema import ChildrenSum, Derived, Schema, Sum

_FORM = re.compile(r"(\w+)\.(\w+)(?:(<=|>)(\d+(?:\.\d+)?))?")


@dataclass(frozen=True)
class Question:
    """A target of a table: what must be foreseen from the table's other columns; of the root,
    also from how many rows the person has below it, and their sums."""

    table: str
    target: Target


def question(schema: Schema, words: str) -> Question:
    """The question that such words ask; columns tied to the target by an identity are hidden.

    Raises:
        SynthesisError: `synth_target`.
    """
    found = _FORM.fullmatch(words.replace(" ", ""))
    if found is None:
        raise _refused(f"“{words}” is not TABLE.COLUMN, TABLE.COLUMN>N or TABLE.COLUMN<=N")
    table, column, sign, bound = found.groups()
    if table not in schema.tables:
        raise _refused(f"there is no table {table}")
    ordered = schema.tables[table].order is not None
    if column not in schema.tables[table].columns and not (column == NEXT and ordered):
        raise _refused(f"{table} has no column {column}")
    if column == NEXT and sign != "<=":
        raise _refused("of the next row it is asked whether it comes within so many days: next<=30")
    value = None if bound is None else float(bound)
    return Question(
        table,
        Target(
            column,
            above=value if sign == ">" else None,
            within=value if sign == "<=" else None,
            without=_tied(schema, table, column),
        ),
    )


def _refused(what: str) -> SynthesisError:
    return SynthesisError("synth_target", f"The target cannot be used: {what}.", "评估目标不可用。")


def _tied(schema: Schema, table: str, column: str) -> tuple[str, ...]:
    """Columns that hold the answer, as a declared identity gives one from the other."""
    known = {column}
    while True:
        more = set(known)
        for identity in schema.tables[table].identities:
            if isinstance(identity, Sum) and {identity.total, *identity.items} & known:
                more |= {identity.total, *identity.items}
            elif isinstance(identity, Derived):
                named = {
                    n for n in schema.tables[table].columns if n in re.findall(r"\w+", identity.sql)
                }
                if identity.column in known or named & known:
                    more |= {identity.column, *named}
            elif isinstance(identity, ChildrenSum) and identity.total in known:
                more.add(f"{identity.child}.{identity.item}")
        if more == known:
            return tuple(sorted(known - {column}))
        known = more


def answered(
    connection: duckdb.DuckDBPyConnection, schema: Schema, asked: Question, seed: int
) -> Utility:
    """Train on synthetic rows and on real ones, test on other real persons'."""
    made, train, test = (
        _features(connection, schema, side, asked, seed)
        for side in ("synthetic", "real", "holdout")
    )
    found = utility(made, train, test, asked.target, seed)
    return Utility(
        f"{asked.table}.{found.target}", found.measure, found.synthetic, found.real, found.rows
    )


def _features(
    connection: duckdb.DuckDBPyConnection, schema: Schema, side: str, asked: Question, seed: int
) -> Matrix:
    if asked.table == schema.root:
        return people.matrix(schema, people.people(connection, schema, side, seed))
    ahead = asked.target.column == NEXT
    return matrix(
        schema, asked.table, raw(connection, schema, side, asked.table, seed, ahead=ahead)
    )
