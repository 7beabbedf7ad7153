"""One statement records a batch, whatever tables its rows go into.

Between two statements the interpreter may go to the thread of the event loop, and waiting for it to
come back costs more than many rows. So the rows of a batch are put, side by side, into a view that
only this connection has; its trigger puts them where they belong. Transaction, sync and all happen
within the one call, while the loop prepares the next batch.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import cache
from typing import Final

from gateway.journal.entry import Row
from gateway.journal.seal import Sealed
from metering.usage import FIELDS

_AUDIT, _DECISION, _USAGE, _CHARGED = 1, 2, 4, 8
_OF_AUDIT: Final = ("seq", "request_id", "body", "prev_hash", "hash")
_OF_USAGE: Final = tuple("grant_id" if name == "grant" else name for name in FIELDS)
_USED: Final = tuple(f"used_{name}" for name in _OF_USAGE)
_COLUMNS: Final = ("parts", *_OF_AUDIT, "decision", *_USED, "place", "cells")
_NOTHING: Row = (None,) * len(_COLUMNS)
_NO_USAGE: Row = (None,) * len(_OF_USAGE)

_NEW_USED: Final = ", ".join(f"new.{name}" for name in _USED)
_VIEW: Final = f"""
PRAGMA temp_store=MEMORY;
CREATE TEMP VIEW recording AS SELECT {", ".join(f"NULL AS {name}" for name in _COLUMNS)};
CREATE TEMP TRIGGER record INSTEAD OF INSERT ON recording BEGIN
INSERT INTO audit_event ({", ".join(_OF_AUDIT)})
  SELECT {", ".join(f"new.{name}" for name in _OF_AUDIT)} WHERE new.parts & {_AUDIT};
INSERT INTO decision (seq, request_id, body)
  SELECT new.seq, new.request_id, new.decision WHERE new.parts & {_DECISION};
INSERT INTO usage_event (seq, {", ".join(_OF_USAGE)})
  SELECT new.seq, {_NEW_USED} WHERE new.parts & {_USAGE};
INSERT INTO charged_cell (tenant, release, place, seq, event_id, time, cells)
  SELECT new.used_tenant, new.used_release, new.place, new.seq, new.used_event_id, new.used_time,
    new.cells WHERE new.parts & {_CHARGED};
END;
"""

_MOST = 256
_STEP = 16
"""Rows of one statement: every number up to a step, then whole steps, filled up with empty rows.
Each number is a statement that is compiled once and kept."""


def begin(db: sqlite3.Connection) -> None:
    """Let a connection record; what it needs for that is in no file."""
    db.executescript(_VIEW)


def statements(sealed: Sequence[Sealed]) -> list[tuple[str, Row]]:
    """What to execute, and with which values; one statement but for very large batches."""
    rows = [row for one in sealed for row in _rows(one)]
    return [_statement(rows[at : at + _MOST]) for at in range(0, len(rows), _MOST)]


def _statement(rows: list[Row]) -> tuple[str, Row]:
    short = -len(rows) % _STEP if len(rows) > _STEP else 0
    values: list[str | int | bytes | None] = []
    for row in rows:
        values += row
    values += _NOTHING * short
    return _insertion(len(rows) + short), tuple(values)


@cache
def _insertion(rows: int) -> str:
    marks = f"({', '.join('?' * len(_COLUMNS))})"
    return f"INSERT INTO temp.recording VALUES {', '.join([marks] * rows)}"


def _rows(one: Sealed) -> list[Row]:
    """An entry in one row, but for the cells of further places: these have rows of their own."""
    parts, decision, usage = _AUDIT, None, _NO_USAGE
    if one.decision is not None:
        parts, decision = parts | _DECISION, one.decision[2]
    if one.usage is not None:
        parts, usage = parts | _USAGE, one.usage[1:]
    if not one.charged:
        return [(parts, *one.audit, decision, *usage, None, None)]
    first, *more = one.charged
    rows: list[Row] = [(parts | _CHARGED, *one.audit, decision, *usage, first[2], first[6])]
    for row in more:
        rows.append((_CHARGED, one.seq, *_NO_AUDIT, None, *usage, row[2], row[6]))
    return rows


_NO_AUDIT: Row = (None,) * (len(_OF_AUDIT) - 1)
