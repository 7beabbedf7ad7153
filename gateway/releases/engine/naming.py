"""CTEs under names of their own: some dialects have one level of them only.

There a query's inner CTEs stand among the outer ones, so that a name used twice, or that of a
table, would mean something else than where it was written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count

from sqlglot import exp


@dataclass(frozen=True)
class Bindings:
    """What the names in a statement mean: each CTE with where it is read, and the tables' names."""

    ctes: list[tuple[exp.CTE, list[exp.Table]]] = field(default_factory=list)
    tables: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, tree: exp.Expr) -> Bindings:
        """Read a statement without recursive CTEs: each is seen by those after it, an inner one
        hides an outer one."""
        found = cls()
        found._visit(tree, {})
        return found

    def _visit(self, node: exp.Expr, sight: Mapping[str, list[exp.Table]]) -> None:
        clause = node.args.get("with_")
        for cte in clause.expressions if clause is not None else ():
            self._visit(cte.this, sight)
            reads: list[exp.Table] = []
            self.ctes.append((cte, reads))
            sight = {**sight, cte.alias.lower(): reads}
        if isinstance(node, exp.Table) and node.name and not node.args.get("db"):
            name = node.name.lower()
            if name in sight:
                sight[name].append(node)
            else:
                self.tables.add(name)
        for part in node.iter_expressions():
            if part is not clause:
                self._visit(part, sight)


def name_apart(tree: exp.Expr) -> None:
    """Rename CTEs until no two have one name, and none that of a table; rows stay the same."""
    bindings = Bindings.of(tree)
    taken = set(bindings.tables)
    for cte, reads in bindings.ctes:
        name = cte.alias.lower()
        if name in taken:
            name = next(new for n in count(2) if (new := f"{name}__{n}") not in taken)
            _rename(cte, reads, name)
        taken.add(name)


def _rename(cte: exp.CTE, reads: list[exp.Table], name: str) -> None:
    """The columns of what reads it go on naming it as before."""
    for table in reads:
        if not table.alias:
            table.set("alias", exp.TableAlias(this=exp.to_identifier(cte.alias)))
        table.set("this", exp.to_identifier(name))
    cte.args["alias"].set("this", exp.to_identifier(name))
