"""From the mark of an answer to the answer: who was given it, when, by which decision.

The journals are not searched whole each time: an index beside them is carried on from where it
ended. It is no evidence, only a way to find evidence, and may be removed at any time.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from hmac import compare_digest
from pathlib import Path
from typing import Any, Final, TypeAlias

import orjson

from gateway.errors import NotFound, OperatorError
from gateway.journal.reader import identity
from gateway.journal.schema import connect_reading

_TAG: Final = re.compile(r"[0-9a-f]{32}")
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS mark (tag BLOB NOT NULL, journal TEXT NOT NULL, seq INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS by_tag ON mark (tag);
CREATE TABLE IF NOT EXISTS read_to (journal TEXT PRIMARY KEY, seq INTEGER NOT NULL);
"""
_NEW: Final = """
SELECT seq, json_extract(body, '$.watermark_tag') FROM audit_event
WHERE seq > ? AND seq <= ? ORDER BY seq
"""
_EVENT: Final = """
SELECT a.body, d.decision_id FROM audit_event a LEFT JOIN decision d USING (seq) WHERE seq = ?
"""
Mark: TypeAlias = Callable[[str, str, datetime], str]


@dataclass(frozen=True)
class Found:
    """The answer that carries a mark, as the journal has it."""

    journal: str
    event: dict[str, Any]  # the audit event
    genuine: bool  # whether the mark is the one this home's key gives for it


def checked(tag: str) -> str:
    """A mark as it is written in header and meta."""
    short = tag.strip().casefold()
    if not _TAG.fullmatch(short):
        raise OperatorError("watermark.tag", "A mark is 32 hexadecimal digits, as in the header.")
    return short


def look_up(tag: str, index: Path, journals: Iterable[Path], mark: Mark) -> Found:
    """The one answer with this mark; raises `NotFound` where no journal here has it.

    `mark` is what makes the mark of an answer: of tenant, decision and time.
    """
    wanted = checked(tag)
    paths = tuple(journals)
    with closing(sqlite3.connect(index, isolation_level=None)) as db:
        index.chmod(0o600)
        db.executescript(_TABLES)
        for path in paths:
            with closing(connect_reading(path)) as journal:
                _carry_on(db, journal)
        rows = db.execute(
            "SELECT journal, seq FROM mark WHERE tag = ? ORDER BY rowid", (bytes.fromhex(wanted),)
        ).fetchall()
    for path in paths:
        with closing(connect_reading(path)) as journal:
            name = identity(journal)[0]
            for held, seq in rows:
                if held == name:
                    event = _event(journal, seq)
                    if event is not None:
                        due = mark(
                            str(event.get("tenant")),
                            str(event.get("decision_id")),
                            datetime.fromisoformat(str(event.get("time"))),
                        )
                        return Found(name, event, compare_digest(wanted, due))
    raise NotFound("watermark.unknown", "No journal of this home has an answer with this mark.")


def _carry_on(db: sqlite3.Connection, journal: sqlite3.Connection) -> None:
    """Take up what a journal has recorded since."""
    name = identity(journal)[0]
    row = db.execute("SELECT seq FROM read_to WHERE journal = ?", (name,)).fetchone()
    after = row[0] if row else 0
    last = journal.execute("SELECT coalesce(max(seq), 0) FROM audit_event").fetchone()[0]
    if last <= after:
        return
    db.execute("BEGIN IMMEDIATE")
    db.executemany("INSERT INTO mark VALUES (?, ?, ?)", _marks(journal, name, after, last))
    db.execute("INSERT OR REPLACE INTO read_to VALUES (?, ?)", (name, last))
    db.execute("COMMIT")


def _marks(
    journal: sqlite3.Connection, name: str, after: int, last: int
) -> Iterator[tuple[bytes, str, int]]:
    for seq, tag in journal.execute(_NEW, (after, last)):
        if isinstance(tag, str) and _TAG.fullmatch(tag):
            yield bytes.fromhex(tag), name, seq


def _event(journal: sqlite3.Connection, seq: int) -> dict[str, Any] | None:
    row = journal.execute(_EVENT, (seq,)).fetchone()
    return None if row is None else {**orjson.loads(row[0]), "decision_id": row[1]}
