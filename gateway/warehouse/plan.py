"""Check a mapping against schema and sources, and turn each feed into one SQL statement.

Every problem of the whole document is collected before anything is refused, so that a mapping is
repaired in one round.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

from gateway.warehouse.casting import cast_sql, refusals
from gateway.warehouse.expressions import Compiled, ExpressionError, compile_expression
from gateway.warehouse.functions import coerce, quoted
from gateway.warehouse.mapping import (
    ColumnRule,
    Dialect,
    ImportMapping,
    Load,
    Lookup,
    MappingError,
)
from gateway.warehouse.staging import FILE, LINE, Staged
from synthetic.warehouse.schema import TABLES, Column, Table

_SOURCE = '"@source"'


@dataclass(frozen=True)
class Origin:
    """The text a canonical column is made from, and what can be wrong with it."""

    sql: str
    columns: frozenset[str] = frozenset()
    doubts: tuple[tuple[str, str], ...] = ()
    formats: tuple[str, ...] = ()
    decimal: str = "."
    direct: bool = False


@dataclass(frozen=True)
class Planned:
    """One source feeding one table, resolved."""

    number: int
    table: Table
    load: Load
    staged: Staged
    sql: str
    unused: tuple[str, ...]


@dataclass
class _Problems:
    """What is wrong with the mapping, by place."""

    lines: list[str] = field(default_factory=list)

    def add(self, place: str, message: str) -> None:
        self.lines.append(f"  {place}: {message}")

    def stop(self) -> None:
        if self.lines:
            raise MappingError(
                "mapping.does_not_fit",
                "The mapping does not fit the sources:\n" + "\n".join(self.lines),
                "映射与数据源不符。",
            )


def plan(mapping: ImportMapping, staged: Mapping[str, Staged]) -> tuple[Planned, ...]:
    """The feeds in document order; MappingError names every place that does not fit."""
    problems = _Problems()
    feeds: list[Planned] = []
    for table, entries in mapping.tables.items():
        for entry in entries:
            if isinstance(entry, Load):
                source = staged[entry.source]
                dialect = entry.dialect or mapping.dialect
                feeds.append(
                    _planned(len(feeds), TABLES[table], entry, source, (dialect, problems))
                )
    problems.stop()
    return tuple(feeds)


def _planned(
    number: int,
    table: Table,
    load: Load,
    staged: Staged,
    context: tuple[Dialect | None, _Problems],
) -> Planned:
    dialect, problems = context
    place = f"tables.{table.name}"
    _known_columns(table, load, place, problems)
    origins: dict[str, Origin] = {}
    for column in table.columns:
        rule = load.columns.get(column.name) or _implied(column, dialect, staged)
        if rule is not None:
            origins[column.name] = _origin(column, rule, staged, f"{place}.columns", problems)
        elif column.mandatory:
            problems.add(f"{place}.columns", _unmapped(column, staged))
    where = _where(load, staged, place, problems)
    used = where.columns.union(*(origin.columns for origin in origins.values()))
    unused = tuple(name for name in staged.columns if name not in used)
    statement = _Statement(number, table, staged, origins, where, _lookups(load))
    return Planned(number, table, load, staged, statement.sql(), unused)


def _lookups(load: Load) -> dict[str, Lookup]:
    return {name: rule.lookup for name, rule in load.columns.items() if rule.lookup}


def _known_columns(table: Table, load: Load, place: str, problems: _Problems) -> None:
    names = [column.name for column in table.columns]
    for name in load.columns:
        if name not in names:
            problems.add(f"{place}.columns.{name}", f"no such column{_hint(name, names)}")


def _hint(name: str, names: list[str]) -> str:
    close = get_close_matches(name, names, n=3, cutoff=0.6)
    return f"; did you mean {' or '.join(close)}?" if close else ""


def _unmapped(column: Column, staged: Staged) -> str:
    hint = _hint(column.name, list(staged.columns))
    has = hint or f"; source {staged.name} has {', '.join(staged.columns)}"
    return f"mandatory column {column.name} ({column.title_zh}, {column.title_en}) is unmapped{has}"


def _implied(column: Column, dialect: Dialect | None, staged: Staged) -> ColumnRule | None:
    """What the dialect says of a column without a line: its own name, or its interface name."""
    present = {name.lower(): name for name in staged.columns}
    if column.name == "vali_flag" and (dialect is None or "vali_flag" not in present):
        return ColumnRule.model_validate({"const": "1"})
    if dialect is None:
        return None
    names = [column.name, *(column.interface_names if dialect == "interface" else ())]
    found = next((present[name] for name in names if name in present), None)
    return ColumnRule.model_validate({"from": found}) if found else None


def _origin(
    column: Column, rule: ColumnRule, staged: Staged, place: str, problems: _Problems
) -> Origin:
    where = f"{place}.{column.name}"
    origin = Origin("NULL")
    if rule.source is not None:
        if rule.source not in staged.columns:
            hint = _hint(rule.source, list(staged.columns))
            problems.add(where, f"source {staged.name} has no column {rule.source!r}{hint}")
            return origin
        origin = Origin(_source(rule.source), frozenset([rule.source]))
    elif rule.const is not None:
        origin = Origin(quoted(rule.const))
    elif rule.derive is not None:
        value = _compiled(rule.derive, staged, f"{where}.derive", problems)
        origin = Origin(coerce(value.sql, value.kind, "text")[0], value.columns, value.doubts)
    elif rule.lookup is not None:
        origin = _looked_up(column, rule.lookup, staged, f"{where}.lookup", problems)
    coded = _coded(origin, rule)
    direct = rule.source is not None
    return Origin(coded.sql, coded.columns, coded.doubts, rule.format, rule.decimal, direct)


def _compiled(text: str, staged: Staged, where: str, problems: _Problems) -> Compiled:
    try:
        return compile_expression(text, staged.columns, _SOURCE)
    except ExpressionError as error:
        problems.add(where, str(error))
        return Compiled("NULL", "null")


def _looked_up(
    column: Column, lookup: Lookup, staged: Staged, where: str, problems: _Problems
) -> Origin:
    table = TABLES.get(lookup.table)
    if table is None or len(table.key) != 1:
        problems.add(where, f"{lookup.table} is no table with a single key")
    elif lookup.column not in [c.name for c in table.columns]:
        problems.add(where, f"{lookup.table} has no column {lookup.column}")
    if lookup.key not in staged.columns:
        hint = _hint(lookup.key, list(staged.columns))
        problems.add(where, f"source {staged.name} has no column {lookup.key!r}{hint}")
        return Origin("NULL")
    key, found = _source(lookup.key), _alias(lookup)
    doubts = (
        (f'{key} IS NOT NULL AND {found}."@key" IS NULL', "orphan"),
        (f'{found}."@why" IS NOT NULL', "parent_rejected"),
    )
    sql = f"CAST({found}.{lookup.column} AS VARCHAR)"
    return Origin(sql, frozenset([lookup.key]), doubts)


def _source(column: str) -> str:
    """A source column, unmistakable beside the columns of tables looked up."""
    return f"{_SOURCE}.{identifier(column)}"


def _alias(lookup: Lookup) -> str:
    return identifier(f"@{lookup.table}:{lookup.key}")


def _coded(origin: Origin, rule: ColumnRule) -> Origin:
    """The code map over a text; a value outside it is refused unless the mapping says otherwise."""
    if rule.codes is None:
        return origin
    text = origin.sql
    arms = []
    for key, code in rule.codes.items():
        condition = f"{text} = {quoted(key)}" if key else f"{text} IS NULL"
        arms.append(f"WHEN {condition} THEN {'NULL' if code is None else quoted(code)}")
    known = ", ".join(quoted(key) for key in rule.codes if key) or "''"
    doubts = origin.doubts
    otherwise = text
    if rule.default in (None, "reject"):
        doubts += ((f"{text} IS NOT NULL AND {text} NOT IN ({known})", "unknown_code"),)
    elif rule.default != "keep":
        otherwise = f"CASE WHEN {text} IS NOT NULL THEN {quoted(str(rule.default))} END"
    return Origin(f"CASE {' '.join(arms)} ELSE {otherwise} END", origin.columns, doubts)


def _where(load: Load, staged: Staged, place: str, problems: _Problems) -> Compiled:
    if load.where is None:
        return Compiled("true", "bool")
    found = _compiled(load.where, staged, f"{place}.where", problems)
    if found.kind not in ("bool", "null"):
        problems.add(f"{place}.where", "must be a condition that is true or false")
    return found


def identifier(name: str) -> str:
    """The name as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


@dataclass(frozen=True)
class _Statement:
    """INSERT of every row of a source, typed, with the first reason against it in `_why`."""

    number: int
    table: Table
    staged: Staged
    origins: Mapping[str, Origin]
    where: Compiled
    lookups: Mapping[str, Lookup]

    def sql(self) -> str:
        doubts = self.doubts()
        flags = [f"{sql} AS {identifier(f'd_{i}')}" for i, (sql, _) in enumerate(doubts)]
        reasons = self.why([reason for _, reason in doubts])
        return f"""
INSERT INTO t_{self.table.name}
WITH clean AS (SELECT {FILE}, {LINE}, {", ".join(self.cleaned())}
  FROM {self.staged.relation()}),
{_SOURCE} AS (SELECT {FILE}, {LINE}, {", ".join(self.present())} FROM clean),
raw AS (SELECT {_SOURCE}.{FILE}, {_SOURCE}.{LINE}, coalesce({self.where.sql}, false) AS "_keep",
  {", ".join(self.raw() + flags)} FROM {_SOURCE} {_joins(self.lookups)}),
typed AS (SELECT *, {", ".join(self.typed())} FROM raw)
SELECT {", ".join(self.columns())}, {self.number}, {FILE}, {LINE}, {reasons} FROM typed"""

    def cleaned(self) -> list[str]:
        return [f"sl_clean({identifier(c)}) AS {identifier(c)}" for c in self.staged.columns]

    def present(self) -> list[str]:
        tokens = ", ".join(quoted(token) for token in ("", *self.staged.null))
        return [
            f"CASE WHEN {identifier(c)} NOT IN ({tokens}) THEN {identifier(c)} END "
            f"AS {identifier(c)}"
            for c in self.staged.columns
        ]

    def raw(self) -> list[str]:
        return [f"{o.sql} AS {identifier('r_' + name)}" for name, o in self.origins.items()]

    def doubts(self) -> list[tuple[str, str]]:
        return [
            (f"coalesce({sql}, false)", f"{reason}:{name}")
            for name, origin in self.origins.items()
            for sql, reason in origin.doubts
        ]

    def typed(self) -> list[str]:
        return [
            f"{cast_sql(self.table.column(name), identifier('r_' + name), o.formats, o.decimal)} "
            f"AS {identifier('c_' + name)}"
            for name, o in self.origins.items()
        ]

    def columns(self) -> list[str]:
        return [
            identifier("c_" + c.name)
            if c.name in self.origins
            else f"CAST(NULL AS {c.duckdb_type})"
            for c in self.table.columns
        ]

    def why(self, doubts: list[str]) -> str:
        arms = ["WHEN NOT _keep THEN 'excluded_where:'"]
        arms.append("WHEN c_vali_flag = '0' THEN 'not_valid:vali_flag'")
        # A column read from the source is blamed before what is made of it.
        arms += self.refused(direct=True)
        arms += [f"WHEN {identifier(f'd_{i}')} THEN '{why}'" for i, why in enumerate(doubts)]
        arms += self.refused(direct=False)
        return f"CASE {' '.join(arms)} END"

    def refused(self, direct: bool) -> list[str]:
        return [
            f"WHEN {sql} THEN '{reason}:{name}'"
            for name, origin in self.origins.items()
            if origin.direct is direct
            for sql, reason in refusals(
                self.table.column(name), identifier("r_" + name), identifier("c_" + name)
            )
        ]


def _joins(lookups: Mapping[str, Lookup]) -> str:
    """A left join per table and key looked up, on one row per key: no row is ever multiplied."""
    wanted: dict[tuple[str, str], set[str]] = {}
    for lookup in lookups.values():
        wanted.setdefault((lookup.table, lookup.key), set()).add(lookup.column)
    parts = []
    for (table, by), names in wanted.items():
        key = TABLES[table].key[0]
        alias = identifier(f"@{table}:{by}")
        parts.append(
            f'LEFT JOIN (SELECT {key} AS "@key", _why AS "@why", {", ".join(sorted(names))} '
            f"FROM t_{table} WHERE {key} IS NOT NULL QUALIFY row_number() OVER "
            f"(PARTITION BY {key} ORDER BY _why IS NOT NULL, _load, _file, _line) = 1"
            f') AS {alias} ON {alias}."@key" = {_source(by)}'
        )
    return " ".join(parts)
