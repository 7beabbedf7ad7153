"""Kills and power cuts while a server fills its spool, a shipper empties it into PostgreSQL, and
PostgreSQL itself crashes in between: every acknowledged answer is counted there exactly once.

Five builds with a planted mistake show that this test would notice one.
"""

import pytest

from gateway.audit.reconcile import reconcile
from gateway.audit.verify import verify
from gateway.journal.checkpoint import PUBLIC_KEY, public_key
from gateway.journal.schema import connect_reading
from tests import central_store, power
from tests.crash_harness import Target, crash, free_port, post
from tests.nursery import nursery
from tests.postgres_server import postgres_server

pytestmark = pytest.mark.services
WINDOW = 0.25


@pytest.fixture(scope="module")
def launch():
    with nursery("tests.journal_server", "tests.journal_shipper") as running:
        yield running.start


@pytest.fixture(scope="module")
def server():
    with postgres_server() as server:
        yield server


@pytest.fixture
def store(server):
    if not server.running:
        server.start()
    with server.database() as dsn:
        yield central_store.prepared(server, dsn.rsplit("/", 1)[1])
        if not server.running:
            server.start()


class Pair:
    """A server on a spool and a shipper beside it, which die apart or, with the power, together."""

    def __init__(self, launch, home, store, *, cut_power=False, server="none", shipper="none"):
        self.home, self.store, self.launch, self.port = home, store, launch, free_port()
        self.spool, self.trace, self.cut_power = home / "journal.db", home / "trace", cut_power
        trace = ["--trace", str(self.trace)] if cut_power else []
        self.server = ["tests.journal_server", str(home), str(self.port)]
        self.server += ["--sabotage", server, *trace]
        self.shipper = ["tests.journal_shipper", str(self.spool), store.dsn, "--sabotage", shipper]

    def after_kill(self, chance):
        if self.trace.exists():
            power.cut(self.home, self.trace, chance)

    def target(self, calm=False):
        trouble = {} if calm else {"trouble": lambda c: self.store.trouble(c, WINDOW)}
        return Target(
            self.server,
            self.port,
            post,
            lambda: central_store.recorded(self.spool, self.store),
            self.home / "log",
            self.after_kill,
            window=WINDOW,
            beside=[self.shipper],
            apart=not self.cut_power,
            settled=lambda: self.store.settled(self.spool),
            launch=self.launch,
            **trouble,
        )


def assert_kept(pair, kills, seed):
    report = crash(pair.target(), kills, seed)
    assert report.kept_its_word, (seed, report.lost, report.doubled, report.broken)
    assert report.kills == kills
    assert report.killed_beside > 0
    assert len(report.acknowledged) > kills
    stored = pair.store.events()
    assert report.acknowledged <= {request for request, _ in stored}
    assert sorted(stored) == sorted(in_spool(pair.spool))
    assert not pair.store.sql("SELECT * FROM quarantine")
    assert not pair.store.broken_chains()
    assert not verify(pair.spool, public_key(pair.home / "keys" / PUBLIC_KEY)).findings
    assert not reconcile(pair.spool).differences


def in_spool(path):
    db = connect_reading(path)
    try:
        return db.execute("SELECT request_id, event_id FROM usage_event").fetchall()
    finally:
        db.close()


@pytest.mark.parametrize("cut_power", [False, True], ids=["kill", "power"])
def test_six_kills_of_server_and_shipper_lose_and_double_nothing(
    launch, tmp_path, store, cut_power
):
    assert_kept(Pair(launch, tmp_path, store, cut_power=cut_power), kills=6, seed=31)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("cut_power", [False, True], ids=["kill", "power"])
def test_two_hundred_kills_of_server_and_shipper_lose_and_double_nothing(
    launch, tmp_path, store, cut_power
):
    assert_kept(Pair(launch, tmp_path, store, cut_power=cut_power), kills=200, seed=32)


MISTAKES = {
    "ack before write": {"server": "ack-before-commit"},
    "spool dropped before commit": {"shipper": "dropped-before-commit"},
    "checkpoint before batch": {"shipper": "checkpoint-before-batch"},
    "no unique key": {"shipper": "checkpoint-after-batch"},
    "no fsync": {"server": "no-fsync", "cut_power": True},
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_planted_mistake_is_caught_within_thirty_kills(launch, tmp_path, store, mistake):
    if mistake == "no unique key":
        forget_keys(store)
    pair = Pair(launch, tmp_path, store, **MISTAKES[mistake])
    report = crash(pair.target(calm=True), kills=30, seed=33, stop_when_caught=True)
    assert seen(report), report


def seen(report):
    """Lost, doubled, or noticed by the build itself: its end is not as it was signed or shipped."""
    noticed = "as its checkpoint signed it" in report.broken or "as it was shipped" in report.broken
    return report.lost or report.doubled or noticed


def test_with_the_unique_keys_a_batch_shipped_twice_is_counted_once(launch, tmp_path, store):
    pair = Pair(launch, tmp_path, store, shipper="checkpoint-after-batch")
    assert crash(pair.target(calm=True), kills=10, seed=33).kept_its_word


def forget_keys(store):
    """A schema without its unique keys."""
    keys = store.sql(
        "SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname)"
        " FROM pg_constraint WHERE contype IN ('p', 'u') AND conrelid IN"
        " ('audit_event'::regclass, 'decision'::regclass, 'usage_event'::regclass,"
        " 'charged_cell'::regclass)"
    )
    for (statement,) in keys:
        store.sql(statement)
