"""Cutting CSV into records agrees with the naive reader, at any block size, line by line."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.warehouse.records import Shape, read_text, records

_PLAIN = st.text("ab1 é好-", max_size=4)
# A quoted newline may be followed by anything but a text that is a whole record by itself.
_WILD = st.one_of(_PLAIN, st.text('a",|', max_size=4), st.text('b"\n', max_size=4))


def _cut(text: bytes, shape: Shape, size: int) -> tuple[bytes, list[int], list[tuple[int, str]]]:
    parts: Iterator[bytes] = (text[i : i + size] for i in range(0, len(text), size))
    blocks = list(records(parts, shape))
    return (
        b"".join(block.text for block in blocks),
        [int(line) for block in blocks for line in block.lines],
        [bad for block in blocks for bad in block.malformed],
    )


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(_PLAIN, _WILD, _PLAIN), max_size=12), st.integers(1, 60))
def test_well_formed_records_come_out_whole_with_their_lines(
    rows: list[tuple[str, str, str]], size: int
) -> None:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    lines = []
    for row in rows:
        lines.append(out.getvalue().count("\n") + 1)
        writer.writerow(row)
    text, found, malformed = _cut(out.getvalue().encode(), Shape(3), size)
    assert malformed == []
    assert found == lines
    assert list(csv.reader(io.StringIO(text.decode()), strict=True)) == [list(r) for r in rows]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from(["1,2,3", '1,"x,y",3', "1,2", "1,2,3,4", '1,"open,3', 'a"b,2,3'])),
    st.integers(1, 40),
)
def test_a_bad_line_costs_itself_and_no_other(lines: list[str], size: int) -> None:
    # Between two lines of unclosed quotes stands a good record, so that they cannot pair up.
    spaced = [part for line in lines for part in (line, "7,8,9")]
    text, found, malformed = _cut("".join(f"{s}\n" for s in spaced).encode(), Shape(3), size)
    good = [n for n, line in enumerate(spaced, 1) if line in ("1,2,3", '1,"x,y",3', "7,8,9")]
    assert found == good
    assert sorted({line for line, _ in malformed} | set(good)) == list(range(1, len(spaced) + 1))
    assert text.count(b"\n") == len(good)


@pytest.mark.parametrize("block", [1, 2, 3, 5, 4096])
@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_text_of_any_encoding_becomes_utf8_with_plain_newlines(
    tmp_path: Path, block: int, encoding: str
) -> None:
    file = tmp_path / "x.csv"
    text = "姓名,值\r\n测试丂,1\r\n"
    file.write_bytes(text.encode("utf-8-sig" if encoding == "utf-8" else encoding))
    assert b"".join(read_text(file, encoding, block)).decode() == text.replace("\r\n", "\n")


def test_lines_that_are_no_text_are_named(tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_bytes(b"1,2\n\xff,2\n3,\x004\n5,6\n")
    text, found, malformed = _cut(b"".join(read_text(file, "utf-8")), Shape(2), 4096)
    assert (text, found) == (b"1,2\n5,6\n", [1, 4])
    assert malformed == [(2, "bad_encoding"), (3, "bad_encoding")]
