"""The disk gets full under load, and the server is killed: nothing acknowledged is lost or doubled,
calls are refused while there is no room, and once there is room it serves again by itself.
"""

import http.client
import time
from collections import Counter
from contextlib import closing, suppress

import pytest

from gateway.audit.reconcile import reconcile
from gateway.audit.verify import verify
from gateway.journal.checkpoint import PUBLIC_KEY, public_key
from gateway.journal.schema import connect_reading
from tests import power
from tests.crash_harness import PATIENCE, Target, crash, free_port
from tests.nursery import nursery
from tests.small_disk import small_disk

WINDOW = 0.4


@pytest.fixture(scope="module")
def launch():
    with nursery("tests.journal_server") as running:
        yield running.start


@pytest.fixture
def disk(tmp_path):
    with small_disk(tmp_path / "disk") as disk:
        yield disk


class Server:
    """The journal's server on a small disk; its log and its trace lie elsewhere."""

    def __init__(self, launch, disk, cut_power):
        self.disk, self.home, self.refused, self.started_full = disk, disk.folder / "home", 0, 0
        self.log, self.trace = disk.folder.parent / "log", disk.folder.parent / "trace"
        self.port, self.launch = free_port(), launch
        self.home.mkdir()
        self.command = ["tests.journal_server", str(self.home), str(self.port)]
        self.command += ["--trace", str(self.trace)] if cut_power else []

    def ask(self, connection, request_id):
        connection.request("POST", f"/{request_id}")
        answer = connection.getresponse()
        answer.read()
        self.refused += answer.status == 503
        return answer.status == 200

    def stored(self):
        with closing(connect_reading(self.home / "journal.db")) as db:
            return Counter(row[0] for row in db.execute("SELECT request_id FROM usage_event"))

    def cut(self, chance):
        if self.trace.exists():
            power.cut(self.home, self.trace, chance)

    def after_kill(self, chance):
        self.disk.free()
        self.cut(chance)
        if chance.random() < 0.4:
            self.start_full(chance)

    def start_full(self, chance):
        """It may refuse to start without room, by a sentence; it may not hurt what is there."""
        self.disk.fill(chance.choice((0, 4096, 100_000)))
        said = self.log.stat().st_size if self.log.exists() else 0
        child = self.launch(self.command, self.log)
        time.sleep(chance.uniform(0.05, 0.3))
        child.kill()
        child.wait()
        self.started_full += 1
        assert "Traceback" not in self.log.read_text()[said:]
        self.disk.free()
        self.cut(chance)

    def target(self):
        return Target(
            self.command,
            self.port,
            self.ask,
            self.stored,
            self.log,
            self.after_kill,
            WINDOW,
            trouble=lambda chance: self.disk.getting_full(chance, WINDOW),
            launch=self.launch,
        )


def assert_kept(server, kills, seed):
    report = crash(server.target(), kills, seed)
    assert report.kept_its_word, (report.lost, report.doubled, report.broken)
    assert report.kills == kills
    assert server.refused > 0
    assert server.started_full > 0
    assert len(report.acknowledged) > kills
    path = server.home / "journal.db"
    assert not verify(path, public_key(server.home / "keys" / PUBLIC_KEY)).findings
    assert not reconcile(path).differences


@pytest.mark.parametrize("cut_power", [False, True], ids=["kill", "power"])
def test_six_kills_with_a_full_disk_lose_and_double_nothing(launch, disk, cut_power):
    assert_kept(Server(launch, disk, cut_power), kills=6, seed=21)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("cut_power", [False, True], ids=["kill", "power"])
def test_a_hundred_kills_with_a_full_disk_lose_and_double_nothing(launch, disk, cut_power):
    assert_kept(Server(launch, disk, cut_power), kills=100, seed=22)


def test_a_server_without_room_refuses_and_serves_again_once_there_is_some(launch, disk):
    server = Server(launch, disk, cut_power=False)
    child = launch(server.command, server.log)
    try:
        assert asked(server, 1000, until=200)
        disk.fill()
        assert asked(server, 2000, until=503)
        disk.free()
        assert asked(server, 3000, until=200)
    finally:
        child.kill()
        child.wait()
    assert {name[:3] for name in server.stored()} >= {"r-1", "r-3"}


def asked(server, first, until):
    """Ask under ever new ids until the answer has this status."""
    ends, number = time.monotonic() + PATIENCE, first
    while time.monotonic() < ends:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        with closing(connection), suppress(ConnectionError):
            connection.request("POST", f"/r-{number}")
            if connection.getresponse().status == until:
                return True
        number += 1
        time.sleep(0.01)
    return False
