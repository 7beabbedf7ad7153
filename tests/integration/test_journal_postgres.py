"""The journal before a real PostgreSQL: group commit into it, the spool while it is away, and no
event twice."""

import asyncio
import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from gateway.errors import OperatorError
from gateway.journal.entry import login_failed
from gateway.journal.group import Pace
from gateway.journal.idempotency import key_name, keyed
from gateway.journal.port import JournalConflict, JournalRejected, JournalUnavailable
from gateway.journal.postgres_schema import APPEND_ONLY, init
from gateway.journal.seal import genesis, link
from gateway.journal.sqlite import CentralStore, SqliteJournal
from tests.journal_factory import NOON, answered, cells, event_id, opened, refused
from tests.journal_store import WORD, record_all, store_on
from tests.journal_wire import wire_to
from tests.postgres_server import postgres_server

pytestmark = pytest.mark.services
QUICK = Pace(probe_every=0.01)


@pytest.fixture
def journal(store, tmp_path):
    with closing(store.open(tmp_path, pace=QUICK)) as journal:
        yield journal


def wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def test_a_recorded_call_has_its_rows_in_postgresql_and_none_in_the_spool(journal, store):
    login = login_failed(event_id(3), NOON, "token_expired", "192.0.2.7")
    assert record_all(journal, [answered(1), refused(2), login]) == [None] * 3
    asked = "SELECT request_id, result FROM audit_event ORDER BY seq"
    assert store.ask(asked)[:2] == [("r1", "answered"), ("r2", "refused")]
    assert store.ask("SELECT request_id, allow FROM decision ORDER BY seq") == [
        ("r1", True),
        ("r2", False),
    ]
    assert store.ask("SELECT request_id, qty, billable_qty FROM usage_event") == [("r1", 500, 500)]
    assert store.ask("SELECT place, event_id::text FROM charged_cell") == [(1, event_id(1))]
    assert journal._spool.head.seq == 0


def test_the_direct_chain_is_whole_over_restarts(store, tmp_path):
    for start in (1, 4):
        with closing(store.open(tmp_path)) as journal:
            for number in range(start, start + 3):
                journal.record_now(answered(number))
    ((name, created),) = store.ask("SELECT journal_id, created FROM journal WHERE kind = 'direct'")
    prev = genesis(name, created)
    rows = store.ask("SELECT seq, prev_hash, hash, body FROM audit_event ORDER BY seq")
    assert [row[0] for row in rows] == [1, 2, 3, 4, 5, 6]
    for _, before, digest, body in rows:
        assert before == prev
        prev = link(prev, body.encode())
        assert digest == prev


def test_the_very_same_entry_again_is_harmless_and_other_content_is_a_conflict(journal, store):
    outcomes = [
        record_all(journal, [one])[0]
        for one in (answered(1), answered(1), answered(1, qty=9, billable_qty=9))
    ]
    assert [type(one) for one in outcomes] == [type(None), type(None), JournalConflict]
    assert store.ask("SELECT qty FROM usage_event") == [(500,)]


def test_an_entry_that_cannot_be_stored_fails_alone(journal, store):
    wrong = answered(2, service="S02\0")
    outcomes = record_all(journal, [answered(1), wrong, answered(3)])
    assert [type(one) for one in outcomes] == [type(None), JournalRejected, type(None)]
    assert store.ask("SELECT seq, request_id FROM audit_event ORDER BY 1") == [(1, "r1"), (2, "r3")]


def test_what_rests_on_an_answer_that_failed_fails_too(journal, store):
    first = answered(1, service="S02\0")
    free = answered(
        2, charged={}, billable_qty=0, repeat_of=event_id(1), rests_on=((1, event_id(1)),)
    )
    outcomes = record_all(journal, [first, free])
    assert [type(one) for one in outcomes] == [JournalRejected, JournalUnavailable]
    assert store.count("usage_event") == 0


@pytest.mark.parametrize("table", [*APPEND_ONLY, "idempotency"])
def test_the_gateways_role_can_change_and_remove_nothing(journal, store, table):
    column = {"checkpoint": "hash", "quarantine": "reason", "idempotency": "release"}.get(
        table, "journal_id"
    )
    statements = [f"UPDATE {table} SET {column} = {column}", f"TRUNCATE {table}"]
    statements += [] if table == "idempotency" else [f"DELETE FROM {table}"]
    for statement in statements:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            store.ask(statement, dsn=store.dsn)
        with pytest.raises(asyncpg.RestrictViolationError, match="append-only"):
            store.ask(statement)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        store.ask(f"DROP TABLE {table}", dsn=store.dsn)


def test_the_owners_dsn_is_refused_at_the_start(store, tmp_path):
    with pytest.raises(OperatorError, match="sluice journal init") as caught:
        SqliteJournal.open(
            tmp_path / "journal.db",
            tmp_path / "keys",
            NOON,
            store=CentralStore(store.owner, "main"),
        )
    assert caught.value.code == "journal_role"


def test_making_the_schema_again_changes_nothing(journal, store):
    journal.record_now(answered(1))
    asyncio.run(init(store.owner, store.role))
    journal.record_now(answered(2))
    assert store.count("usage_event") == 2


def test_two_nodes_write_one_store_in_chains_of_their_own(store, tmp_path):
    with closing(store.open(tmp_path)) as one, closing(store.open(tmp_path, "two")) as two:
        one.record_now(answered(1))
        two.record_now(answered(2))
        record_all(two, [answered(3)])
    rows = store.ask(
        "SELECT seq, node FROM audit_event JOIN journal USING (journal_id) ORDER BY time"
    )
    assert rows == [(1, "main"), (1, "two"), (2, "two")]


def test_a_cell_that_another_node_charged_is_known(store, tmp_path):
    with closing(store.open(tmp_path)) as one, closing(store.open(tmp_path, "two")) as two:
        one.record_now(answered(1, charged=cells(5, 500)))
        asyncio.run(two.foresee("t-life", "S02-r1", cells(5, 500), NOON))
        with two.counters.reserve("g-life", "q9", 500, NOON) as hold:
            claim = hold.charge("t-life", "S02-r1", cells(5, 500), event_id(9))
    assert (claim.count, claim.repeat_of) == (0, event_id(1))


def test_counters_stand_where_the_last_process_left_them(store, tmp_path):
    used = []
    for start in (1, 4):
        with closing(store.open(tmp_path)) as journal:
            before = journal.usage_counters("g-life", NOON)
            for number in range(start, start + 3):
                journal.record_now(answered(number))
            used.append((before.calls_day, before.cells_month))
    assert used == [(0, 0), (3, 1500)]


def test_counters_are_whole_after_a_process_that_did_not_stop_in_order(store, tmp_path):
    journal = store.open(tmp_path)
    for number in range(1, 4):
        journal.record_now(answered(number))
    kill(journal)
    with closing(store.open(tmp_path)) as again:
        assert again.usage_counters("g-life", NOON).cells_day == 1500


def kill(journal):
    """Let go of everything as a kill would: no sums, no goodbye."""
    journal._group.close()
    journal._central.close()
    journal._stores.direct.store.close()
    journal._looking.close()
    journal._spool.close()


def test_while_postgresql_is_away_the_spool_takes_over_and_is_shipped_afterwards(tmp_path):
    with postgres_server() as server, store_on(server) as store:
        with closing(store.open(tmp_path, pace=QUICK)) as journal:
            journal.record_now(answered(1))
            server.stop("immediate")
            assert record_all(journal, [answered(n) for n in range(2, 30)]) == [None] * 28
            assert journal.healthy
            assert journal._spool.head.seq == 28
            server.start()
            wait_for(lambda: journal._central.up)
            wait_for(lambda: store.count("usage_event") == 29)
            journal.record_now(answered(30))
            assert journal._spool.head.seq == 28
        assert store.count("usage_event") == 30
        assert store.ask("SELECT count(*) FROM heartbeat WHERE retired") == [(2,)]


def test_a_commit_whose_answer_was_lost_is_counted_once(tmp_path, store):
    with (
        wire_to(store.server.port) as wire,
        closing(over(wire, store).open(tmp_path, pace=QUICK)) as journal,
    ):
        journal.record_now(answered(1))
        wait_for(lambda: store.count("note") == 1)  # what is cut is the commit, not the tree
        wire.cut()
        assert record_all(journal, [answered(2), answered(3)]) == [None, None]
        wire.mend()
        wait_for(lambda: journal._central.up)
        journal.record_now(answered(4))
        wait_for(lambda: store.ask("SELECT max(seq) FROM checkpoint")[0][0] == 2)
    asked = "SELECT request_id, count(*) FROM audit_event GROUP BY 1 ORDER BY 1"
    assert store.ask(asked) == [("r1", 1), ("r2", 2), ("r3", 2), ("r4", 1)]
    assert store.ask("SELECT request_id FROM usage_event ORDER BY 1") == [
        ("r1",),
        ("r2",),
        ("r3",),
        ("r4",),
    ]
    assert store.count("quarantine") == 0
    with closing(store.open(tmp_path)) as again:
        assert again.usage_counters("g-life", NOON).cells_day == 2000


def over(wire, store):
    """The same store, by way of a wire."""
    return replace(store, dsn=store.dsn.replace(f":{store.server.port}", f":{wire.port}"))


def test_a_node_that_stopped_in_order_starts_while_postgresql_is_away(store, tmp_path):
    with wire_to(store.server.port) as wire:
        store = over(wire, store)
        with closing(store.open(tmp_path)) as journal:
            journal.record_now(answered(1))
        wire.cut()
        for number in (2, 3):  # also a second time, after a whole life without it
            with closing(store.open(tmp_path)) as journal:
                used = journal.usage_counters("g-life", NOON)
                assert used.calls_day == number - 1
                journal.record_now(answered(number))
        wire.mend()
        with closing(store.open(tmp_path)) as journal:
            wait_for(lambda: store.count("usage_event") == 3)


def test_a_store_restored_from_an_older_copy_is_noticed(store, tmp_path):
    with closing(store.open(tmp_path)) as journal:
        journal.record_now(answered(1))
    with store_on(store.server) as older, pytest.raises(OperatorError, match="as its checkpoint"):
        older.open(tmp_path)


def test_keys_are_known_to_every_node_and_counted_once(store, tmp_path):
    now = datetime.now(UTC)
    name, entry = keyed_entry(1, now)
    with closing(store.open(tmp_path)) as one, closing(store.open(tmp_path, "two")) as two:
        assert record_all(one, [entry]) == [None]
        found = asyncio.run(two.remembered(name))
        assert (found.event_id, found.request) == (event_id(1), b"request")
        (outcome,) = record_all(two, [keyed_entry(2, now)[1]])
        assert outcome.code == "idempotency_in_flight"
    assert store.count("usage_event") == 1


def test_an_expired_key_is_taken_by_the_next_call_and_no_other_is(store, tmp_path):
    long_ago = datetime.now(UTC) - timedelta(days=4)
    with closing(store.open(tmp_path)) as journal:
        assert record_all(journal, [keyed_entry(1, long_ago)[1]]) == [None]
        assert record_all(journal, [keyed_entry(2, datetime.now(UTC))[1]]) == [None]
    assert store.ask("SELECT event_id::text FROM idempotency") == [(event_id(2),)]
    with pytest.raises(asyncpg.RestrictViolationError, match="not expired"):
        store.ask("DELETE FROM idempotency", dsn=store.dsn)


def keyed_entry(number, now):
    """An answer under one and the same key."""
    name = key_name("t-life", "c-1", "a-key-of-the-client")
    return name, replace(answered(number), keyed=keyed(name, b"request", b"answer", now))


@pytest.mark.slow
def test_a_server_that_does_not_sync_is_refused(tmp_path):
    with (
        postgres_server(fsync="off") as server,
        store_on(server) as store,
        pytest.raises(OperatorError, match="fsync off"),
    ):
        store.open(tmp_path)


def test_without_a_schema_the_start_says_what_to_run(postgres, tmp_path):
    with postgres.database() as dsn, pytest.raises(OperatorError, match="sluice journal init"):
        SqliteJournal.open(
            tmp_path / "journal.db", tmp_path / "keys", NOON, store=CentralStore(dsn, "main")
        )


def test_no_error_shows_the_dsn(tmp_path):
    dsn = f"postgresql://sluice_app:{WORD}@127.0.0.1:1/none"
    with pytest.raises(OperatorError) as caught:
        asyncio.run(init(dsn, "sluice_app"))
    assert WORD not in str(caught.value)
    assert opened(tmp_path).close() is None
