"""Laws of rendering: every format carries the same cells and flags, and no spreadsheet runs one."""

from __future__ import annotations

import csv
import io
from decimal import Decimal

import orjson
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.serving.accept import ARROW, CSV, JSON
from gateway.serving.render import RENDER, Table, Value

UNITS = {"n": "count", "money": "CNY", "ratio": "ratio", "band": "band"}
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
values: dict[str, st.SearchStrategy[Value]] = {
    "n": st.integers(-(10**12), 10**12),
    "money": st.decimals(-(10**12), 10**12, places=2, allow_nan=False).map(lambda d: f"{d:.2f}"),
    "ratio": st.floats(-1e6, 1e6).map(lambda f: round(f, 4)),
    "band": st.sampled_from(["low", "moderate", "high"]),
}


@st.composite
def tables(draw: st.DrawFn) -> Table:
    rows = draw(st.integers(0, 6))

    def column(items: st.SearchStrategy[Value]) -> list[Value]:
        return draw(st.lists(items | st.none(), min_size=rows, max_size=rows))

    measures = {name: column(items) for name, items in values.items()}
    flags = {
        name: ["s" if value is None else "r" for value in cells] for name, cells in measures.items()
    }
    keys = {name: draw(st.lists(texts, min_size=rows, max_size=rows)) for name in ("period", "geo")}
    return Table(rows, keys, measures, flags, UNITS)


def rows_of_json(body: bytes) -> list[dict[str, object]]:
    return [
        {key: cell for key, cell in row.items() if isinstance(cell, str)}
        | {
            name: cell
            for key, pair in row.items()
            if isinstance(pair, dict)
            for name, cell in ((key, pair["value"]), (f"{key}_flag", pair["flag"]))
        }
        for row in orjson.loads(body)["data"]
    ]


@given(table=tables())
def test_arrow_carries_the_cells_of_json(table: Table) -> None:
    told = {"release": "r-1"}
    plain = rows_of_json(RENDER[JSON](table)(told, "next"))
    stream = pa.ipc.open_stream(RENDER[ARROW](table)(told, "next")).read_all()
    assert orjson.loads(stream.schema.metadata[b"sluice.meta"]) == told
    assert stream.schema.metadata[b"sluice.next_cursor"] == b"next"
    found = [
        {k: str(v) if isinstance(v, Decimal) else v for k, v in row.items()}
        for row in stream.to_pylist()
    ]
    assert [Decimal(str(row["money"])) for row in found if row["money"] is not None] == [
        Decimal(str(row["money"])) for row in plain if row["money"] is not None
    ]
    assert [row | {"money": None} for row in found] == [row | {"money": None} for row in plain]


@given(table=tables())
def test_csv_carries_the_cells_of_json(table: Table) -> None:
    plain = rows_of_json(RENDER[JSON](table)({}, None))
    body = RENDER[CSV](table)({}, None).decode()
    found = list(csv.DictReader(io.StringIO(body, newline="")))
    assert len(found) == len(plain)
    for row, same in zip(found, plain, strict=True):
        for name in (*UNITS, *(f"{unit}_flag" for unit in UNITS)):
            value = same[name]
            assert row[name] == ("" if value is None else str(value))


@given(table=tables())
def test_no_csv_cell_starts_a_formula(table: Table) -> None:
    body = RENDER[CSV](table)({}, None).decode()
    for row in csv.DictReader(io.StringIO(body, newline="")):
        for name in ("period", "geo"):
            assert not row[name].startswith(("=", "+", "@", "\t", "\r"))
            assert not row[name].startswith("-") or float(row[name]) <= 0


@pytest.mark.parametrize(
    "text", ["=1+1", "+cmd", "-2+3", "@sum", "\tx", "\rx", "-", "=HYPERLINK()"]
)
def test_a_text_like_a_formula_is_quoted(text: str) -> None:
    table = Table(1, {"period": [text]}, {}, {}, {})
    (row,) = list(csv.DictReader(io.StringIO(RENDER[CSV](table)({}, None).decode(), newline="")))
    assert row["period"] == "'" + text


def test_csv_lines_end_as_rfc_4180_says() -> None:
    table = Table(1, {"geo": ["a,b"]}, {"n": [-5]}, {"n": ["r"]}, {"n": "count"})
    assert RENDER[CSV](table)({}, None) == b'geo,n,n_flag\r\n"a,b",-5,r\r\n'
