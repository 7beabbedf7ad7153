"""Facts as one statement each: the catalogue's macros and views written into the query.

A fact is DuckDB's SQL over the catalogue's views. As a statement of its own, over nothing but the
warehouse's tables, it can be given to another engine, and says by its text what a staged fact was
made of: a view it does not reach changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, SqlglotError

from gateway.catalogue.views import statements
from gateway.errors import OperatorError
from gateway.releases.engine.portable import faults

DIALECT = "duckdb"
_DEPTH = 20  # macros that name macros
_KNOWN = 512  # statements that are kept as read: more than a catalogue has


@dataclass(frozen=True)
class Macro:
    """A macro of the catalogue: its parameters by name, and its body."""

    parameters: tuple[str, ...]
    body: exp.Expr


@dataclass(frozen=True)
class View:
    """A view with its macros written in: what it reads, and where it is not portable."""

    tree: exp.Query
    text: str
    reads: tuple[str, ...]
    faults: tuple[str, ...]


@dataclass(frozen=True)
class Whole:
    """A fact as one statement over nothing but tables, and which tables."""

    text: str
    tables: frozenset[str]


@dataclass(frozen=True)
class Library:
    """The macros and views that facts are built on, by name. Trees are shared: copy to change."""

    macros: Mapping[str, Macro]
    views: Mapping[str, exp.Query]
    _seen: dict[str, View] = field(default_factory=dict, compare=False, repr=False)

    @staticmethod
    @lru_cache(maxsize=_KNOWN)
    def of(text: str) -> Library:
        """Read the statements of the catalogue's view files."""
        macros: dict[str, Macro] = {}
        views: dict[str, exp.Query] = {}
        for tree in (made for one in statements(text) for made in _parsed("the views", one)):
            made = tree.this
            if tree.args.get("kind") == "MACRO" and isinstance(made, exp.UserDefinedFunction):
                names = tuple(parameter.name for parameter in made.expressions)
                macros[made.this.name.lower()] = Macro(names, tree.expression)
            elif tree.args.get("kind") == "VIEW" and isinstance(tree.expression, exp.Query):
                views[made.name.lower()] = tree.expression
        return Library(macros, views)

    def expanded(self, name: str, text: str) -> exp.Query:
        """A fact with everything it reaches: macros in place, views as its first CTEs."""
        query = self._inlined(_query(name, text)).copy()
        ctes = [
            exp.CTE(this=self._view(view).tree.copy(), alias=exp.TableAlias(this=_named(view)))
            for view in self._reached(_tables(query))
        ]
        if ctes:
            query.set("with_", exp.With(expressions=[*ctes, *_own(query)]))
        return query

    def whole(self, name: str, text: str) -> Whole:
        """The same as text: what is staged, and sent to other engines."""
        query = self._inlined(_query(name, text))
        views = self._reached(_tables(query))
        read = {*_tables(query), *(name for view in views for name in self._view(view).reads)}
        own = [written(cte) for cte in _own(query)]
        ctes = [f"{_named(view).sql(DIALECT)} AS ({self._view(view).text})" for view in views]
        if own:
            query = query.copy()
            query.set("with_", None)
        heads = f"WITH {', '.join([*ctes, *own])} " if ctes or own else ""
        return Whole(heads + written(query), frozenset(read - self.views.keys()))

    def faults(self, name: str, text: str) -> Iterator[str]:
        """Where the fact or a view it reaches leaves the portable part: place and construct."""
        query = _query(name, text)
        own = frozenset(self.macros)
        yield from (f"{name}: {fault}" for fault in dict.fromkeys(faults(query, own)))
        for view in self._reached(_tables(self._inlined(query))):
            yield from (f"view {view}: {fault}" for fault in self._view(view).faults)

    def _view(self, name: str) -> View:
        if name not in self._seen:
            tree = self._inlined(self.views[name])
            found = tuple(dict.fromkeys(faults(tree, frozenset(self.macros))))
            self._seen[name] = View(tree, written(tree), tuple(_tables(tree)), found)
        return self._seen[name]

    def _reached(self, names: list[str]) -> list[str]:
        """The views that lie behind some names, each after those it reads itself."""
        order: list[str] = []

        def visit(name: str) -> None:
            if name in self.views and name not in order:
                for read in self._view(name).reads:
                    visit(read)
                order.append(name)

        for name in names:
            visit(name)
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
        return query.sql(
            dialect=dialect, comments=False, unsupported_level=sqlglot.ErrorLevel.RAISE
        )
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


@lru_cache(maxsize=_KNOWN)
def _trees(text: str) -> tuple[exp.Expr, ...]:
    """The statements of a text as trees that nobody changes."""
    return tuple(tree for tree in sqlglot.parse(text, dialect=DIALECT) if tree is not None)


def _parsed(name: str, text: str) -> tuple[exp.Expr, ...]:
    try:
        return _trees(text)
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


def _own(query: exp.Query) -> list[exp.Expr]:
    """The CTEs a query has of its own."""
    own = query.args.get("with_")
    return list(own.expressions) if own is not None else []


def _named(view: str) -> exp.Identifier:
    return exp.to_identifier(view)


def _tables(tree: exp.Expr) -> list[str]:
    """The names a query reads that it does not make itself, in order."""
    own = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    names = (table.name.lower() for table in tree.find_all(exp.Table))
    return list(dict.fromkeys(name for name in names if name and name not in own))
