"""Kills and power cuts of a server that commits straight into PostgreSQL, while PostgreSQL crashes
too and the spool takes over: every acknowledged answer is counted there exactly once.
"""

import time

import pytest

from gateway.audit.verify import verify
from gateway.journal.checkpoint import PUBLIC_KEY, public_key
from tests import central_store, power
from tests.crash_harness import Target, crash, free_port, post
from tests.nursery import nursery
from tests.postgres_server import postgres_server

pytestmark = pytest.mark.services
WINDOW = 1.2


@pytest.fixture(scope="module")
def launch():
    with nursery("tests.journal_server", "tests.journal_shipper") as running:
        yield running.start


@pytest.fixture
def store():
    with postgres_server() as server, server.database() as dsn:
        yield central_store.prepared(server, dsn.rsplit("/", 1)[1])
        if not server.running:
            server.start()


class Server:
    """A server with its spool; with a second shipper beside, as somebody might start one."""

    def __init__(self, launch, home, store, *, cut_power):
        self.home, self.store, self.launch, self.port = home, store, launch, free_port()
        self.spool, self.trace, self.log = home / "journal.db", home / "trace", home / "log"
        self.command = ["tests.journal_server", str(home), str(self.port), "--dsn", store.dsn]
        self.command += ["--trace", str(self.trace)] if cut_power else []
        self.beside = [] if cut_power else [["tests.journal_shipper", str(self.spool), store.dsn]]
        self.started_without = 0

    def cut(self, chance):
        if self.trace.exists():
            power.cut(self.home, self.trace, chance)

    def after_kill(self, chance):
        self.cut(chance)
        if chance.random() < 0.1:
            self.start_without_store(chance)

    def start_without_store(self, chance):
        """What it has served is not known then: it refuses by a sentence, and hurts nothing."""
        self.store.server.stop("immediate")
        child, ends = self.launch(self.command, self.log), time.monotonic() + 5
        while child.poll() is None and time.monotonic() < ends:
            time.sleep(0.01)
        child.kill()
        child.wait()
        assert "Traceback" not in self.log.read_text()
        self.started_without += 1
        self.store.up()
        self.cut(chance)

    def target(self):
        return Target(
            self.command,
            self.port,
            post,
            lambda: central_store.recorded(self.spool, self.store),
            self.log,
            self.after_kill,
            window=WINDOW,
            beside=self.beside,
            apart=bool(self.beside),
            trouble=lambda chance: self.store.trouble(chance, WINDOW / 2, long=False),
            settled=lambda: self.store.settled(self.spool),
            launch=self.launch,
        )


def assert_kept(server, kills, seed):
    store, report = server.store, crash(server.target(), kills, seed)
    assert report.kept_its_word, (seed, report.lost, report.doubled, report.broken)
    assert report.kills == kills
    assert len(report.acknowledged) > kills
    assert report.acknowledged <= {request for request, _ in store.events()}
    assert not store.broken_chains()
    assert not store.sql("SELECT * FROM quarantine WHERE reason <> 'request_recorded'")
    assert not verify(server.spool, public_key(server.home / "keys" / PUBLIC_KEY)).findings


def ways_taken(store):
    """Whether events went straight into the store, by the spool, or both."""
    kinds = store.sql("SELECT DISTINCT j.kind FROM journal j JOIN audit_event USING (journal_id)")
    return {kind for (kind,) in kinds}


@pytest.mark.parametrize("cut_power", [False, True], ids=["kill", "power"])
def test_four_kills_of_server_and_postgres_lose_and_double_nothing(
    launch, tmp_path, store, cut_power
):
    assert_kept(Server(launch, tmp_path, store, cut_power=cut_power), kills=4, seed=41)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("cut_power", [False, True], ids=["kill", "power"])
def test_a_hundred_kills_of_server_and_postgres_lose_and_double_nothing(
    launch, tmp_path, store, cut_power
):
    server = Server(launch, tmp_path, store, cut_power=cut_power)
    assert_kept(server, kills=100, seed=42)
    assert server.started_without > 0
    assert ways_taken(store) == {"direct", "spool"}
