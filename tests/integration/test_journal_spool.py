"""The journal on a real file: durable, append-only, exclusive, and healthy again after trouble."""

import asyncio
import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.errors import OperatorError
from gateway.journal import schema
from gateway.journal.counters import Counters
from gateway.journal.entry import login_failed
from gateway.journal.failures import FailureBudget
from gateway.journal.group import GroupCommit, Pace
from gateway.journal.looking import one
from gateway.journal.port import JournalConflict, JournalRejected, JournalUnavailable
from gateway.journal.reader import ACCRUED, REFUSED, first_since
from gateway.journal.sqlite import SqliteJournal
from tests.journal_factory import NOON, answered, event_id, opened, refused


@pytest.fixture
def journal(tmp_path):
    with closing(opened(tmp_path)) as journal:
        yield journal


def rows(home, query):
    with closing(schema.connect_reading(home / "journal.db")) as db:
        return db.execute(query).fetchall()


def record(journal, *entries):
    async def all_at_once():
        return await asyncio.gather(*(journal.record(e) for e in entries), return_exceptions=True)

    return asyncio.run(all_at_once())


def test_a_recorded_call_has_its_three_rows(journal, tmp_path):
    assert record(journal, answered(1), refused(2)) == [None, None]
    assert rows(tmp_path, "SELECT request_id, result FROM audit_event ORDER BY seq") == [
        ("r1", "answered"),
        ("r2", "refused"),
    ]
    assert rows(tmp_path, "SELECT request_id, allow FROM decision ORDER BY seq") == [
        ("r1", 1),
        ("r2", 0),
    ]
    assert rows(tmp_path, "SELECT request_id, qty, month FROM usage_event") == [
        ("r1", 500, "2026-11")
    ]


def test_the_very_same_entry_again_is_harmless_and_not_doubled(journal, tmp_path):
    assert record(journal, answered(1), answered(1), answered(2)) == [None] * 3
    assert rows(tmp_path, "SELECT count(*) FROM usage_event") == [(2,)]


def test_other_content_under_a_recorded_request_id_is_a_conflict_and_changes_nothing(
    journal, tmp_path
):
    outcomes = record(journal, answered(1), answered(1, qty=9, billable_qty=9), answered(2))
    assert [type(o) for o in outcomes] == [type(None), JournalConflict, type(None)]
    assert rows(tmp_path, "SELECT qty FROM usage_event") == [(500,), (500,)]


def test_an_entry_that_cannot_be_stored_fails_alone(journal, tmp_path):
    unwritable = replace(refused(2), audit={**refused(2).audit, "shape": {1, 2}})
    outcomes = record(journal, answered(1), unwritable, answered(3))
    assert [type(o) for o in outcomes] == [type(None), JournalRejected, type(None)]
    assert rows(tmp_path, "SELECT seq, request_id FROM audit_event") == [(1, "r1"), (2, "r3")]


@pytest.mark.parametrize("table", schema.LASTING)
def test_no_row_can_be_changed_or_removed(journal, tmp_path, table):
    record(journal, answered(1))
    column = {"journal": "id", "charged_cell": "tenant"}.get(table, "request_id")
    with closing(schema.connect(tmp_path / "journal.db")) as db:
        for statement in (
            f"UPDATE {table} SET {column} = 'x'",
            f"DELETE FROM {table}",
        ):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                db.execute(statement)


def test_replacing_a_row_is_refused_too(journal, tmp_path):
    record(journal, answered(1))
    with (
        closing(schema.connect(tmp_path / "journal.db")) as db,
        pytest.raises(sqlite3.IntegrityError, match="append-only"),
    ):
        db.execute("INSERT OR REPLACE INTO decision (seq, request_id, body) VALUES (1, 'x', '{}')")


def test_every_connection_syncs_at_commit(tmp_path):
    with closing(opened(tmp_path)), closing(schema.connect(tmp_path / "journal.db")) as db:
        assert db.execute("PRAGMA synchronous").fetchone() == (2,)
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_second_process_is_refused_and_told_who_holds_the_journal(journal, tmp_path):
    code = (
        "import sys; from pathlib import Path; from datetime import datetime, UTC;"
        "from gateway.journal.sqlite import SqliteJournal as J; home = Path(sys.argv[1]);"
        "J.open(home / 'journal.db', home / 'keys', datetime.now(UTC))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert "JournalBusy" in run.stderr
    assert f"process {os.getpid()}" in run.stderr


def test_another_programs_database_is_left_alone(tmp_path):
    with closing(sqlite3.connect(tmp_path / "journal.db")) as db:
        db.execute("CREATE TABLE theirs (x)")
        db.commit()
    for _ in range(2):  # the second attempt meets the same answer, not a lock left behind
        with pytest.raises(OperatorError, match="another program"):
            opened(tmp_path)


def test_a_full_disk_refuses_calls_until_a_write_goes_through_again(tmp_path):
    pace = Pace(probe_every=0.01)
    journal = SqliteJournal.open(tmp_path / "journal.db", tmp_path / "keys", NOON, pace)
    with closing(journal):
        record(journal, answered(1))
        pages = journal._spool._db.execute("PRAGMA page_count").fetchone()[0]
        journal._spool._db.execute(f"PRAGMA max_page_count={pages}")
        outcomes = record(journal, *(answered(n) for n in range(2, 200)))
        assert {type(o) for o in outcomes} == {JournalUnavailable}
        wait_until_healthy(journal)  # reopening gives back the room, as clearing a disk would
        assert record(journal, answered(300)) == [None]
    assert rows(tmp_path, "SELECT request_id FROM audit_event") == [("r1",), ("r300",)]


def test_a_locked_file_fails_its_batch_and_the_journal_recovers(tmp_path):
    pace = Pace(probe_every=0.01)
    journal = SqliteJournal.open(tmp_path / "journal.db", tmp_path / "keys", NOON, pace)
    with closing(journal):
        journal._spool._db.execute("PRAGMA busy_timeout=10")
        with closing(sqlite3.connect(tmp_path / "journal.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert [type(o) for o in record(journal, answered(1))] == [JournalUnavailable]
            assert not journal.healthy
            assert [type(o) for o in record(journal, answered(2))] == [JournalUnavailable]
            other.execute("ROLLBACK")
        wait_until_healthy(journal)
        assert record(journal, answered(3)) == [None]
    assert rows(tmp_path, "SELECT request_id FROM audit_event") == [("r3",)]


def wait_until_healthy(journal):
    async def poll():
        async with asyncio.timeout(30):
            while not journal.healthy:
                await asyncio.sleep(0.005)

    asyncio.run(poll())


class Gate:
    """A store that takes a batch and then stands still until it is opened."""

    def __init__(self):
        self.taken, self.opened, self.written = threading.Event(), threading.Event(), []

    def append(self, batch):
        self.taken.set()
        assert self.opened.wait(60)
        self.written += [entry.request_id for entry in batch]
        return [None] * len(batch)


def behind(gate, pace, scene):
    """Play a scene while entry 1 is being written and everything else queues behind it."""

    async def play():
        group = GroupCommit(gate.append, lambda: None, lambda: None, pace)
        first = asyncio.create_task(group.record(answered(1)))
        await asyncio.to_thread(gate.taken.wait, 60)
        await scene(group)
        gate.opened.set()
        await first
        await asyncio.to_thread(group.close)
        await asyncio.sleep(0)  # let the last hand-over arrive

    asyncio.run(play())


def test_a_queue_that_is_full_refuses_instead_of_growing():
    gate, tasks = Gate(), []

    async def scene(group):
        tasks.extend(asyncio.create_task(group.record(answered(n))) for n in (2, 3))
        await asyncio.sleep(0)
        with pytest.raises(JournalUnavailable, match="Too many"):
            await group.record(answered(4))

    behind(gate, Pace(batch=1, capacity=2), scene)
    assert gate.written == ["r1", "r2", "r3"]


def test_an_entry_waiting_too_long_is_refused_and_never_written():
    gate = Gate()

    async def scene(group):
        with pytest.raises(JournalUnavailable, match="does not keep up"):
            await group.record(answered(2))

    behind(gate, Pace(batch=1, patience=0.01), scene)
    assert gate.written == ["r1"]


def test_a_cancelled_call_settles_its_hold_exactly_if_its_entry_was_stored():
    gate, counters = Gate(), Counters()

    async def play():
        group = GroupCommit(gate.append, lambda: None, lambda: None, Pace(batch=1))
        calls = []
        for number in (1, 2):
            with counters.reserve("g-life", f"q{number}", 900, NOON) as hold:
                record = group.record(answered(number), hold.hand_over(500))
                calls.append(asyncio.create_task(record))
                await asyncio.to_thread(gate.taken.wait, 60)
        for call in calls:  # the first is being written, the second only waits
            call.cancel()
        assert await asyncio.wait(calls[1:]) == ({calls[1]}, set()), "what waits goes at once"
        await asyncio.sleep(0)
        assert not calls[0].done(), "what is being written goes when that is known"
        gate.opened.set()
        await asyncio.gather(*calls, return_exceptions=True)
        await asyncio.to_thread(group.close)
        await asyncio.sleep(0)

    asyncio.run(play())
    assert gate.written == ["r1"]
    used = counters.usage("g-life", NOON)
    assert (used.calls_day, used.cells_day, used.distinct_queries_day) == (1, 500, 1)


def test_closing_writes_what_still_waits(tmp_path):
    journal = opened(tmp_path)
    waiting = [journal._group.submit(answered(n)) for n in range(1, 50)]
    journal.close()
    assert [w.result() for w in waiting] == [None] * 49
    assert rows(tmp_path, "SELECT count(*), max(seq) FROM audit_event") == [(49, 49)]


def test_time_does_not_run_backwards_over_a_restart(tmp_path):
    with closing(opened(tmp_path)) as journal:
        journal.record_now(answered(1))
    with closing(opened(tmp_path, NOON - timedelta(days=1))) as journal:
        stamp = journal.stamp(NOON - timedelta(days=1))
        assert stamp.time == NOON + timedelta(milliseconds=1)


def test_first_since_finds_where_a_moment_begins(journal, tmp_path):
    for number in range(1, 30):
        journal.record_now(refused(number))
    with closing(schema.connect_reading(tmp_path / "journal.db")) as db:
        for number in range(31):
            moment = NOON + timedelta(milliseconds=number)
            expected = max(1, number)
            assert first_since(db, moment) == min(expected, 30)


def test_a_tenant_sees_its_own_usage_and_nothing_of_others(journal, tmp_path):
    journal.record_now(answered(1, qty=999, billable_qty=999))
    journal.record_now(answered(2, qty=2, billable_qty=2))
    journal.record_now(answered(3, tenant="t-pharma"))
    journal.record_now(refused(4))
    journal.record_now(refused(5, tenant="t-pharma"))
    (row,) = one(tmp_path / "journal.db").usage("t-life", ("2026-10", "2026-11"))
    assert (row.calls, row.answers, row.refusals, row.cells_delivered) == (3, 2, 1, 1001)
    assert (row.units, row.unit_price, row.amount_fen) == (2, "40.00", 8000)


def test_a_tenants_usage_is_found_by_index_and_not_by_looking_at_every_event(journal, tmp_path):
    with closing(schema.connect_reading(tmp_path / "journal.db")) as db:
        for query, index in ((ACCRUED, "usage_of_tenant"), (REFUSED, "refusals_of_tenant")):
            plan = db.execute(f"EXPLAIN QUERY PLAN {query}", ("t", "a", "b")).fetchall()
            assert f"USING INDEX {index} (tenant=? AND time>? AND time<?)" in plan[0][3]


def test_failed_logins_are_recorded_without_filling_the_disk(journal, tmp_path):
    budget = FailureBudget()
    for number in range(1000):
        now = NOON + timedelta(seconds=number / 10)
        if count := budget.take("token_expired", "192.0.2.7", now):
            ident = event_id(number + 1)
            journal.record_now(login_failed(ident, now, "token_expired", "192.0.2.7", count))
    counts = rows(tmp_path, "SELECT json_extract(body, '$.count') FROM audit_event")
    assert counts == [(1,), (600,)]
