"""The thread beside the journal: what goes wrong there neither ends it nor holds up a call."""

import asyncio
import logging
import threading
import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import asyncpg
import orjson
import pytest

from gateway.cli.audit import export as audit_export
from gateway.cli.journal import Format
from gateway.cli.journal import export as journal_export
from gateway.errors import OperatorError
from gateway.journal.idempotency import key_name, keyed
from gateway.journal.looking import CentralStore
from gateway.journal.port import JournalUnavailable
from gateway.journal.schema import connect_reading
from metering.calendar import month_begins
from tests.journal_factory import NOON, answered, cells, event_id
from tests.journal_store import record_all

pytestmark = pytest.mark.services
ASKED = ("t-life", "S02-r1", cells(5, 500))


def wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def look_up(journal, name):
    """What a key was answered with; a look-up that never ends is an error."""
    found = asyncio.run(asyncio.wait_for(journal.remembered(name), 30))
    return None if found is None else found.event_id


def under_a_key(number, now):
    name = key_name("t-life", "c-1", f"key-number-{number}")
    return name, replace(answered(number), keyed=keyed(name, b"request", b"answer", now))


def test_a_spool_that_cannot_be_read_ends_neither_the_thread_nor_a_look_up(
    store,
    tmp_path,
    caplog,
):
    caplog.set_level(logging.ERROR)
    name, entry = under_a_key(1, datetime.now(UTC))
    with closing(store.open(tmp_path / "other", "other")) as other:
        assert record_all(other, [entry]) == [None]
    with closing(store.open(tmp_path)) as journal:
        source = journal._central._source
        source._db.close()  # every read from here on is an error of SQLite's
        wait_for(lambda: "the spool is not shipped: ProgrammingError" in caplog.text)
        wait_for(lambda: look_up(journal, name) == event_id(1))
        assert "journal-central" in {one.name for one in threading.enumerate()}
        source._db = connect_reading(source.path, shared=True)
        beats = f"SELECT count(*) FROM heartbeat WHERE journal_id = '{source.journal_id}'"
        wait_for(lambda: store.ask(beats) != [(0,)])


def test_a_look_up_that_hangs_holds_up_nobody_else_and_its_call_goes_on(store, tmp_path):
    with closing(store.open(tmp_path, "two")) as two, closing(store.open(tmp_path)) as one:
        one.record_now(answered(1, charged=ASKED[2]))
        order = []

        async def asking():
            await two.foresee(*ASKED, NOON)
            order.append("the call went on")

        async def others():
            for _ in range(200):
                await asyncio.sleep(0)
            order.append("others went on")

        async def play():
            server = await asyncpg.connect(store.owner)
            async with server.transaction():
                await server.execute("LOCK TABLE sluice_journal.charged_cell")
                await asyncio.gather(asking(), others())
                charged = claimed(two)
            await server.close()
            return charged

        assert asyncio.run(play()) == 500  # nothing known: rating gives it back
        assert order == ["others went on", "the call went on"]
        wait_for(lambda: asyncio.run(two.foresee(*ASKED, NOON)) or claimed(two) == 0)


def claimed(journal):
    """What a call would be charged for now."""
    with journal.counters.reserve("g-life", "q9", 500, NOON) as hold:
        return hold.charge(*ASKED, event_id(9)).count


def test_a_node_learns_that_another_was_alive_in_the_same_store(store, tmp_path):
    store.open(tmp_path / "one", "one", clock=lambda: NOON).close()
    with closing(store.open(tmp_path / "two", "two", clock=lambda: NOON)) as two:
        assert two.another_since(month_begins(NOON)) == "one"
        assert two.another_since(month_begins(NOON + timedelta(days=40))) is None
    later = NOON + timedelta(days=40)
    store.open(tmp_path / "one", "one", now=later, clock=lambda: later).close()
    with closing(store.open(tmp_path / "two", "two", now=later, clock=lambda: later)) as two:
        assert two.another_since(month_begins(later)) == "one"


def test_expired_keys_are_swept_out_and_others_stay(store, tmp_path):
    now = datetime.now(UTC)
    old = [under_a_key(number, now - timedelta(days=4))[1] for number in (1, 2)]
    with closing(store.open(tmp_path)) as journal:
        assert record_all(journal, [*old, under_a_key(3, now)[1]]) == [None] * 3
    # The last beat of a stop came after them.
    assert store.ask("SELECT event_id::text FROM idempotency") == [(event_id(3),)]


def test_no_more_than_a_few_look_things_up_at_once(store, monkeypatch):
    monkeypatch.setattr("gateway.journal.looking.TURN", 0.01)
    central = CentralStore(store.dsn)
    for _ in range(4):
        central.turns.acquire()
    with pytest.raises(JournalUnavailable) as busy:
        central.count_decisions()
    assert busy.value.code == "journal_busy"
    central.turns.release()
    assert [central.count_decisions() for _ in range(3)] == [0, 0, 0]


@pytest.fixture
def served(store, tmp_path, monkeypatch):
    """A home whose two nodes recorded into PostgreSQL."""
    for number, node in ((1, "main"), (2, "two")):
        with closing(store.open(tmp_path, node)) as journal:
            journal.record_now(answered(number))
    (tmp_path / "dsn").write_text(store.dsn)
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    monkeypatch.setenv("SLUICE_POSTGRES_DSN_FILE", str(tmp_path / "dsn"))
    return tmp_path


def lines(path):
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def test_exports_have_what_lies_in_postgresql(served):
    out = served / "out"
    audit_export(out=out, central=True)
    told = [line for line in lines(out) if "event" in line]
    assert sorted(line["usage"]["event_id"] for line in told) == [event_id(1), event_id(2)]
    assert len(lines(out)) - len(told) == 4  # a line that names it for each spool and chain
    journal_export(None, Format.CLOUDEVENTS, out, 0, central=True)
    assert sorted(line["id"] for line in lines(out)) == [event_id(1), event_id(2)]


def test_an_export_that_would_leave_out_most_is_refused(served):
    for export in (audit_export, journal_export):
        with pytest.raises(OperatorError, match="say --central") as refused:
            export(out=served / "out")
        assert refused.value.code == "which_journal"
    audit_export(journal=served / "journal.db", out=served / "out")
    assert len(lines(served / "out")) == 1  # nothing but its name: all went past the spool
