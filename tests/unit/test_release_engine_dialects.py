"""Facts in the words of other engines: what they mean stays what DuckDB makes of them."""

from __future__ import annotations

import re
from decimal import Decimal

import duckdb
import pytest
import sqlglot
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import OperatorError
from gateway.releases.engine.dialects import DIALECTS, spoken, spoken_in_steps
from gateway.releases.engine.portable import faults

MONEY = st.integers(-(10**9), 10**9).map(lambda n: Decimal(n).scaleb(-2))


@pytest.fixture(scope="module")
def con() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(":memory:")


@pytest.mark.parametrize("decimals", [0, 2, 4, 8])
@settings(max_examples=60, deadline=None)
@given(pairs=st.lists(st.tuples(MONEY, st.integers(1, 64)), min_size=1, max_size=200))
def test_a_quotient_written_out_is_the_one_duckdb_makes(
    pairs: list[tuple[Decimal, int]], decimals: int, con: duckdb.DuckDBPyConnection
) -> None:
    """Sixty-fourths of cents lie in the middle between two decimals again and again."""
    rows = ", ".join(f"({a}::DECIMAL(16, 2), {b})" for a, b in pairs)
    made = f"SELECT CAST(3 * a / b AS DECIMAL(26, {decimals})) AS q FROM (VALUES {rows}) AS t(a, b)"
    assert con.execute(spoken(made, "duckdb")).fetchall() == con.execute(made).fetchall()


def test_a_rounded_quotient_written_out_is_the_one_duckdb_makes(
    con: duckdb.DuckDBPyConnection,
) -> None:
    rows = ", ".join(f"({n}.005::DECIMAL(16, 3), {d})" for n in range(40) for d in range(1, 9))
    made = f"SELECT CAST(round(a / b, 2) AS DECIMAL(18, 3)) FROM (VALUES {rows}) AS t(a, b)"
    assert con.execute(spoken(made, "duckdb")).fetchall() == con.execute(made).fetchall()


NESTED = (
    "WITH u AS (WITH v AS (SELECT a FROM t) SELECT a FROM v), v AS (SELECT a + 1 AS a FROM u) "
    "SELECT a FROM v",
    "WITH v AS (SELECT a + 1 AS a FROM t), u AS (WITH v AS (SELECT 9 AS a) SELECT a FROM v) "
    "SELECT u.a, v.a AS b FROM u, v",
    "WITH t AS (SELECT a + 1 AS a FROM t) SELECT t.a FROM t",
    "SELECT a FROM t WHERE a > (WITH t AS (SELECT 1 AS a) SELECT max(a) FROM t)",
    "WITH v AS (SELECT 1 AS a) SELECT a FROM t WHERE EXISTS "
    "(WITH v AS (SELECT a FROM V) SELECT 1 FROM v WHERE v.a = t.a)",
    "WITH v AS (SELECT 1 AS a), v__2 AS (SELECT 2 AS a), u AS (WITH v AS (SELECT a FROM v__2) "
    "SELECT a FROM v) SELECT a FROM u UNION ALL SELECT a FROM v",
)
"""CTEs whose names mean one thing inside and another outside."""


@pytest.mark.parametrize("made", NESTED)
def test_ctes_named_apart_give_the_rows_they_gave_nested(
    made: str, con: duckdb.DuckDBPyConnection
) -> None:
    """Spark has them on one level, where each must still be the one that was meant."""
    con.execute("CREATE OR REPLACE TABLE t AS SELECT * FROM range(4) AS r(a)")
    rows = sorted(con.execute(made).fetchall())
    for dialect in ("duckdb", "spark"):
        tree = sqlglot.parse_one(spoken(made, dialect), dialect=dialect)
        names = [cte.alias.lower() for cte in tree.find_all(sqlglot.exp.CTE)]
        assert len({*names, "t"}) == len(names) + 1
        assert sorted(con.execute(tree.sql("duckdb")).fetchall()) == rows


@pytest.mark.parametrize("dialect", DIALECTS)
def test_no_dialect_divides_decimals_as_decimals(dialect: str) -> None:
    text = spoken("SELECT CAST(a / b / c AS DECIMAL(16, 2)) AS x FROM t", dialect)
    divided = list(sqlglot.parse_one(text, dialect=dialect).find_all(sqlglot.exp.Div))
    assert len(divided) >= 2
    for quotient in divided:
        for side in (quotient.this, quotient.expression):
            assert isinstance(side, sqlglot.exp.Cast), text
            assert side.to.this == sqlglot.exp.DataType.Type.DOUBLE


def test_days_are_counted_from_date_to_date() -> None:
    made = "SELECT date_diff('day', a, b) AS d FROM t"
    assert spoken(made, "spark") == "SELECT DATEDIFF(b, a) AS d FROM t"
    assert "DATE_DIFF('DAY'" in spoken(made, "trino")


def test_clickhouse_is_asked_for_the_greatest_truth() -> None:
    made = "SELECT bool_or(a) AS some, bool_and(a) AS every FROM t"
    assert re.fullmatch(
        r"SELECT MAX\(.*\) AS some, MIN\(.*\) AS every FROM t.*", spoken(made, "clickhouse")
    )


def test_what_a_dialect_cannot_say_is_an_error_and_no_guess() -> None:
    with pytest.raises(OperatorError) as refused:
        spoken("PIVOT t ON a USING sum(b)", "trino")
    assert refused.value.code == "fact_not_portable"


@pytest.mark.parametrize(
    "fact",
    [
        "SELECT a / b AS x FROM t",
        "SELECT sum(a / b) AS x FROM t",
        "SELECT CAST(sum(a / b) AS DECIMAL(9, 2)) AS x FROM t",
        "SELECT coalesce(a / b, 0) AS x FROM t",
        "SELECT CASE WHEN a > 1 THEN a / b ELSE 0 END AS x FROM t",
        "SELECT round(a / b, 2) AS x FROM t",
        "SELECT x FROM (SELECT -(a / b) AS x FROM t) AS u",
    ],
)
def test_a_quotient_is_made_a_decimal_where_it_stands(fact: str) -> None:
    found = list(faults(sqlglot.parse_one(fact, dialect="duckdb")))
    assert any("quotient" in fault for fault in found)


@pytest.mark.parametrize(
    "fact",
    [
        "SELECT CAST(a / b AS DECIMAL(9, 2)) AS x FROM t",
        "SELECT sum(CAST(a / b AS DECIMAL(9, 2))) AS x FROM t",
        "SELECT floor(a / 5) * 5 AS x FROM t",
        "SELECT a FROM t WHERE a / b > 2",
        "SELECT CASE WHEN a / b > 2 THEN 1 ELSE 0 END AS x FROM t",
        "SELECT row_number() OVER (PARTITION BY a ORDER BY CAST(b AS DECIMAL(9, 2)) / c, a) FROM t",
    ],
)
def test_a_quotient_that_is_compared_or_made_whole_is_portable(fact: str) -> None:
    assert not list(faults(sqlglot.parse_one(fact, dialect="duckdb")))


def in_steps(made: str, con: duckdb.DuckDBPyConnection) -> tuple[list[tuple[object, ...]], int]:
    """The rows of a statement run step by step, and how many steps there were."""
    *before, (_, last) = spoken_in_steps(made, "duckdb")
    for name, text in before:
        con.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {text}")
    return sorted(con.execute(last).fetchall()), len(before)


@pytest.mark.parametrize("made", NESTED)
def test_a_statement_with_few_reads_stays_in_one_piece(
    made: str, con: duckdb.DuckDBPyConnection
) -> None:
    con.execute("CREATE OR REPLACE TABLE t AS SELECT * FROM range(4) AS r(a)")
    assert in_steps(made, con) == (sorted(con.execute(made).fetchall()), 0)


def test_what_would_be_written_in_thousands_of_times_is_run_once(
    con: duckdb.DuckDBPyConnection,
) -> None:
    """Twelve views, each reading the one before twice: 4096 reads of a table in one statement."""
    con.execute("CREATE OR REPLACE TABLE t AS SELECT * FROM range(4) AS r(a)")
    pairs = [
        f"v{n}(a) AS (WITH w AS (SELECT x.a FROM v{n - 1} AS x JOIN v{n - 1} AS y USING (a)) "
        "SELECT a FROM w)"
        for n in range(1, 13)
    ]
    made = f"WITH v0 AS (SELECT a FROM t), {', '.join(pairs)} SELECT a FROM v12"
    rows, before = in_steps(made, con)
    assert rows == sorted(con.execute(made).fetchall()) == [(0,), (1,), (2,), (3,)]
    for _, text in spoken_in_steps(made, "spark"):
        assert len(list(sqlglot.parse_one(text, dialect="spark").find_all(sqlglot.exp.Table))) < 10
    assert before >= 10
