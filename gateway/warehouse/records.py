"""Cut CSV text into records: which physical lines form a record, and which are malformed.

Works on whole blocks of lines by NumPy; only a line with an odd number of quotes is looked at by
itself. A newline inside quotes belongs to its record, but one forgotten quote must not swallow the
lines after it: if a following line is a complete record on its own, the opening line is malformed.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeAlias

import numpy as np
import numpy.typing as npt

BLOCK = 8 << 20
_NEWLINE, _RETURN, _NUL = 0x0A, 0x0D, 0x00
_LOST = "\ufffd".encode()  # what an undecodable byte becomes

Ints: TypeAlias = npt.NDArray[np.int64]
Bools: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Shape:
    """How the records of a CSV file are written; `quote` is empty if nothing is quoted."""

    columns: int
    delimiter: str = ","
    quote: str = '"'
    max_lines: int = 20


@dataclass(frozen=True)
class Block:
    """Well-formed records as UTF-8 text with their line numbers, and the malformed lines."""

    text: bytes
    lines: Ints
    malformed: tuple[tuple[int, str], ...]


def read_text(file: Path, encoding: str, block: int = BLOCK) -> Iterator[bytes]:
    """The file as UTF-8 with plain newlines, in blocks; undecodable bytes become U+FFFD."""
    decoder = codecs.getincrementaldecoder("utf-8-sig" if encoding == "utf-8" else encoding)
    with file.open("rb") as data:
        yield from _decoded(data, decoder("replace"), block)


def _decoded(data: BinaryIO, decoder: codecs.IncrementalDecoder, block: int) -> Iterator[bytes]:
    held = b""
    while raw := data.read(block):
        text = held + decoder.decode(raw).encode()
        held = b"\r" if text.endswith(b"\r") else b""
        yield (
            text.removesuffix(held).replace(b"\r\n", b"\n")
            if held
            else text.replace(b"\r\n", b"\n")
        )
    tail = held + decoder.decode(b"", True).encode()
    if tail:
        yield tail.removesuffix(b"\r")


def records(texts: Iterator[bytes], shape: Shape, first_line: int = 1) -> Iterator[Block]:
    """Blocks of records from blocks of text; line numbers are physical and 1-based."""
    held, line = b"", first_line
    for text in texts:
        buffer = held + text
        cut = buffer.rfind(b"\n") + 1
        if cut == 0:
            held = buffer
            continue
        block, used, count = _block(buffer[:cut], shape, line, final=False)
        held = buffer[used:]
        line += count
        yield block
    if held:
        ended = held if held.endswith(b"\n") else held + b"\n"
        yield _block(ended, shape, line, final=True)[0]


def _block(text: bytes, shape: Shape, line: int, final: bool) -> tuple[Block, int, int]:
    """The records of a text of whole lines, how many bytes and lines of it were used."""
    data = np.frombuffer(text, np.uint8)
    ends = np.flatnonzero(data == _NEWLINE)
    starts = np.concatenate(([0], ends[:-1] + 1))
    good, odd, reason_quote = _even_lines(data, starts, ends, shape)
    lost = _lost_lines(text, data, starts)
    good &= ~lost
    blank = ends == starts
    begins = good.copy()  # the first line of each record
    malformed: dict[int, str] = {}
    used = len(starts)
    if odd.any():
        lines = _Lines(text, starts, ends, good, blank)
        used = _join(lines, np.flatnonzero(odd), shape, final=final, found=(begins, malformed))
    bad = ~good & ~blank
    bad[used:] = False
    for index in np.flatnonzero(bad):
        reason = "bad_quote" if reason_quote[index] else "wrong_column_count"
        malformed.setdefault(int(index), "bad_encoding" if lost[index] else reason)
    good[used:] = begins[used:] = False
    keep = good & ~blank
    lines_of = np.flatnonzero(begins & ~blank).astype(np.int64) + line
    told = tuple((line + index, reason) for index, reason in sorted(malformed.items()))
    size = int(starts[used]) if used < len(starts) else len(text)
    return Block(_kept(text, starts, ends, keep), lines_of, told), size, used


def _even_lines(
    data: npt.NDArray[np.uint8], starts: Ints, ends: Ints, shape: Shape
) -> tuple[Bools, Bools, Bools]:
    """Lines that are whole records, lines with an odd number of quotes, lines quoted wrongly."""
    count = len(starts)
    delimiters = np.flatnonzero(data == ord(shape.delimiter))
    of_line = np.searchsorted(ends, delimiters)
    none = np.zeros(count, np.bool_)
    quotes = np.flatnonzero(data == ord(shape.quote)) if shape.quote else np.empty(0, np.int64)
    if not len(quotes):
        columns = np.bincount(of_line, minlength=count) + 1
        return columns == shape.columns, none, none
    before = np.searchsorted(quotes, starts)
    outside = (np.searchsorted(quotes, delimiters) - before[of_line]) % 2 == 0
    columns = np.bincount(of_line[outside], minlength=count) + 1
    line_of_quote = np.searchsorted(ends, quotes)
    odd = np.bincount(line_of_quote, minlength=count) % 2 == 1
    opening = (np.arange(len(quotes)) - before[line_of_quote]) % 2 == 0
    edges = np.array([ord(shape.delimiter), ord(shape.quote), _NEWLINE], np.uint8)
    previous = np.where(quotes > 0, data[quotes - 1], np.uint8(_NEWLINE))
    following = data[quotes + 1]
    proper = np.where(opening, np.isin(previous, edges), np.isin(following, edges))
    wrong = np.bincount(line_of_quote[~proper], minlength=count) > 0
    return (columns == shape.columns) & ~odd & ~wrong, odd, odd | wrong


def _lost_lines(text: bytes, data: npt.NDArray[np.uint8], starts: Ints) -> Bools:
    """Lines with bytes that are no text of the stated encoding, or with NUL."""
    places = list(np.flatnonzero(data == _NUL))
    at = text.find(_LOST)
    while at >= 0:
        places.append(np.int64(at))
        at = text.find(_LOST, at + len(_LOST))
    lost = np.zeros(len(starts), np.bool_)
    if places:
        lost[np.searchsorted(starts, np.array(places), side="right") - 1] = True
    return lost


@dataclass(frozen=True)
class _Lines:
    """The physical lines of a block, and what is known of each alone."""

    text: bytes
    starts: Ints
    ends: Ints
    good: Bools
    blank: Bools

    def span(self, first: int, last: int) -> bytes:
        return self.text[int(self.starts[first]) : int(self.ends[last])]


def _join(
    lines: _Lines,
    odd: npt.NDArray[np.intp],
    shape: Shape,
    *,
    final: bool,
    found: tuple[Bools, dict[int, str]],
) -> int:
    """Join lines whose quotes span newlines, into `found`; the number of lines settled."""
    begins, malformed = found
    done = 0
    for number in odd:
        first = int(number)
        if first < done:
            continue
        last = _closing(lines, first, shape)
        if last is None and not final and first + shape.max_lines > len(lines.starts):
            return first  # its end may be in the next block
        if last is None:
            malformed[first] = "bad_quote"
            done = first + 1
            continue
        lines.good[first : last + 1] = True
        lines.blank[first : last + 1] = False
        begins[first : last + 1] = False
        begins[first] = True
        done = last + 1
    return len(lines.starts)


def _closing(lines: _Lines, first: int, shape: Shape) -> int | None:
    """The last line of the record that begins at an odd line; None if it is malformed."""
    limit = min(first + shape.max_lines, len(lines.starts))
    for last in range(first + 1, limit):
        if lines.good[last] and not lines.blank[last] and shape.columns > 1:
            return None
        text = lines.span(first, last)
        if text.count(shape.quote.encode()) % 2 == 0:
            whole = _LOST not in text and b"\0" not in text
            return last if whole and _columns(text, shape) == shape.columns else None
    return None


def _columns(record: bytes, shape: Shape) -> int | None:
    """Number of columns of a record that may contain newlines; None if quoted wrongly."""
    quote, delimiter = shape.quote.encode(), shape.delimiter.encode()
    parts = record.split(quote)
    columns = 1
    for index in range(0, len(parts), 2):  # the parts outside quotes
        part = parts[index]
        first, last = index == 0, index == len(parts) - 1
        if part and not first and not part.startswith(delimiter):
            return None
        if part and not last and not part.endswith(delimiter):
            return None
        if b"\n" in part:
            return None
        columns += part.count(delimiter)
    return columns


def _kept(text: bytes, starts: Ints, ends: Ints, keep: Bools) -> bytes:
    """The kept lines as one text, copied by runs."""
    if keep.all():
        return text
    edges = np.flatnonzero(np.diff(np.concatenate(([0], keep.astype(np.int8), [0]))))
    view = memoryview(text)
    runs = zip(edges[::2], edges[1::2], strict=True)
    return b"".join(view[int(starts[a]) : int(ends[b - 1]) + 1] for a, b in runs)
