"""Which rows of a relation belong to which person, found by reading the statement.

A relation lies apart where its rows for all persons are those for some persons and those for the
others put together: tables with a person in each row do; so does what joins such rows by person,
settlement or encounter, and what groups or ranks them by one of these. What says nothing of a
person is the same for all. What is neither lies across.

Whatever is not recognised lies across, so that nothing is cut that must not be. It is taken for
granted that a settlement and an encounter have one person; `parts` looks whether the data agree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sqlglot import exp

from synthetic.warehouse.schema import TABLES, arrow_schema

PERSON = "psn_no"
KINDS = {
    PERSON: PERSON,
    "setl_id": "setl_id",
    "mdtrt_id": "mdtrt_id",
    "init_setl_id": "setl_id",
}
"""The columns that have one person, and what their values name."""

GIVEN = {("setl_d", "setl_id"), ("setl_d", "mdtrt_id"), ("mdtrt_d", "mdtrt_id")}
"""Where such a column is never empty. A person's may be: nobody is a person like others."""

_KNOWN = {"select", "from_", "joins", "where", "group", "having", "qualify", "order", "distinct"}
_KNOWN |= {"expressions", "kind", "hint", "with_"}


@dataclass(frozen=True)
class Key:
    """A column that has one person: what it names, and whether it is there in every row."""

    kind: str
    sure: bool


Keys = Mapping[str, Key] | None
"""The keys of a relation that lies apart, by column; none: it is the same for all persons."""


class Across(Exception):
    """The relation lies across persons, or cannot be told not to."""


def _table(name: str) -> Keys:
    """The keys of a table of the warehouse; tables without persons are the same for all."""
    columns = arrow_schema(TABLES[name]).names if name in TABLES else []
    if PERSON not in columns:
        return None
    return {
        column: Key(kind, column == PERSON or (name, column) in GIVEN)
        for column, kind in KINDS.items()
        if column in columns
    }


def read(body: exp.Expr, states: Mapping[str, Keys]) -> Keys:
    """The keys of a query's rows."""
    if isinstance(body, exp.Subquery):
        return read(body.this, states)
    if isinstance(body, exp.Union):
        return _united(body, states)
    if isinstance(body, exp.Select):
        return _Select(body, states).keys()
    if all(states.get(t.name.lower(), _table(t.name.lower())) is None
           for t in body.find_all(exp.Table)):  # fmt: skip
        return None
    raise Across


def _united(body: exp.Union, states: Mapping[str, Keys]) -> Keys:
    """The keys that both sides have in the same place."""
    if any(body.args.get(name) for name in ("limit", "offset", "by_name")):
        raise Across
    left, right = read(body.this, states), read(body.expression, states)
    if left is None and right is None:
        return None
    if left is None or right is None:  # the rows of one side would come with every part
        raise Across
    places = zip(column_names(body.this), column_names(body.expression), strict=True)
    found = {
        name: Key(left[name].kind, left[name].sure and right[other].sure)
        for name, other in places
        if name in left and other in right and left[name].kind == right[other].kind
    }
    if body.args.get("distinct") and not any(key.sure for key in found.values()):
        raise Across
    return found


def column_names(body: exp.Expr) -> list[str]:
    """The names of a query's columns, empty for what has none."""
    selects = body.selects if isinstance(body, exp.Query) else []
    if not selects or any(one.is_star for one in selects):
        raise Across
    return [one.alias_or_name.lower() for one in selects]


class _Select:
    """A SELECT being read: the sources it joins, each by the name its columns have."""

    def __init__(self, body: exp.Select, states: Mapping[str, Keys]) -> None:
        self._body, self._states = body, states
        self._sources: dict[str, dict[str, Key] | None] = {}
        self._merged: dict[str, Key] = {}  # columns two sources have in common, by USING

    def keys(self) -> Keys:
        """The keys of its rows."""
        source = self._body.args.get("from_")
        if source is not None:
            self._add(source.this)
            for join in self._body.args.get("joins") or ():
                self._join(join)
        self._check_below()
        if not any(keys is not None for keys in self._sources.values()):
            return None
        if any(given for name, given in self._body.args.items() if name not in _KNOWN):
            raise Across
        self._fill()
        self._check_kept_together()
        return self._shown()

    def _add(self, source: exp.Expr) -> str:
        name = source.alias_or_name.lower()
        if not name and isinstance(source, exp.Subquery):
            name = f" {len(self._sources)}"  # nothing that is written can be called so
        if not name or name in self._sources or source.args.get("pivots"):
            raise Across
        self._sources[name] = None
        if isinstance(source, exp.Table) and isinstance(source.this, exp.Identifier):
            known = source.name.lower()
            keys = self._states[known] if known in self._states else _table(known)
            if source.args.get("joins") or source.args.get("sample"):
                raise Across
        elif isinstance(source, exp.Subquery):
            keys = read(source.this, self._states)
        elif isinstance(source, (exp.Values, exp.Unnest)):
            return name
        else:
            raise Across
        self._sources[name] = None if keys is None else dict(keys)
        return name

    def _join(self, join: exp.Join) -> None:
        side, kind = (join.args.get(word) or "" for word in ("side", "kind"))
        if side not in ("", "LEFT") or kind not in ("", "INNER", "CROSS", "OUTER"):
            raise Across
        if join.args.get("method"):
            raise Across
        before = any(keys is not None for keys in self._sources.values())
        name = self._add(join.this)
        new = self._sources[name]
        pairs = list(self._equal(join, name))
        if new is None:
            return
        if before and not any(self._same(*pair) for pair in pairs):
            raise Across
        if side == "LEFT":
            if not before:  # rows without a match would come with every part
                raise Across
            self._sources[name] = {column: Key(key.kind, sure=False) for column, key in new.items()}
            return
        for pair in pairs:
            self._make_sure(*pair)

    def _equal(self, join: exp.Join, name: str) -> Iterator[tuple[exp.Expr, exp.Expr]]:
        """The columns a join finds equal: one of an earlier source, one of the new."""
        for column in join.args.get("using") or ():
            named = column.name.lower()
            for earlier in self._sources:
                keys = self._sources[earlier]
                if earlier != name and keys and named in keys:
                    yield exp.column(named, earlier), exp.column(named, name)
        for part in _conjuncts(join.args.get("on")):
            if not isinstance(part, exp.EQ):
                continue
            for left, right in ((part.this, part.expression), (part.expression, part.this)):
                if name not in _owners(left) and _owners(right) == {name}:
                    yield left, right

    def _same(self, left: exp.Expr, right: exp.Expr) -> bool:
        one, other = self._key(left), self._key(right)
        return one is not None and other is not None and one.kind == other.kind

    def _make_sure(self, *pair: exp.Expr) -> None:
        for column in (one for one in pair if isinstance(one, exp.Column)):
            keys = self._sources.get(column.table.lower())
            if keys and (key := keys.get(column.name.lower())) is not None:
                keys[column.name.lower()] = Key(key.kind, sure=True)

    def _fill(self) -> None:
        """What is said to be there is there."""
        where = self._body.args.get("where")
        for part in _conjuncts(where.this if where is not None else None):
            inner = part.this if isinstance(part, exp.Not) else None
            if (
                isinstance(inner, exp.Is)
                and isinstance(inner.this, exp.Column)
                and isinstance(inner.expression, exp.Null)
            ):
                for name in [inner.this.table.lower()] if inner.this.table else self._sources:
                    self._make_sure(exp.column(inner.this.name, name))

    def _key(self, column: exp.Expr) -> Key | None:
        """The key a column is; of columns without a source, the one that any source has."""
        if isinstance(
            column, (exp.Max, exp.Min)
        ):  # of rows of one person, or the SELECT is refused
            return self._chosen([column.this])
        if isinstance(column, exp.Case):
            arms = [arm.args["true"] for arm in column.args["ifs"]]
            other = column.args.get("default")
            return self._chosen([*arms, *([other] if other is not None else [])])
        if isinstance(column, exp.Coalesce):
            one = self._chosen([column.this, *column.expressions])
            sure = self._tells([column.this, *column.expressions])
            return None if one is None else Key(one.kind, sure)
        if not isinstance(column, exp.Column):
            return None
        name, table = column.name.lower(), column.table.lower()
        if table:
            return (self._sources.get(table) or {}).get(name)
        found = [keys[name] for keys in self._sources.values() if keys and name in keys]
        return found[0] if found else None

    def _chosen(self, arms: list[exp.Expr]) -> Key | None:
        """The key of a choice between columns that name the same."""
        kinds = {key.kind if (key := self._key(one)) else "" for one in arms}
        return Key(kinds.pop(), sure=False) if len(kinds) == 1 and "" not in kinds else None

    def _tells(self, columns: list[exp.Expr]) -> bool:
        """Whether rows that are equal in these columns are of one person."""
        return any((key := self._key(one)) is not None and key.sure for one in columns)

    def _check_below(self) -> None:
        """What a condition or a column asks of other relations is the same for all."""
        for query in self._own(exp.Query):
            for table in query.find_all(exp.Table):
                name = table.name.lower()
                keys = self._states[name] if name in self._states else _table(name)
                if keys is not None:
                    raise Across

    def _check_kept_together(self) -> None:
        """What is grouped, ranked or made single is of one person each time."""
        group = self._body.args.get("group")
        if group is not None:
            other = any(v for name, v in group.args.items() if name != "expressions")
            if other or not self._tells(list(group.expressions)):
                raise Across
        elif any(node.find_ancestor(exp.Window) is None for node in self._own(exp.AggFunc)):
            raise Across
        for window in self._own(exp.Window):
            if not self._tells(window.args.get("partition_by") or []):
                raise Across
        distinct = self._body.args.get("distinct")
        plain = [one.unalias() for one in self._body.expressions]
        apart = distinct is None or (not distinct.args.get("on") and self._tells(plain))
        if not apart or any(True for _ in self._own(exp.Anonymous)):
            raise Across

    def _own(self, kind: type[exp.Expr]) -> Iterator[exp.Expr]:
        """Nodes of a kind that stand in the SELECT itself, its sources aside."""
        left: list[exp.Expr] = []
        for name, given in self._body.args.items():
            if name in ("from_", "with_"):
                continue
            for one in given if isinstance(given, list) else [given]:
                if isinstance(one, exp.Join):
                    left += [one.args["on"]] if one.args.get("on") is not None else []
                elif isinstance(one, exp.Expr):
                    left.append(one)
        while left:
            node = left.pop()
            if isinstance(node, kind):
                yield node
            if not isinstance(node, exp.Query):
                left += list(node.iter_expressions())

    def _shown(self) -> dict[str, Key]:
        found: dict[str, Key] = {}
        for one in self._body.expressions:
            plain = one.unalias()
            if isinstance(plain, exp.Star) or isinstance(plain.this, exp.Star):
                found |= self._starred(plain)
            elif (key := self._key(plain)) is not None:
                found[one.alias_or_name.lower()] = key
            else:
                found.pop(one.alias_or_name.lower(), None)
        return found

    def _starred(self, star: exp.Expr) -> dict[str, Key]:
        inner = star if isinstance(star, exp.Star) else star.this
        if any(inner.args.values()):
            raise Across
        wanted = [star.table.lower()] if isinstance(star, exp.Column) else list(self._sources)
        found: dict[str, Key] = {}
        for name in wanted:
            for column, key in (self._sources.get(name) or {}).items():
                found.setdefault(column, key)
        return found


def _owners(operand: exp.Expr) -> set[str]:
    return {column.table.lower() for column in operand.find_all(exp.Column)}


def _conjuncts(condition: exp.Expr | None) -> list[exp.Expr]:
    plain = None if condition is None else condition.unnest()
    if isinstance(plain, exp.And):
        return [*_conjuncts(plain.this), *_conjuncts(plain.expression)]
    return [] if plain is None else [plain]
