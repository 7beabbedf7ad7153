"""Whatever conjunction of conditions a decision states, the query reads exactly the rows that a
look at every single row would pick, on DuckDB and on SQLite alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Any

import duckdb
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.policy.filters import Reading, duckdb_query, select
from gateway.policy.port import ColumnRule, Obligations, RowRule, TariffRule
from gateway.policy.readable import Readable
from tests.filter_oracle import Row, World

READABLE = Readable(
    {
        "visit": {
            "id": "str",
            "who": "str",
            "dx": "str",
            "drug": "str",
            "on": "date",
            "at": "datetime",
        },
        "line": {"id": "str", "visit": "str", "who": "str", "until": "date"},
        "gone": {"who": "str"},
    },
    {"opt_out": ("gone", "who")},
)
FREE = TariffRule("free", 0, "", "", free=True)
TOLD = Obligations(
    {}, (ColumnRule("key", "C06-01", "L4", "token"),), "show", 1, {}, "", "full", False, FREE, 300
)
WHO = ["p1", "p2", "p3", "'; --", "p%", None]
DX = ["B20", "b20.1", "B24.9", "F10", "I10.x", "I1", "", "Z99", None]
DRUG = ["XJ05AR01", "XJ05AP", "xJ05AR", "XN05A", "X", "", None]
DAY = date(2025, 1, 1)
HOUR = timedelta(hours=1)
LEAP = st.integers(0, 60).map(lambda n: DAY + timedelta(days=n))
MOMENTS = st.integers(-30, 1500).map(lambda n: datetime.combine(DAY, time()) + n * HOUR)
DAYS = LEAP.map(date.isoformat)
WORDS = st.lists(st.sampled_from([each for each in WHO if each]), min_size=1, max_size=3)
CODES = st.sampled_from(["A00", "B20", "B24", "F00", "F99", "I10", "Z99", "0", "zzz"])
RANGES = st.lists(st.tuples(CODES, CODES), min_size=1, max_size=3).map(tuple)
PREFIXES = st.lists(st.sampled_from(["X", "XJ05AR", "XJ05A", "XN", "x"]), min_size=1, max_size=3)


@st.composite
def visits(draw: st.DrawFn) -> list[dict[str, Any]]:
    number = draw(st.integers(0, 12))
    return [
        {
            "id": f"v{i}",
            "who": draw(st.sampled_from(WHO)),
            "dx": draw(st.sampled_from(DX)),
            "drug": draw(st.sampled_from(DRUG)),
            "on": draw(st.none() | LEAP),
            "at": draw(st.none() | MOMENTS),
        }
        for i in range(number)
    ]


@st.composite
def lines(draw: st.DrawFn) -> list[dict[str, Any]]:
    number = draw(st.integers(0, 12))
    return [
        {
            "id": f"l{i}",
            "visit": draw(st.sampled_from(["v0", "v1", "v2", "v9", None])),
            "who": draw(st.sampled_from(WHO)),
            "until": draw(st.none() | LEAP),
        }
        for i in range(number)
    ]


def rule(column: str, op: str, value: st.SearchStrategy[Any]) -> st.SearchStrategy[RowRule]:
    return value.map(
        lambda said: RowRule(column, op, tuple(said) if isinstance(said, list) else said)
    )


VISIT = st.one_of(
    rule("visit.who", "in", WORDS),
    rule("visit.dx", "within", RANGES),
    rule("visit.dx", "outside", RANGES),
    rule("visit.drug", "unlike", PREFIXES),
    rule("visit.on", "ge", DAYS),
    rule("visit.at", "lt", DAYS),
    rule("visit.on", "gt_or_null", DAYS),
    rule("visit.at", "gt_or_null", DAYS),
    rule("visit.who", "absent", st.just("opt_out")),
)
LINE = st.one_of(
    rule("line.who", "in", WORDS),
    rule("line.until", "gt_or_null", DAYS),
    rule("line.until", "lt", DAYS),
)
BOUND = [RowRule("visit.who", "is", "subject")]
LINKED = [RowRule("line.visit", "among", "visit.id")]
RULES = st.builds(
    lambda bound, visit, line: (*bound, *visit, *LINKED, *line),
    st.sampled_from([BOUND, [RowRule("visit.who", "absent", "opt_out")]]),
    st.lists(VISIT, max_size=4),
    st.lists(LINE, max_size=2),
)
OUT = st.sets(st.sampled_from([each for each in WHO if each]), max_size=3)


@pytest.fixture(scope="module")
def duck() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as sql:
        yield sql


@pytest.fixture(scope="module")
def lite() -> Iterator[sa.Engine]:
    engine = sa.create_engine("sqlite://")
    yield engine
    engine.dispose()


SQL_TYPES = {"str": "VARCHAR", "date": "DATE", "datetime": "TIMESTAMP"}


def fill(run: Any, tables: Mapping[str, list[Row]]) -> None:
    """Make the tables anew in DuckDB."""
    for name, rows in tables.items():
        columns = READABLE.tables[name]
        written = ", ".join(f'"{each}" {SQL_TYPES[kind]}' for each, kind in columns.items())
        run.execute(f'CREATE OR REPLACE TABLE "{name}" ({written})')
        for row in rows:
            places = ", ".join("?" for _ in columns)
            run.execute(f'INSERT INTO "{name}" VALUES ({places})', [row[each] for each in columns])


def fill_lite(connection: sa.Connection, tables: Mapping[str, list[Row]]) -> None:
    known = sa.MetaData()
    for name in tables:
        columns = [sa.Column(each.name, each.type) for each in READABLE.table(name).columns]
        sa.Table(name, known, *columns)
    known.drop_all(connection)
    known.create_all(connection)
    for name, rows in tables.items():
        if rows:
            connection.execute(known.tables[name].insert(), rows)


@dataclass(frozen=True)
class Case:
    """Rows, a decision's conditions, and who is meant by them."""

    rules: tuple[RowRule, ...]
    world: World


CASES = st.builds(
    lambda visit, line, rules, subjects, out: Case(
        rules,
        World(
            {"visit": visit, "line": line, "gone": [{"who": each} for each in sorted(out)]},
            {"subject": subjects},
            {"opt_out": frozenset(out)},
        ),
    ),
    visits(),
    lines(),
    RULES,
    WORDS.map(tuple),
    OUT,
)


@settings(max_examples=60)
@given(CASES)
def test_every_engine_reads_the_rows_that_a_look_at_each_row_picks(
    duck: duckdb.DuckDBPyConnection, lite: sa.Engine, case: Case
) -> None:
    world, told = case.world, replace(TOLD, rows=case.rules)
    fill(duck, world.rows)
    with lite.connect() as connection:
        fill_lite(connection, world.rows)
        for name in ("visit", "line"):
            statement = select(READABLE, told, Reading(name, {"key": "id"}), world.bound)
            query = duckdb_query(statement)
            expected = sorted(row["id"] for row in world.allowed(case.rules, name))
            by_duckdb = duck.execute(query.sql, list(query.parameters)).fetchall()
            assert sorted(row[0] for row in by_duckdb) == expected
            assert sorted(row[0] for row in connection.execute(statement)) == expected
