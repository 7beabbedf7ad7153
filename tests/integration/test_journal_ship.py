"""Shipping a spool into a real PostgreSQL: everything once, nothing overwritten."""

import asyncio
import os
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from pathlib import Path

import asyncpg
import orjson
import pytest

from gateway.audit.central import verify_store
from gateway.errors import OperatorError
from gateway.journal.checkpoint import PUBLIC_KEY, public_key
from gateway.journal.janitor import ship_files, status, tidy
from gateway.journal.ship import Source, ship
from tests.journal_factory import NOON, answered, cells, opened, refused

pytestmark = pytest.mark.services


def spooled(home: Path, *entries):
    """A spool that nobody holds, with these events."""
    with closing(opened(home)) as journal:
        for entry in entries:
            journal.record_now(entry)
    return home / "journal.db"


def shipped(store, *paths, batch=None):
    if batch is None:
        return [one.shipped for one in asyncio.run(ship_files(store.dsn, list(paths)))]

    async def with_batch():
        settings = {"search_path": "sluice_journal"}
        db = await asyncpg.connect(store.dsn, server_settings=settings)
        with closing(Source(paths[0])) as source:
            done = await ship(db, source, "main", batch)
        await db.close()
        return [done]

    return asyncio.run(with_batch())


@contextmanager
def forged(path: Path):
    """The file, open to somebody who may write it and switches its triggers off."""
    with closing(sqlite3.connect(path)) as db:
        for (name,) in db.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        ).fetchall():
            db.execute(f"DROP TRIGGER {name}")
        yield db
        db.commit()


def test_everything_in_a_spool_arrives_once_however_often_it_is_shipped(store, tmp_path):
    path = spooled(tmp_path, *(answered(n) for n in range(1, 40)), refused(40))
    (first,), (second,) = shipped(store, path, batch=7), shipped(store, path)
    assert (first.new, first.duplicate, first.quarantined, first.upto) == (39, 0, 0, 40)
    assert (second.new, second.duplicate, second.upto) == (0, 0, 40)
    tables = ("audit_event", "decision", "usage_event", "charged_cell")
    assert [store.count(table) for table in tables] == [40, 40, 39, 39]


def test_what_arrives_is_what_was_recorded(store, tmp_path):
    path = spooled(tmp_path, answered(1, charged=cells(7, 500)))
    shipped(store, path)
    with closing(sqlite3.connect(path)) as db:
        chain = db.execute("SELECT seq, body, prev_hash, hash FROM audit_event").fetchall()
        used = db.execute("SELECT seq, event_id, qty, price_micro, query_hash FROM usage_event")
        charged = db.execute("SELECT place, event_id, cells FROM charged_cell").fetchall()
        assert store.ask("SELECT seq, body, prev_hash, hash FROM audit_event") == chain
        same = "SELECT seq, event_id::text, qty, price_micro, query_hash FROM usage_event"
        assert store.ask(same) == used.fetchall()
        assert store.ask("SELECT place, event_id::text, cells FROM charged_cell") == charged


def test_a_shipper_that_lost_its_checkpoint_ships_again_and_nothing_is_doubled(store, tmp_path):
    path = spooled(tmp_path, *(answered(n) for n in range(1, 10)))
    shipped(store, path)
    store.ask("ALTER TABLE checkpoint DISABLE TRIGGER ALL")
    store.ask("DELETE FROM checkpoint")
    (again,) = shipped(store, path)
    assert (again.new, again.duplicate, again.quarantined) == (0, 9, 0)
    assert store.count("usage_event") == 9


def test_two_shippers_of_one_spool_at_the_same_time_do_no_harm(store, tmp_path):
    path = spooled(tmp_path, *(answered(n) for n in range(1, 60)))

    async def both():
        settings = {"search_path": "sluice_journal"}
        dbs = [await asyncpg.connect(store.dsn, server_settings=settings) for _ in range(2)]
        sources = [Source(path) for _ in dbs]
        pairs = zip(dbs, sources, strict=True)
        done = await asyncio.gather(*(ship(db, source, "main", 5) for db, source in pairs))
        for db, source in zip(dbs, sources, strict=True):
            await db.close()
            source.close()
        return done

    one, two = asyncio.run(both())
    assert one.new + two.new == 59
    assert store.count("usage_event") == store.count("charged_cell") == 59
    assert store.count("quarantine") == 0


def test_an_event_with_other_content_goes_into_quarantine_and_overwrites_nothing(store, tmp_path):
    shipped(store, spooled(tmp_path / "one", answered(1), answered(2)))
    path = spooled(tmp_path / "two", answered(1, qty=9, billable_qty=9), answered(3))
    (done,) = shipped(store, path)
    assert (done.new, done.quarantined, done.upto) == (1, 1, 2)
    assert store.ask("SELECT qty FROM usage_event WHERE request_id = 'r1'") == [(500,)]
    assert store.ask("SELECT count(*) FROM charged_cell WHERE place = 1") == [(1,)]
    ((reason, offered),) = store.ask("SELECT reason, offered FROM quarantine")
    assert reason == "payload_differs"
    assert orjson.loads(offered)["usage"]["qty"] == 9
    assert len(orjson.loads(offered)["charged"]) == 1


def test_a_request_recorded_under_another_event_goes_into_quarantine(store, tmp_path):
    shipped(store, spooled(tmp_path / "one", answered(1)))
    other = answered(2, request_id="r1", decision_id="d2")
    (done,) = shipped(store, spooled(tmp_path / "two", other))
    assert (done.new, done.quarantined) == (0, 1)
    assert store.ask("SELECT reason FROM quarantine") == [("request_recorded",)]


def test_an_event_that_the_store_cannot_hold_is_buried_and_its_neighbours_arrive(store, tmp_path):
    path = spooled(tmp_path, *(answered(n) for n in range(1, 12)))
    with forged(path) as db:
        db.execute("UPDATE usage_event SET service = 'S' || char(0) WHERE seq = 5")
    (done,) = shipped(store, path)
    assert (done.new, done.quarantined, done.upto) == (10, 1, 11)
    assert store.ask("SELECT seq, reason FROM quarantine") == [(5, "refused_by_store")]


def test_a_spool_that_was_rewritten_behind_its_checkpoint_is_not_shipped(store, tmp_path):
    path = spooled(tmp_path, answered(1))
    shipped(store, path)
    with forged(path) as db:
        db.execute("UPDATE audit_event SET hash = zeroblob(32)")
    with pytest.raises(OperatorError, match="cut, rewritten or replaced") as caught:
        shipped(store, path)
    assert caught.value.code == "spool_differs"


def test_the_janitor_ships_and_marks_what_nobody_holds_and_leaves_the_rest(store, tmp_path):
    lost = spooled(tmp_path / "pod-a", answered(1), answered(2))
    (tmp_path / "pod-b").mkdir()
    (tmp_path / "pod-b" / "other.db").write_bytes(b"no database")
    with closing(opened(tmp_path / "pod-c")) as held:
        held.record_now(answered(3))
        found = asyncio.run(tidy(store.dsn, tmp_path))
    assert [(one.path, one.held) for one in found] == [
        (lost, False),
        (tmp_path / "pod-c" / "journal.db", True),
    ]
    assert store.count("usage_event") == 2
    assert store.ask("SELECT count(*) FROM heartbeat WHERE retired") == [(2,)]
    marked = orjson.loads(lost.with_name("journal.db.shipped").read_bytes())
    assert (marked["upto"], marked["new"]) == (2, 2)
    with closing(opened(tmp_path / "pod-a")) as again:  # a pod that comes back goes on
        again.record_now(answered(4))
    asyncio.run(tidy(store.dsn, tmp_path))
    assert store.count("usage_event") == 4


def test_status_tells_what_is_not_shipped(store, tmp_path):
    path = spooled(tmp_path, answered(1), answered(2))
    (before,), _ = asyncio.run(status(store.dsn, [path]))
    shipped(store, path)
    (after,), quarantine = asyncio.run(status(store.dsn, [path]))
    assert (before.unshipped, after.unshipped, after.held) == (2, 0, False)
    assert quarantine == {}


def sluice(home: Path, *words: str, **settings: str):
    """One command, as an operator gives it."""
    told = {f"SLUICE_{name.upper()}": value for name, value in settings.items()}
    return subprocess.run(
        [sys.executable, "-c", "from gateway.cli import main; main()", "journal", *words],
        env={**os.environ, "SLUICE_HOME": str(home), **told},
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_operator_makes_the_store_ships_and_is_warned_of_quarantine(postgres, tmp_path):
    with postgres.database() as owner:
        database = owner.rpartition("/")[2]
        files = {name: tmp_path / name for name in ("owner", "word", "app")}
        files["owner"].write_text(owner + "\n")
        files["word"].write_text("a-word")
        files["app"].write_text(postgres.dsn(database, "sluice_cli", "a-word"))
        try:
            made = sluice(
                tmp_path,
                "init",
                "--owner-dsn-file",
                str(files["owner"]),
                "--role",
                "sluice_cli",
                "--password-file",
                str(files["word"]),
            )
            assert (made.returncode, made.stderr) == (0, "")
            use = {"postgres_dsn_file": str(files["app"])}
            spooled(tmp_path / "one", answered(1))
            assert (
                "1 new, 0 known, 0 in quarantine" in sluice(tmp_path / "one", "ship", **use).stdout
            )
            spooled(tmp_path / "two", answered(1, qty=9, billable_qty=9))
            clash = sluice(tmp_path / "two", "ship", **use)
            assert (clash.returncode, "1 in quarantine" in clash.stdout) == (1, True)
            told = sluice(tmp_path / "two", "status", "--json", **use)
            assert (told.returncode, orjson.loads(told.stdout)["quarantine"]) == (
                1,
                {"payload_differs": 1},
            )
        finally:
            postgres.sql("DROP OWNED BY sluice_cli", database=database)
            postgres.sql("DROP ROLE sluice_cli")


def test_a_store_that_is_away_is_one_sentence_and_no_password(tmp_path):
    spooled(tmp_path, answered(1))
    (tmp_path / "dsn").write_text("postgresql://app:a-secret-word@127.0.0.1:1/none")
    failed = sluice(tmp_path, "ship", postgres_dsn_file=str(tmp_path / "dsn"))
    assert (failed.returncode, failed.stdout) == (1, "")
    assert "[journal_store_down]" in failed.stderr
    assert "a-secret-word" not in failed.stderr


def test_usage_is_exported_as_cloudevents_without_anybodys_name(tmp_path):
    spooled(tmp_path, answered(1), refused(2), answered(3))
    lines = sluice(tmp_path, "export", "--format", "cloudevents").stdout.splitlines()
    events = [orjson.loads(line) for line in lines]
    assert [one["data"]["request_id"] for one in events] == ["r1", "r3"]
    for one in events:
        assert one["specversion"] == "1.0"
        assert one["id"] == one["data"]["event_id"]
        assert one["source"].startswith("urn:sluice:journal:")
        assert (one["type"], one["datacontenttype"]) == ("org.sluice.usage.v1", "application/json")
        assert one["time"] == one["data"]["time"] > NOON.isoformat()[:10]
        assert not {"actor", "ip", "subject_ref", "body"} & one["data"].keys()


def verdicts(store, home):
    """What an auditor finds in the store, by kind of chain: events, and codes of findings."""
    found = verify_store(store.dsn, home, public_key(home / "keys" / PUBLIC_KEY))
    assert all(verdict.checkpoints for _, verdict in found)
    return {chain.kind: (v.events, [f.code for f in v.findings]) for chain, v in found}


def two_chains(store, home):
    """Some events that went straight into the store, and some by way of the spool."""
    spooled(home, *(answered(n, charged=cells(n, 500)) for n in range(1, 6)), refused(6))
    with closing(store.open(home)) as journal:
        for number in range(7, 12):
            journal.record_now(answered(number))


def test_an_auditor_finds_every_chain_in_the_store_whole(store, tmp_path):
    two_chains(store, tmp_path)
    assert verdicts(store, tmp_path) == {"direct": (5, []), "spool": (6, [])}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (
            "UPDATE audit_event SET body = replace(body, 'answered', 'refused') WHERE seq = 2",
            "edited",
        ),
        ("UPDATE usage_event SET qty = 501 WHERE seq = 3", "usage_changed"),
        ("UPDATE charged_cell SET cells = '\\x01' WHERE seq = 3", "charge_changed"),
        ("UPDATE decision SET body = '{}' WHERE seq = 4", "decision_changed"),
        ("DELETE FROM audit_event WHERE seq >= 5", "truncated"),
    ],
)
def test_an_auditor_finds_what_an_owner_changed_in_the_store(store, tmp_path, change, code):
    two_chains(store, tmp_path)
    table = change.split()[1] if change.startswith("UPDATE") else "audit_event"
    store.ask(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
    store.ask(change)
    found = verdicts(store, tmp_path)
    assert code in found["direct"][1]
