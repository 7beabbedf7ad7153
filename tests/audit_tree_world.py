"""A journal of 300 events with tree and anchor, and what somebody does who can write its file."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from gateway.audit import proofs
from gateway.audit.outside import abroad
from gateway.audit.verify import NOTHING_OUTSIDE, Outside, verify
from gateway.cli.audit import app as audit
from gateway.journal.anchor import FolderAnchor
from gateway.journal.checkpoint import (
    PUBLIC_KEY,
    public_key,
)
from gateway.journal.neighbours import journal_id
from gateway.journal.proving import logs
from gateway.journal.schema import LASTING
from gateway.journal.seal import link
from gateway.journal.sqlite import Checkpointing, SqliteJournal
from gateway.settings import Settings
from tests.journal_factory import NOON, answered, refused

EVENTS, MORE = 300, 40
EVERY = Checkpointing(events=100)


def fill(home: Path, first: int, last: int, anchor: Path | None = None) -> None:
    """Record calls `first` to `last`; signed after 1, 101, …, and at the end."""
    every = EVERY if anchor is None else replace(EVERY, anchor=FolderAnchor(anchor))
    opened = SqliteJournal.open(home / "journal.db", home / "keys", NOON, every=every)
    with closing(opened) as journal:
        journal.record_now(answered(first))
        for waiter in [
            journal._group.submit(answered(n) if n % 4 else refused(n))
            for n in range(first + 1, last + 1)
        ]:
            waiter.result()


def written_log(folder: Path) -> Path:
    """A home with a log of so many events, all signed and anchored."""
    (folder / "anchor").mkdir()
    fill(folder, 1, EVENTS, folder / "anchor")
    return folder


def outside(home: Path) -> Outside:
    return abroad(home / "anchor", ()).of(journal_id(home / "journal.db"))


def found(home: Path, known: Outside = NOTHING_OUTSIDE) -> set[tuple[str, int, int]]:
    verdict = verify(home / "journal.db", public_key(home / "keys" / PUBLIC_KEY), known)
    return {(one.code, one.first, one.last) for one in verdict.findings}


def tamper(home: Path, *statements: str) -> None:
    with closing(sqlite3.connect(home / "journal.db")) as db:
        for table in (*LASTING, "tile", "note"):
            for act in ("update", "delete"):
                db.execute(f"DROP TRIGGER IF EXISTS {table}_no_{act}")
        for statement in statements:
            db.execute(statement)
        db.commit()


def notes_in(home: Path) -> dict[int, str]:
    with closing(sqlite3.connect(home / "journal.db")) as db:
        return dict(db.execute("SELECT size, text FROM note ORDER BY size").fetchall())


def chain_anew(home: Path, seq: int, change: Callable[[str], str]) -> None:
    """Change an event and compute every later hash again."""
    with closing(sqlite3.connect(home / "journal.db")) as db:
        rows = db.execute("SELECT seq, body, prev_hash FROM audit_event WHERE seq >= ?", (seq,))
        prev = None
        for number, body, before in rows.fetchall():
            new, prev = change(body) if number == seq else body, prev or before
            row = (new, prev, prev := link(prev, new.encode()), number)
            db.execute("UPDATE audit_event SET body=?, prev_hash=?, hash=? WHERE seq=?", row)
        db.commit()


def settings(home: Path) -> Settings:
    return Settings(home=home)


def included(home: Path, *asked: Any) -> dict[str, Any]:
    with closing(logs(settings(home))) as each:
        return dict(proofs.inclusion(each, *asked))


def continued(home: Path, *asked: Any) -> dict[str, Any]:
    with closing(logs(settings(home))) as each:
        return dict(proofs.consistency(each, *asked))


def run(home: Path, *words: str) -> Result:
    """`sluice audit …` in this home."""
    environment = {"SLUICE_HOME": str(home)}
    return CliRunner(env=environment).invoke(audit, words)
