"""The mapping language means what it says, and no text of it reaches the engine as SQL."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.warehouse.expressions import ExpressionError, compile_expression
from gateway.warehouse.functions import MACROS
from synthetic.integrity.codes import CODES

COLUMNS = ("a", "b", "d", "e", "性别", "z", "t", "n")


@pytest.fixture(scope="module")
def source() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect()
    connection.execute("SET threads = 1")
    for macro in MACROS:
        connection.execute(macro)
    connection.execute(
        "CREATE TABLE s AS SELECT '1,234.50' AS a, '2' AS b, '2024/3/5' AS d, '1980-01-02' AS e, "
        "'男' AS 性别, '0' AS z, 'abc' AS t, NULL::VARCHAR AS n"
    )
    yield connection
    connection.close()


def _value(source: duckdb.DuckDBPyConnection, text: str) -> object:
    row = source.execute(f"SELECT {compile_expression(text, COLUMNS).sql} FROM s").fetchone()
    assert row is not None
    value = row[0]
    return str(value.normalize()) if isinstance(value, Decimal) else value


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("a + b * 2", "1238.5"),
        ("(a + b) * 2", "2473"),
        ("-b - -3", "1"),
        ("a / z", None),
        ("b || '-' || (a + 1)", "2-1235.5"),
        ("concat(left(t, 2), 'x''y')", "abx'y"),
        ("substring(t, 2, 1)", "b"),
        ("split('x/y', '/', 2)", "y"),
        ("lpad(b, 3, '0')", "002"),
        ("case when 性别 = '男' then '1' else '2' end", "1"),
        ("case when n is null and not false then 'y' end", "y"),
        ("coalesce(n, 5)", "5"),
        ("b in ('2', '3')", True),
        ("b not in (2)", False),
        ("1000 < a", True),
        ("n = 'x' or b = 2", True),
        ("date(d) >= date('2024-01-01')", True),
        ("year(d) - year(e)", "44"),
        ("years_between(e, d)", "44"),
        ("text(days_between(d, '20240306'))", "1"),
        ("round(age(e, d), 1)", "44.2"),
        ('"a" + `b`', "1236.5"),
    ],
)
def test_an_expression_has_its_value(
    source: duckdb.DuckDBPyConnection, text: str, meant: object
) -> None:
    assert _value(source, text) == meant


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a; drop table s", "unexpected '; drop tab' at position 1"),
        ("x + 1", "the source has no column 'x'"),
        ("foo(a)", "there is no function 'foo'; known: abs"),
        ("left(a)", "left() does not take 1 arguments"),
        ("date(d) - 1", "a date is used where a number is needed"),
        ("(a", "expected ')'"),
        ("'open", "unexpected"),
        ("a b", "expected an operator or the end"),
        ("", "expected a column, a value or a function"),
        ("(" * 50 + "a" + ")" * 50, "nests deeper"),
        ("a+" * 3000 + "a", "longer than"),
    ],
)
def test_a_text_outside_the_language_is_refused_with_its_place(text: str, told: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_expression(text, COLUMNS)
    assert told in str(caught.value)


def test_a_value_that_cannot_be_converted_is_doubted(source: duckdb.DuckDBPyConnection) -> None:
    doubts = compile_expression("t + 1", COLUMNS).doubts
    assert [reason for _, reason in doubts] == ["bad_number"]
    assert source.execute(f"SELECT {doubts[0][0]} FROM s").fetchone() == (True,)


_PIECES = st.one_of(
    st.sampled_from(["a", "b", "t", "n", "1", "'x'", "+", "||", "=", ",", "(", ")", "left("]),
    st.sampled_from([" in ", " or ", "not ", "is null", "case when", " then ", " end"]),
    st.sampled_from(["'", '"', "`", "--", "/*", "*/", ";", "{0}", "$1", "?", "\\", "\n", "好"]),
    st.sampled_from(["select", "read_csv('/etc/passwd')"]),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(_PIECES, max_size=12).map("".join))
def test_whatever_is_written_is_refused_or_is_one_harmless_value(
    source: duckdb.DuckDBPyConnection, text: str
) -> None:
    try:
        compiled = compile_expression(text, COLUMNS)
    except ExpressionError:
        return
    statements = source.extract_statements(f"SELECT {compiled.sql} FROM s")
    assert len(statements) == 1
    try:
        rows = source.execute(f"SELECT {compiled.sql} FROM s").fetchall()
    except duckdb.BinderException:  # a list of different kinds; nothing is read
        return
    assert len(rows) == 1
    assert "read_csv" not in text or "read_csv" not in compiled.sql.replace("'read_csv", "")


@pytest.mark.parametrize(
    ("field", "spelt", "meant"),
    [
        ("hosp_lv", "1", "01"),
        ("hosp_lv", "1.0", "01"),
        ("hosp_lv", "11", "11"),
        ("gend", "01", "1"),
        ("med_type", "140104", "140104"),
        ("insutype", "310.0", "310"),
        ("hosp_lv", "x", "x"),
    ],
)
def test_codes_that_drifted_in_spelling_are_one_code(
    source: duckdb.DuckDBPyConnection, field: str, spelt: str, meant: str
) -> None:
    sql = CODES[field].canonical_sql("x")
    assert source.execute(f"SELECT {sql} FROM (SELECT ? AS x)", [spelt]).fetchone() == (meant,)
