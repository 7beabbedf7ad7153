"""How a fact is run for some persons at a time: its relations, and which of them can be.

What lies across persons (the months in which anybody had a settlement, an institution's average) is
run before, for everybody, and is then the same for all; `keys` says which relations do. A fact put
together of several queries is run query by query, so that one of them at a time is in memory; what
two of them read is run once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import sqlglot
from sqlglot import exp

from gateway.releases.engine.keys import PERSON, Across, Key, Keys, column_names, read
from gateway.releases.engine.naming import Bindings, name_apart
from gateway.releases.engine.sql import DIALECT, written

FACT = "fact itself"  # no CTE has a blank in its name


@dataclass(frozen=True)
class Apart:
    """A fact as its relations in order, the last of them the fact itself, query by query.

    Those in `across` are run for everybody, after what they read of those that are not; so is, once
    and each by itself, what is the same for all by reading such a one. `whole`: so is the fact;
    else it is run in parts, and its rows have their person in `psn_no`.
    """

    relations: Mapping[str, exp.Query]
    reads: Mapping[str, tuple[str, ...]]
    facts: tuple[str, ...]
    across: tuple[str, ...]
    same: frozenset[str]
    whole: bool

    def cut(self, name: str) -> list[str]:
        """What a relation that is run for everybody reads that can be run in parts."""
        return [one for one in self.reads[name] if one not in self.same]

    @property
    def shared(self) -> list[str]:
        """What more than one of the fact's queries reads, other than by way of such a relation."""
        readers: dict[str, set[str]] = {name: set() for name in self.relations}
        found = []
        for name in reversed([*self.relations]):
            own = {name} if name in self.facts else readers[name]
            if len(own) > 1 and name not in self.same:
                found.append(name)
                continue
            for one in self.reads[name]:
                readers[one] |= own
        return found[::-1]

    def statement(self, name: str, done: Mapping[str, str]) -> str:
        """A relation as a statement of its own; `done` are statements that stand for others."""
        heads = [
            f'"{one}" AS ({done[one] if one in done else written(self.relations[one])})'
            for one in self._reached(name, done)
        ]
        return (f"WITH {', '.join(heads)} " if heads else "") + written(self.relations[name])

    def _reached(self, name: str, done: Mapping[str, str]) -> list[str]:
        found: set[str] = set()
        left = [*self.reads[name]]
        while left:
            one = left.pop()
            if one not in found:
                found.add(one)
                left += () if one in done else self.reads[one]
        return [one for one in self.relations if one in found]


def apart(whole: str) -> Apart:
    """How a fact, a statement over nothing but tables, is run in parts."""
    tree = sqlglot.parse_one(whole, dialect=DIALECT)
    if not isinstance(tree, exp.Query):
        raise AssertionError("a fact is a query")
    name_apart(tree)
    relations: dict[str, exp.Query] = {}
    for cte, _ in Bindings.of(tree).ctes:
        relations[cte.alias.lower()] = cte.this
    for body in list(tree.find_all(exp.Query)):
        body.set("with_", None)
    queries = {f"{FACT} {at}": query for at, query in enumerate(_queries(tree))}
    states: dict[str, Keys] = {}
    across = []
    for name, body in (relations | queries).items():
        try:
            states[name] = read(body, states)
        except Across:
            states[name] = None
            across.append(name)
    own = all((states[name] or {}).get(PERSON) == Key(PERSON, sure=True) for name in queries)
    every = relations | queries
    reads = {name: _names(body, every) for name, body in every.items()}
    for name in relations:  # each after what it reads
        if states[name] is None and name not in across and {*across} & {*reads[name]}:
            across.append(name)
    return Apart(
        every,
        reads,
        tuple(queries),
        tuple(name for name in relations if name in across),
        frozenset(name for name, keys in states.items() if keys is None),
        whole=not own,
    )


def _queries(tree: exp.Query) -> list[exp.Query]:
    """The queries whose rows are put together to those of a fact, if they name them alike."""
    found = [*_sides(tree)]
    try:
        alike = len({tuple(column_names(one)) for one in found}) == 1
    except Across:
        alike = False
    return found if alike else [tree]


def _sides(tree: exp.Query) -> Iterator[exp.Query]:
    plain = isinstance(tree, exp.Union) and not any(
        given for name, given in tree.args.items() if name not in ("this", "expression")
    )
    if not plain:
        yield tree
        return
    for side in (tree.this, tree.expression):
        yield from _sides(side)


def _names(body: exp.Expr, relations: Mapping[str, exp.Query]) -> tuple[str, ...]:
    found = (table.name.lower() for table in body.find_all(exp.Table))
    return tuple(name for name in dict.fromkeys(found) if name in relations)
