"""A batch is one statement, every row in its table; half of many callers are one batch."""

import asyncio
import threading
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import orjson
import pytest

from gateway.audit.verify import verify
from gateway.journal import checkpoint, schema
from gateway.journal.entry import Keyed, canonical, login_failed
from gateway.journal.group import GroupCommit, Pace
from gateway.journal.port import JournalConflict, JournalUnavailable
from gateway.journal.seal import genesis, prepare, seal_all
from gateway.journal.spool import Spool
from metering.usage import time_text
from tests.journal_factory import NOON, answered, event_id, opened, refused

KEYED = 'SELECT "key", seq FROM idempotency ORDER BY seq'
CHARGED = "SELECT tenant, release, place, seq, event_id, time, cells FROM charged_cell ORDER BY seq"
USAGE = (
    "SELECT seq, event_id, request_id, decision_id, grant_id, tenant, service, version, release,"
    " unit, qty, billable_qty, repeat_of, price_ref, price_micro, providers_ref, purpose,"
    " query_hash, page, time FROM usage_event ORDER BY seq"
)


def every_kind(count):
    """Calls charged for one place, for several and for none, refusals and failed logins."""
    for number in range(1, count + 1):
        if number % 5 == 0:
            yield refused(number)
        elif number % 7 == 0:
            yield login_failed(event_id(number), NOON + timedelta(milliseconds=number), "x", "::1")
        elif number % 11 == 0:
            yield answered(number, {}, billable_qty=0, repeat_of=event_id(number - 1))
        elif number % 3 == 0:
            yield answered(number, {9: 1, 8: 1 << 300, number + 9: (1 << 498) - 1})
        else:
            yield answered(number)


@pytest.mark.parametrize("count", [1, 16, 17, 60, 300])
def test_every_row_of_a_batch_is_in_its_table_as_it_was_sealed(tmp_path, count):
    entries = list(every_kind(count))
    with closing(Spool(tmp_path / "journal.db", "j", time_text(NOON))) as spool:
        assert spool.append(entries) == [None] * count
    sealed = seal_all(entries, 0, genesis("j", time_text(NOON)))
    with closing(schema.connect_reading(tmp_path / "journal.db")) as db:
        audit = db.execute("SELECT seq, request_id, body, prev_hash, hash FROM audit_event")
        assert audit.fetchall() == [one.audit for one in sealed]
        decisions = db.execute("SELECT seq, request_id, body FROM decision").fetchall()
        assert decisions == [one.decision for one in sealed if one.decision]
        assert db.execute(USAGE).fetchall() == [one.usage for one in sealed if one.usage]
        charged = sorted(row for one in sealed for row in one.charged)
        assert sorted(db.execute(CHARGED).fetchall()) == charged
        assert not db.execute("SELECT 1 FROM sqlite_master WHERE name LIKE 'record%'").fetchall()


def test_a_batch_with_keys_is_one_transaction_and_one_bad_entry_costs_no_other(tmp_path):
    keyed = Keyed("c", b"k" * 32, b"r" * 32, b"a" * 32, NOON + timedelta(days=3))
    with closing(opened(tmp_path)) as journal:
        journal.record_now(answered(1))
        batch = [replace(answered(2), keyed=keyed), answered(1, qty=501), answered(3)]
        spool = journal._spool
        outcomes = spool.append(batch)
        assert [type(one) for one in outcomes] == [type(None), JournalConflict, type(None)]
        assert not spool._db.in_transaction
    with closing(schema.connect_reading(tmp_path / "journal.db")) as db:
        assert db.execute(KEYED).fetchall() == [(b"k" * 32, 2)]
        assert db.execute("SELECT request_id FROM usage_event").fetchall() == [
            ("r1",),
            ("r2",),
            ("r3",),
        ]
    key = checkpoint.public_key(tmp_path / "keys" / checkpoint.PUBLIC_KEY)
    assert verify(tmp_path / "journal.db", key).findings == ()


def test_prepared_or_not_the_text_that_is_sealed_is_the_canonical_one():
    odd = {"sequence": '","seq":1', "Seq": "é", "zz": {"seq": 3}, "se": [{"seq": 9}]}
    entry = replace(refused(1), audit={**refused(1).audit, **odd})
    (plain,) = seal_all([entry], 41, b"p" * 32)
    prepare(entry)
    (prepared,) = seal_all([entry], 41, b"p" * 32)
    assert prepared == plain
    said = orjson.loads(plain.audit[2])
    assert (said["seq"], said["zz"], canonical(said).decode()) == (42, {"seq": 3}, plain.audit[2])


class Doors:
    """A store that lets one batch through at a time, and knows how large each was."""

    def __init__(self):
        self.sizes, self.door = [], threading.Semaphore(0)

    def append(self, batch):
        self.sizes.append(len(batch))
        assert self.door.acquire(timeout=60)
        return [None] * len(batch)


def played(callers, rounds, pace):
    """Sizes of the batches when so many callers ask again as soon as they are answered."""
    doors = Doors()

    async def play():
        group = GroupCommit(doors.append, lambda: None, lambda: None, pace)

        async def caller(first):
            for number in range(rounds):
                await group.record(answered(first * rounds + number + 1))

        asking = asyncio.gather(*map(caller, range(callers)))
        while not asking.done():
            doors.door.release()
            await asyncio.sleep(0.005)
        await asyncio.to_thread(group.close)

    asyncio.run(play())
    return doors.sizes


def test_of_many_callers_half_are_written_while_the_others_prepare():
    sizes = played(100, 3, Pace(linger=0.0))
    assert sum(sizes) == 300
    assert max(sizes) <= 50


def test_a_handful_of_callers_is_one_batch():
    assert played(16, 2, Pace(linger=0.0)) == [16, 16]


def test_one_timer_refuses_everybody_who_waits_too_long():
    doors = Doors()

    async def play():
        group = GroupCommit(doors.append, lambda: None, lambda: None, Pace(patience=0.03))
        first = asyncio.create_task(group.record(answered(1)))
        while not doors.sizes:
            await asyncio.sleep(0.001)
        for number in (2, 3):  # the second comes while the timer runs for the first
            late = asyncio.create_task(group.record(answered(number)))
            await asyncio.sleep(0.02)
            with pytest.raises(JournalUnavailable, match="does not keep up"):
                await late
        doors.door.release()
        await first
        await asyncio.to_thread(group.close)

    asyncio.run(play())
    assert doors.sizes == [1]
