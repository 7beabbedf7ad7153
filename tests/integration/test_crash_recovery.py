"""Starting again after a long outage of the central store: a million events wait in the spool, and
the node serves before they are shipped. What a start reads does not grow with them.
"""

import http.client
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime

import pytest

from gateway.audit.reconcile import reconcile
from gateway.audit.verify import verify
from gateway.journal.checkpoint import PUBLIC_KEY, public_key
from gateway.journal.schema import connect_reading
from tests import central_store
from tests.crash_harness import PATIENCE, free_port, post
from tests.journal_factory import opened
from tests.nursery import popen

PER_TICK = 1_000  # steps of SQLite's machine between two counts


def filled(home, count, queries):
    """The journal a process left that recorded so many events and was killed."""
    command = [sys.executable, "-m", "tests.big_spool", str(home), str(count), str(queries)]
    subprocess.run(command, check=True)
    return home


@contextmanager
def counted(monkeypatch):
    """How many thousand steps SQLite takes, in all connections made from here on."""
    ticks, connect = [], sqlite3.connect

    def watched(*args, **named):
        db = connect(*args, **named)
        db.set_progress_handler(lambda: ticks.append(1), PER_TICK)
        return db

    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", watched)
        yield ticks


def steps_to_open(home, monkeypatch):
    with counted(monkeypatch) as ticks, closing(opened(home, datetime.now(UTC))):
        return len(ticks)


def test_a_spool_filled_in_haste_is_a_true_journal(tmp_path):
    path = filled(tmp_path, 6_000, 100) / "journal.db"
    with closing(opened(tmp_path, datetime.now(UTC))) as journal:
        assert journal.usage_counters("g-00", datetime.now(UTC)).cells_month > 0
    assert not verify(path, public_key(tmp_path / "keys" / PUBLIC_KEY)).findings
    assert not reconcile(path).differences


def test_what_a_start_reads_does_not_grow_with_the_events_that_wait(tmp_path, monkeypatch):
    few = steps_to_open(filled(tmp_path / "few", 5_000, 100), monkeypatch)
    many = steps_to_open(filled(tmp_path / "many", 20_000, 100), monkeypatch)
    assert 0 < many < 1.3 * few


@contextmanager
def serving(home, *more):
    """A server process; yields its port and the seconds until its first acknowledged answer."""
    port, began = free_port(), time.monotonic()
    command = [sys.executable, "-m", "tests.journal_server", str(home), str(port), *more]
    child = popen(command, home / "log")
    try:
        yield port, first_answer(port, f"r-{time.time_ns() // 1000}", child, home / "log") - began
    finally:
        child.kill()
        child.wait()


def first_answer(port, name, child, log):
    ends = time.monotonic() + PATIENCE
    while time.monotonic() < ends:
        assert child.poll() is None, log.read_text()
        with (
            closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection,
            suppress(ConnectionError),
        ):
            if post(connection, name):
                return time.monotonic()
        time.sleep(0.01)
    raise AssertionError(log.read_text())


@pytest.mark.slow
@pytest.mark.services
@pytest.mark.timeout(3600)
def test_a_million_events_that_wait_keep_nobody_waiting(tmp_path, postgres, monkeypatch, capsys):
    home, count = filled(tmp_path, 1_000_000, 50_000), 1_000_000
    spool = home / "journal.db"
    with serving(home) as (_, alone):
        pass
    with postgres.database() as dsn:
        store = central_store.prepared(postgres, dsn.rsplit("/", 1)[1])
        with serving(home, "--dsn", store.dsn) as (_, seconds):
            began, shipped = time.monotonic(), store.shipped(journal_id(spool))
            while not store.settled(spool):
                time.sleep(0.2)
            shipping = time.monotonic() - began
        assert shipped < count, "it served before everything was shipped"
        assert store.sql("SELECT count(*) FROM usage_event")[0][0] == count + 2
        assert not store.sql("SELECT * FROM quarantine")
    steps = steps_to_open(home, monkeypatch)
    said = (
        f"\n1 M unshipped: first answer after {alone:.2f} s, with the store {seconds:.2f} s;"
        f" all shipped after {shipping:.1f} s more, while serving; a start: {steps} k steps\n"
    )
    with capsys.disabled():
        sys.stdout.write(said)
    assert steps < 20_000


def journal_id(spool):
    with closing(connect_reading(spool)) as db:
        return db.execute("SELECT id FROM journal").fetchone()[0]
