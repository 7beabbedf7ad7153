"""Facts as one statement each: the catalogue's macros and views written into the query.

A fact is DuckDB's SQL over the catalogue's views. As a statement of its own, over nothing but the
warehouse's tables, it can be given to another engine, and says by its text what a staged fact was
made of: a view it does not reach changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, SqlglotError

from gateway.errors import OperatorError
from gateway.releases.engine.portable import faults

DIALECT = "duckdb"
_DEPTH = 20  # macros that name macros


@dataclass(frozen=True)
class Macro:
    """A macro of the catalogue: its parameters by name, and its body."""

    parameters: tuple[str, ...]
    body: exp.Expr


@dataclass(frozen=True)
class Library:
    """The macros and views that facts are built on, by name."""

    macros: Mapping[str, Macro]
    views: Mapping[str, exp.Query]

    @classmethod
    def of(cls, text: str) -> Library:
        """Read the statements of the catalogue's view files."""
        macros: dict[str, Macro] = {}
        views: dict[str, exp.Query] = {}
        for tree in _parsed("the views", text):
            made = tree.this
            if tree.args.get("kind") == "MACRO" and isinstance(made, exp.UserDefinedFunction):
                names = tuple(parameter.name for parameter in made.expressions)
                macros[made.this.name.lower()] = Macro(names, tree.expression)
            elif tree.args.get("kind") == "VIEW" and isinstance(tree.expression, exp.Query):
                views[made.name.lower()] = tree.expression
        return cls(macros, views)

    def expanded(self, name: str, text: str) -> exp.Query:
        """A fact with everything it reaches: macros in place, views as its first CTEs."""
        query = self._inlined(_query(name, text))
        views = {view: self._inlined(self.views[view]) for view in self._reached(query)}
        ctes = [
            exp.CTE(this=tree, alias=exp.TableAlias(this=exp.to_identifier(view)))
            for view, tree in views.items()
        ]
        if ctes:
            own = query.args.get("with_")
            inner = own.expressions if own is not None else []
            query.set("with_", exp.With(expressions=[*ctes, *inner]))
        return query

    def faults(self, name: str, text: str) -> Iterator[str]:
        """Where the fact or a view it reaches leaves the portable part: place and construct."""
        own = frozenset(self.macros)
        query = _query(name, text)
        yield from (f"{name}: {fault}" for fault in dict.fromkeys(faults(query, own)))
        for view in self._reached(self._inlined(query)):
            found = dict.fromkeys(faults(self._inlined(self.views[view]), own))
            yield from (f"view {view}: {fault}" for fault in found)

    def _reached(self, query: exp.Query) -> list[str]:
        """The views a query reaches, each after those it reads itself."""
        order: list[str] = []

        def visit(tree: exp.Expr) -> None:
            for view in _tables(tree):
                if view in self.views and view not in order:
                    visit(self.views[view])
                    order.append(view)

        visit(query)
        return order

    def _inlined(self, tree: exp.Query) -> exp.Query:
        """The query with every macro replaced by its body."""
        for _ in range(_DEPTH):
            calls = [n for n in tree.find_all(exp.Anonymous) if n.name.lower() in self.macros]
            if not calls:
                return tree
            tree = tree.copy()
            for call in list(tree.find_all(exp.Anonymous)):
                if call.name.lower() in self.macros:
                    call.replace(self._called(call))
        raise OperatorError("fact_unreadable", "A macro of the catalogue names itself.")

    def _called(self, call: exp.Anonymous) -> exp.Expr:
        macro = self.macros[call.name.lower()]
        given = dict(zip(macro.parameters, call.expressions, strict=True))

        def put(node: exp.Expr) -> exp.Expr:
            if isinstance(node, exp.Column) and not node.table and node.name in given:
                return exp.paren(given[node.name].copy())
            return node

        return exp.paren(macro.body.copy().transform(put))


def tables(query: exp.Query) -> frozenset[str]:
    """The tables of the warehouse a whole statement reads."""
    return frozenset(_tables(query))


def written(query: exp.Expr, dialect: str = DIALECT) -> str:
    """The statement as text in a dialect; what the dialect cannot say is an error."""
    try:
        return query.sql(dialect=dialect, unsupported_level=sqlglot.ErrorLevel.RAISE)
    except SqlglotError as error:
        raise OperatorError("fact_not_portable", f"Not to be said in {dialect}: {error}") from error


def check(name: str, text: str, library: Library) -> None:
    """Refuse a fact that leaves the portable part, naming file and construct."""
    found = list(library.faults(name, text))
    if found:
        raise OperatorError(
            "fact_not_portable",
            f"{'; '.join(found)}. Facts keep to what gives the same rows on every engine.",
            f"{'; '.join(found)}：事实须使用各引擎结果一致的SQL子集。",
        )


def _parsed(name: str, text: str) -> list[exp.Expr]:
    try:
        return [tree for tree in sqlglot.parse(text, dialect=DIALECT) if tree is not None]
    except SqlglotError as error:
        found = error.errors if isinstance(error, ParseError) else []
        place = found[0] if found else {}
        at = f"line {place.get('line', '?')}, column {place.get('col', '?')}"
        raise OperatorError("fact_unreadable", f"{name}: cannot be read as SQL ({at}).") from error


def _query(name: str, text: str) -> exp.Query:
    trees = _parsed(name, text)
    if len(trees) != 1 or not isinstance(trees[0], exp.Query):
        raise OperatorError("fact_unreadable", f"{name}: is not one query.")
    return trees[0]


def _tables(tree: exp.Expr) -> list[str]:
    """The names a query reads that it does not make itself, in order."""
    own = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    names = (table.name.lower() for table in tree.find_all(exp.Table))
    return list(dict.fromkeys(name for name in names if name and name not in own))
