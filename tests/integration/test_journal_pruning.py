"""What is no evidence and nobody will ask for again goes; everything else stays."""

import duckdb
import pytest

from gateway.billing.archive_proof import _sums
from gateway.db.event_ids import first_id, uuid7
from gateway.journal.spool import Spool
from metering.calendar import month_begins
from metering.usage import time_text
from tests.journal_factory import NOON, answered

EARLIER = month_begins(NOON).replace(month=10)


def stamped(number, time):
    """An answer whose id carries its time, as the gateway stamps it."""
    tick = int(time.timestamp() * 1000) * 4096 + number
    return answered(number, event_id=uuid7(tick, number), time=time)


def test_doubts_of_a_month_that_is_over_are_dropped_and_those_of_the_running_one_stay(tmp_path):
    spool = Spool(tmp_path / "journal.db", "J", time_text(EARLIER))
    old, first, new = stamped(1, EARLIER), stamped(2, month_begins(NOON)), stamped(3, NOON)
    spool.append([old], [old.event_id])
    spool.fold()
    assert spool.unsure() == [old.event_id]
    spool.append([first, new], [first.event_id, new.event_id])
    spool.fold()
    assert spool.unsure() == [first.event_id, new.event_id]
    spool.close()


def test_no_event_of_a_moment_has_a_smaller_id_than_its_first():
    assert first_id(NOON) <= stamped(1, NOON).event_id < first_id(NOON.replace(hour=5))


@pytest.mark.services
def test_old_heartbeats_go_but_for_the_last_of_each_journal(store):
    store.ask(
        "INSERT INTO heartbeat SELECT j, now() - d * interval '1 day', false"
        " FROM (VALUES ('a', 50), ('a', 41), ('a', 39), ('a', 0), ('gone', 60), ('gone', 50))"
        " v(j, d)"
    )
    store.ask("SELECT forget_heartbeats()", dsn=store.dsn)
    left = "SELECT journal_id, extract(day FROM now() - time)::int FROM heartbeat ORDER BY 1, 2"
    assert store.ask(left) == [("a", 0), ("a", 39), ("gone", 50)]


def sums(*told):
    with duckdb.connect() as db:
        rows = ", ".join(f"(TIMESTAMP '2026-11-22', 'J', {number})" for number in told)
        db.execute(f"CREATE TABLE event AS SELECT * FROM (VALUES {rows}) v(time, journal, number)")
        return _sums(db, "event")


def test_events_that_came_twice_do_not_cancel_each_other_out_in_the_archives_proof():
    assert sums(1, 1) != sums(2, 2)
    assert sums(1, 2, 3) == sums(3, 1, 2)
    assert sums(1, 2) != sums(1, 3)
