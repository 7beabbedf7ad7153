"""Column lineage of one statement: what each of its columns, and which rows it has, rest on.

`sqlglot` resolves every name to the scope it comes from; this walks the scopes. Besides what a
value is made of it follows what `sqlglot.lineage` leaves out: filters, joins, groups, windows and
conditions.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Final

from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, build_scope

from gateway.errors import OperatorError
from gateway.releases.engine.sql import DIALECT, tables
from gateway.releases.lineage.reads import NOTHING, Act, Reads, together
from synthetic.warehouse.schema import TABLES, duckdb_columns

VALID: Final = "vali_flag"
"""The build reads the valid rows of every table."""

_READ: Final = frozenset(
    {
        "with_", "expressions", "distinct", "from_", "joins", "where", "group", "having",
        "qualify", "order",
    }
)  # fmt: skip
"""The parts of a SELECT that are followed; whatever else there may be is refused, not missed."""


class Traced:
    """A statement over the warehouse's tables, every name resolved."""

    def __init__(self, name: str, query: exp.Query) -> None:
        try:
            tree = qualify(
                query.copy(), dialect=DIALECT, schema={**_schema(), **_beside(query)},
                quote_identifiers=False, identify=False,
            )  # fmt: skip
        except SqlglotError as error:
            raise OperatorError(
                "lineage_unreadable", f"{name}: a column cannot be traced to a table: {error}"
            ) from error
        scope = build_scope(tree)
        if scope is None:
            raise OperatorError("lineage_unreadable", f"{name}: is not one query.")
        self._name, self._root = name, scope
        self._columns: dict[tuple[int, str], Reads] = {}
        self._rows: dict[int, Reads] = {}

    @property
    def names(self) -> list[str]:
        """The columns of the statement."""
        return _names(self._root)

    def column(self, name: str) -> Reads:
        """What the values of a column are made of or chosen by."""
        return self._column(self._root, name)

    @property
    def rows(self) -> Reads:
        """What decides which rows the statement gives; of every column's values, the other half."""
        return self._rows_of(self._root, self._name)

    def _column(self, scope: Scope, name: str) -> Reads:
        key = (id(scope), name)
        if key not in self._columns:
            self._columns[key] = self._made(scope, name)
        return self._columns[key]

    def _made(self, scope: Scope, name: str) -> Reads:
        tree = scope.expression
        if isinstance(tree, exp.SetOperation):
            place = _names(scope).index(name)
            return together(
                self._column(one, _names(one)[place]) for one in scope.set_operation_scopes
            )
        if not isinstance(tree, exp.Select):
            return NOTHING  # rows written out in the query
        chosen = next(one for one in tree.selects if one.alias_or_name == name)
        return self._value(scope, chosen)

    def _rows_of(self, scope: Scope, name: str) -> Reads:
        if id(scope) not in self._rows:
            self._rows[id(scope)] = together(self._deciding(scope, name))
        return self._rows[id(scope)]

    def _deciding(self, scope: Scope, name: str) -> Iterator[Reads]:
        """Everything that decides about the rows of a scope."""
        tree = scope.expression
        if isinstance(tree, exp.SetOperation):
            yield from (self._rows_of(one, name) for one in scope.set_operation_scopes)
            if tree.args.get("distinct") or not isinstance(tree, exp.Union):
                every = (self._column(scope, one) for one in _names(scope))
                yield together(every).acting(Act.GROUP_BY, f"{name} {_word(tree)}")
        if not isinstance(tree, exp.Select):
            return
        self._check(tree)
        for node, source in scope.selected_sources.values():
            yield self._rows_from(node, source)
        for act, clause, part in _clauses(tree):
            yield self._value(scope, part).acting(act, f"{name} {clause}")

    def _check(self, tree: exp.Select) -> None:
        """Refuse what would be left out."""
        left = [key for key, value in tree.args.items() if value and key not in _READ]
        left += ["window by name" for one in tree.find_all(exp.Window) if one.args.get("alias")]
        if left:
            raise OperatorError(
                "lineage_unreadable", f"{self._name}: {', '.join(left)}: is not followed."
            )

    def _rows_from(self, node: exp.Expr, source: exp.Expr | Scope) -> Reads:
        if isinstance(source, Scope):
            return self._rows_of(source, _named(node))
        if _named(node) not in TABLES:
            return NOTHING  # made by the build beside the warehouse: all rows count
        return Reads.of(_named(node), VALID).acting(Act.FILTER, "valid rows")

    def _value(self, scope: Scope, tree: exp.Expr) -> Reads:
        """What the value of an expression rests on."""
        if isinstance(tree, exp.Column):
            return self._named(scope, tree)
        if isinstance(tree, exp.Query):
            return self._asked(scope, tree)
        act = Act.AGGREGATION if isinstance(tree, exp.AggFunc) else Act.TRANSFORMATION
        return together(
            self._value(scope, part).acting(_role(tree, key) or act)
            if not isinstance(tree, (exp.Alias, exp.Paren))
            else self._value(scope, part)
            for key, part in _parts(tree)
        )

    def _named(self, scope: Scope, column: exp.Column) -> Reads:
        """A column by the name of its source, which may be one of a query around this one."""
        at: Scope | None = scope
        while at is not None and column.table not in at.selected_sources:
            at = at.parent
        if at is None:
            raise OperatorError(
                "lineage_unreadable", f"{self._name}: {column.sql(DIALECT)} is of no table."
            )
        node, source = at.selected_sources[column.table]
        if isinstance(source, Scope):
            return self._column(source, column.name).at(f"{_named(node)}.{column.name}")
        table = _named(node)
        if table in TABLES and column.name not in duckdb_columns(TABLES[table]):
            raise OperatorError(
                "lineage_unreadable",
                f"{self._name}: the warehouse has no {table}.{column.name}.",
            )
        return Reads.of(table, column.name)

    def _asked(self, scope: Scope, tree: exp.Expr) -> Reads:
        """A query inside an expression: its columns, and whether it has rows at all."""
        inner = tree.unnest() if isinstance(tree, exp.Subquery) else tree
        found = next((one for one in scope.subquery_scopes if one.expression is inner), None)
        if found is None:
            raise OperatorError("lineage_unreadable", f"{self._name}: a query is out of scope.")
        columns = [self._column(found, one) for one in _names(found)]
        return together([*columns, self._rows_of(found, f"{self._name} query")])


def _names(scope: Scope) -> list[str]:
    """The columns of a query."""
    tree = scope.expression
    return list(tree.named_selects) if isinstance(tree, exp.Query) else []


def _clauses(tree: exp.Select) -> Iterator[tuple[Act, str, exp.Expr]]:
    """The parts of a SELECT that decide about its rows, with how and under which word."""
    for join in tree.args.get("joins") or []:
        if (on := join.args.get("on")) is not None:
            yield Act.JOIN, "JOIN", on
    for key, word in (("where", "WHERE"), ("having", "HAVING"), ("qualify", "QUALIFY")):
        if (part := tree.args.get(key)) is not None:
            yield Act.FILTER, word, part.this
    if (group := tree.args.get("group")) is not None:
        yield from ((Act.GROUP_BY, "GROUP BY", part) for _, part in _parts(group))
    if (distinct := tree.args.get("distinct")) is not None:
        parts = [*tree.selects, *(part for _, part in _parts(distinct))]
        yield from ((Act.GROUP_BY, "DISTINCT", part) for part in parts)


def _parts(tree: exp.Expr) -> Iterator[tuple[str, exp.Expr]]:
    for key, value in tree.args.items():
        for part in value if isinstance(value, list) else (value,):
            if isinstance(part, exp.Expr):
                yield key, part


def _role(tree: exp.Expr, key: str) -> Act | None:
    """How a part acts on the whole by its place in it, if not as its values."""
    if isinstance(tree, exp.If) and key == "this":
        return Act.CONDITIONAL
    if isinstance(tree, exp.Case) and key == "this":
        return Act.CONDITIONAL
    if isinstance(tree, exp.Window) and key == "partition_by":
        return Act.WINDOW
    if isinstance(tree, exp.Window) and key == "order":
        return Act.SORT
    if isinstance(tree, exp.Filter) and key == "expression":
        return Act.FILTER
    return None


def _word(tree: exp.SetOperation) -> str:
    return type(tree).__name__.upper()


def _named(node: exp.Expr) -> str:
    """The name of a table or view, of a query in brackets the one it is given."""
    return node.name if isinstance(node, exp.Table) else node.alias_or_name


def _beside(query: exp.Query) -> dict[str, object]:
    """Tables that are none of the warehouse's, with whatever columns the query names."""
    columns = dict.fromkeys((one.name for one in query.find_all(exp.Column)), "VARCHAR")
    return {name: columns for name in tables(query) if name not in TABLES}


@cache
def _schema() -> dict[str, object]:
    return {name: dict(duckdb_columns(table)) for name, table in TABLES.items()}
