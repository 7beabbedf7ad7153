"""Looking whether a journal is held does not keep its gateway from starting."""

import fcntl
import os
import shutil
import threading
from contextlib import closing

import pytest

from gateway.journal import schema
from gateway.journal.port import JournalBusy, JournalRead
from tests.journal_factory import opened


def test_a_start_waits_for_somebody_who_only_looks(tmp_path, monkeypatch):
    opened(tmp_path).close()
    looking = os.open(tmp_path / "journal.db.lock", os.O_RDWR)
    fcntl.flock(looking, fcntl.LOCK_EX)
    monkeypatch.setattr("gateway.journal.spool._TRIES", 1000)
    threading.Timer(0.2, os.close, (looking,)).start()
    opened(tmp_path).close()


def test_a_journal_that_is_held_is_refused_all_the_same(tmp_path):
    with closing(opened(tmp_path)), pytest.raises(JournalBusy):
        opened(tmp_path)


def crashed(tmp_path):
    """A journal as a crash leaves it: the log holds what the database does not have yet."""
    with closing(opened(tmp_path)):
        left = tmp_path / "left"
        left.mkdir()
        for file in tmp_path.glob("journal.db*"):
            shutil.copy(file, left)
    assert (left / "journal.db-wal").stat().st_size > 0
    return left / "journal.db"


def test_a_log_that_somebody_reads_after_a_crash_is_not_written_on(tmp_path):
    path = crashed(tmp_path)
    with closing(schema.connect_reading(path)) as reading:
        reading.execute("BEGIN")
        reading.execute("SELECT count(*) FROM audit_event").fetchone()
        with pytest.raises(JournalRead):
            schema.connect(path, patience=0.05)
    schema.connect(path, patience=0.05).close()


def test_a_start_waits_for_who_reads_after_a_crash(tmp_path):
    path = crashed(tmp_path)
    reading = schema.connect_reading(path, shared=True)
    reading.execute("BEGIN")
    reading.execute("SELECT count(*) FROM audit_event").fetchone()
    threading.Timer(0.2, reading.execute, ("COMMIT",)).start()
    with closing(schema.connect(path)) as db:
        assert db.execute("PRAGMA wal_checkpoint").fetchone()[1] == 0
    reading.close()
