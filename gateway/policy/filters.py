"""Turn the row conditions of a decision into one query, so that no row beyond them is read.

A condition names a column of a known schema, an operator of the closed list below and a value; the
value is always a parameter. Conditions of one table hold together; `among` nests the conditions of
the table it points at. Whatever is not exactly known (a column, an operator, a value of another
kind, a table without a condition, a table bound to nobody) is refused as if no decision had been
made: `PolicyUnavailable`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any, Final, TypeAlias

import sqlalchemy as sa
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from gateway.policy.port import Obligations, PolicyUnavailable, RowRule, RowValue
from gateway.policy.readable import Kind, Readable

Condition: TypeAlias = sa.ColumnElement[bool]
Column: TypeAlias = sa.ColumnClause[Any]  # of whatever kind the schema says
Bound: TypeAlias = Mapping[str, tuple[str, ...]]
"""Who `is` means, resolved where the identifiers live: subject, institution, receiver."""

HIDDEN: Final = "suppress"
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_HEAD = 3  # characters of a diagnosis that tell its category


@dataclass(frozen=True)
class Reading:
    """What is to be read: columns of one table, each for a field of the answer."""

    table: str
    columns: Mapping[str, str]  # field of the answer → column


@dataclass(frozen=True)
class Query:
    """A statement with `?` for each parameter, in order."""

    sql: str
    parameters: tuple[object, ...]


def refused(why: str) -> PolicyUnavailable:
    """A filter that cannot be followed exactly; `why` names no value."""
    return PolicyUnavailable(f"filter: {why}")


def select(
    readable: Readable, told: Obligations, reading: Reading, bound: Bound
) -> sa.Select[tuple[Any, ...]]:
    """The query for these columns of the rows the obligations allow, and of no other."""
    return Filters(readable, told, bound).select(reading)


def duckdb_query(statement: sa.Select[tuple[Any, ...]]) -> Query:
    """The statement for DuckDB, which SQLAlchemy does not drive."""
    compiled = statement.compile(
        dialect=DefaultDialect(paramstyle="qmark"), compile_kwargs={"render_postcompile": True}
    )
    places: Iterable[str] = getattr(compiled, "positiontup", None) or ()
    return Query(str(compiled), tuple(compiled.params[name] for name in places))


def _allowed(told: Obligations, columns: Mapping[str, str]) -> Mapping[str, str]:
    """The columns, if each is for a field that the decision lets leave."""
    leaving = {rule.field for rule in told.columns if rule.mask != HIDDEN}
    if not columns or not columns.keys() <= leaving:
        raise refused("a field was not allowed")
    return columns


class Filters:
    """The conditions of one decision, table by table; sound as a whole or refused as a whole."""

    def __init__(self, readable: Readable, told: Obligations, bound: Bound) -> None:
        self._readable, self._told, self._bound = readable, told, bound
        self._tables: dict[str, sa.TableClause] = {}
        self._made: dict[str, list[Condition]] = {}  # each is made once, however often it is nested
        self._rules: dict[str, list[tuple[str, RowRule]]] = {}
        for rule in told.rows:
            name, _, column = rule.column.partition(".")
            self._rules.setdefault(name, []).append((column, rule))
        for name in self._rules:
            self.of(name)

    def select(self, reading: Reading) -> sa.Select[tuple[Any, ...]]:
        """The query for these columns of the rows the obligations allow, and of no other."""
        table = self.table(reading.table)
        columns = [
            _column(table, column).label(field)
            for field, column in _allowed(self._told, reading.columns).items()
        ]
        return sa.select(*columns).select_from(table).where(*self.of(reading.table))

    def inside(self, table: str, columns: Iterable[str]) -> sa.Select[tuple[Any, ...]]:
        """The query for what a decision made inside looks at: columns of the rows the obligations
        allow, and of no other row. None of them is a field, so none of them can leave."""
        found = self.table(table)
        chosen = [_column(found, column).label(column) for column in columns]
        return sa.select(*chosen).select_from(found).where(*self.of(table))

    def table(self, name: str) -> sa.TableClause:
        if name not in self._readable.tables:
            raise refused("unknown table")
        return self._tables.setdefault(name, self._readable.table(name))

    def of(self, name: str, above: tuple[str, ...] = ()) -> list[Condition]:
        """Every condition of the table; refused where there is none or nobody is meant."""
        if name in above:
            raise refused("tables depend on each other")
        if name in self._made:
            return self._made[name]
        rules = self._rules.get(name, [])
        if not rules or not self._is_bound(name):
            raise refused("a table is bound to nobody")
        table = self.table(name)
        made = [self._condition(table, column, rule, (*above, name)) for column, rule in rules]
        return self._made.setdefault(name, made)

    def _is_bound(self, name: str, above: tuple[str, ...] = ()) -> bool:
        """Its rows are somebody's: by a condition of its own, or of the rows they belong to."""
        if name in above:
            return False
        return any(
            rule.op in _BINDING
            or (rule.op == "among" and self._is_bound(_home(rule), (*above, name)))
            for _, rule in self._rules.get(name, [])
        )

    def _condition(
        self, table: sa.TableClause, name: str, rule: RowRule, above: tuple[str, ...]
    ) -> Condition:
        column = _column(table, name)
        kind = self._readable.tables[table.name][name]
        match rule.op:
            case "is":
                return _one_of(column, kind, self._bound.get(_word(rule.value), ()))
            case "among":
                return self._among(column, kind, _word(rule.value), above)
            case "absent":
                return self._absent(column, kind, _word(rule.value))
            case _ if rule.op in _PLAIN:
                return _PLAIN[rule.op](column, kind, rule.value)
            case _:
                raise refused("unknown operator")

    def _among(self, column: Column, kind: Kind, of: str, above: tuple[str, ...]) -> Condition:
        """The value occurs in that column of the rows allowed of another table."""
        name, _, key = of.partition(".")
        there = self.table(name)
        _text_kind(kind, self._readable.tables[name].get(key, "int"))
        return column.in_(sa.select(_column(there, key)).where(*self.of(name, above)))

    def _absent(self, column: Column, kind: Kind, name: str) -> Condition:
        """The value is not in the register; an empty register hides nobody."""
        if name not in self._readable.registers:
            raise refused("unknown register")
        register, key = self._readable.registers[name]
        _text_kind(kind)
        there = self.table(register)
        return ~sa.exists().where(_column(there, key) == column).correlate_except(there)


def _home(rule: RowRule) -> str:
    return _word(rule.value).partition(".")[0]


def _column(table: sa.TableClause, name: str) -> Column:
    found = table.columns.get(name)
    if not isinstance(found, sa.ColumnClause):
        raise refused("unknown column")
    return found


def _text_kind(*kinds: Kind) -> None:
    if any(kind != "str" for kind in kinds):
        raise refused("a column is of another kind")


def _word(value: RowValue) -> str:
    if not isinstance(value, str):
        raise refused("a value is of another kind")
    return value


def _words(value: RowValue) -> tuple[str, ...]:
    words = tuple(each for each in value if isinstance(each, str))
    if isinstance(value, str) or not value or len(words) != len(value):
        raise refused("a value is of another kind")
    return words


def _one_of(column: Column, kind: Kind, values: tuple[str, ...]) -> Condition:
    _text_kind(kind)
    if not values or not all(isinstance(each, str) and each for each in values):
        raise refused("nobody is meant")
    return column == values[0] if len(values) == 1 else column.in_(values)


def _in(column: Column, kind: Kind, value: RowValue) -> Condition:
    return _one_of(column, kind, _words(value))


def _day(kind: Kind, value: RowValue) -> date:
    """The first moment of that day, in the kind of the column; warehouse times are the bureau's."""
    if kind not in ("date", "datetime") or not _DAY.fullmatch(text := _word(value)):
        raise refused("a day is of another kind")
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise refused("there is no such day") from None
    return day if kind == "date" else datetime.combine(day, time())


def _ge(column: Column, kind: Kind, value: RowValue) -> Condition:
    return column >= _day(kind, value)


def _lt(column: Column, kind: Kind, value: RowValue) -> Condition:
    return column < _day(kind, value)


def _gt_or_null(column: Column, kind: Kind, value: RowValue) -> Condition:
    return sa.or_(column > _day(kind, value), column.is_(None))


class _Category(FunctionElement[str]):
    """The category of a diagnosis; compared byte by byte, whatever a database sorts by."""

    name = "category"
    type = sa.String()
    inherit_cache = True


@compiles(_Category)
def _category(element: _Category, compiler: SQLCompiler, **options: Any) -> str:
    return f"upper(substr({compiler.process(element.clauses, **options)}, 1, {_HEAD}))"


@compiles(_Category, "postgresql")
def _category_bytewise(element: _Category, compiler: SQLCompiler, **options: Any) -> str:
    return f'{_category(element, compiler, **options)} COLLATE "C"'


def _within(column: Column, kind: Kind, value: RowValue) -> Condition:
    """The category lies in one of these ranges, both ends included."""
    _text_kind(kind)
    pairs = [each for each in value if isinstance(each, tuple) and len(each) == 2]
    if isinstance(value, str) or not value or len(pairs) != len(value):
        raise refused("a value is of another kind")
    head = _Category(column)
    return sa.or_(*(sa.and_(head >= _word(low), head <= _word(high)) for low, high in pairs))


def _outside(column: Column, kind: Kind, value: RowValue) -> Condition:
    """In none of these ranges; a row without a diagnosis gives none away."""
    return sa.or_(column.is_(None), sa.not_(_within(column, kind, value)))


def _unlike(column: Column, kind: Kind, value: RowValue) -> Condition:
    """Begins with none of these; a row without a value begins with nothing."""
    _text_kind(kind)
    prefixes = _words(value)
    if not all(prefixes):
        raise refused("a value is of another kind")
    lengths = sorted({len(prefix) for prefix in prefixes})
    begins = (
        sa.func.substr(column, 1, n).in_([prefix for prefix in prefixes if len(prefix) == n])
        for n in lengths
    )
    return sa.or_(column.is_(None), sa.not_(sa.or_(*begins)))


_PLAIN: Final[Mapping[str, Callable[[Column, Kind, RowValue], Condition]]] = {
    "in": _in,
    "ge": _ge,
    "lt": _lt,
    "gt_or_null": _gt_or_null,
    "within": _within,
    "outside": _outside,
    "unlike": _unlike,
}
_BINDING: Final = frozenset({"is", "absent"})
MEANING: Final[Mapping[str, str]] = {
    "is": "the value is that of whom it names: `subject`, `institution` or `receiver`",
    "absent": "the value is not in the register it names",
    "among": "the value occurs in that column of the rows allowed of the other table",
    "in": "the value is one of these",
    "ge": "on this day or later",
    "lt": "before this day",
    "gt_or_null": "after this day, or not set",
    "within": "the first three characters lie in one of these ranges, ends included",
    "outside": "the first three characters lie in none of these ranges, or there is no value",
    "unlike": "begins with none of these, or there is no value",
}
"""All a condition can say, and what it means."""
