"""Four processes, 64 clients, one quota: exactly its number is served, also when one is killed.

What counts as served is what the journals of the four nodes show.
"""

from __future__ import annotations

import asyncio
import http.client
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import redis

from gateway.quota.port import Rebuildable
from gateway.quota.postgres import PostgresStore
from gateway.quota.valkey import ValkeyStore
from tests.crash_harness import free_port
from tests.nursery import Child, Nursery, nursery
from tests.postgres_server import PostgresServer
from tests.valkey_server import ValkeyServer

pytestmark = pytest.mark.services
NODES, CLIENTS = 4, 64
SERVER = "tests.quota_server"
FULL = pytest.param(10_000, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])


@dataclass
class Site:
    """The nodes of one home, and clients that stay with the node they were given."""

    home: Path
    store: str
    url: str
    limit: int
    words: Callable[[], int]  # what the store itself has counted
    nursery: Nursery
    ports: list[int] = field(default_factory=lambda: [free_port() for _ in range(NODES)])
    running: dict[int, Child] = field(default_factory=dict)
    replies: Counter[int] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self, node: int) -> None:
        command = [str(self.journal(node)), str(self.ports[node]), self.store, self.url]
        log = self.home / f"log-{node}"
        self.running[node] = self.nursery.start([SERVER, *command, str(self.limit)], log)
        for _ in range(600):
            with closing(http.client.HTTPConnection("127.0.0.1", self.ports[node])) as probe:
                try:
                    probe.connect()
                except ConnectionError:
                    time.sleep(0.05)
                else:
                    return
        raise AssertionError(log.read_text())

    def journal(self, node: int) -> Path:
        return self.home / ("journal.db" if node == 0 else f"journal-n{node}.db")

    def kill(self, node: int) -> None:
        self.running[node].kill()
        self.running[node].wait()

    def ask(self, nodes: list[int], meanwhile: Callable[[], None] = lambda: None) -> None:
        """Sixteen clients at each of these nodes ask until they are refused, or cut off."""
        clients = [
            threading.Thread(target=self._client, args=(node, f"{node}-{time.time_ns()}-{number}"))
            for node in nodes
            for number in range(CLIENTS // NODES)
        ]
        for client in clients:
            client.start()
        meanwhile()
        for client in clients:
            client.join()

    def _client(self, node: int, name: str) -> None:
        number = 0
        with closing(http.client.HTTPConnection("127.0.0.1", self.ports[node])) as line:
            while True:
                number += 1
                try:
                    line.request("POST", f"/{name}-{number}")
                    reply = line.getresponse()
                    reply.read()
                except (ConnectionError, http.client.HTTPException):
                    return
                with self._lock:
                    self.replies[reply.status] += 1
                if reply.status != 200:
                    return

    def served(self, node: int) -> int:
        """What the node's journal shows."""
        if not self.journal(node).exists():
            return 0
        with closing(sqlite3.connect(self.journal(node))) as db:
            return int(db.execute("SELECT count(*) FROM usage_event").fetchone()[0])

    @property
    def all_served(self) -> int:
        return sum(self.served(node) for node in range(NODES))


@pytest.fixture(scope="module")
def warm() -> Iterator[Nursery]:
    with nursery(SERVER) as running:
        yield running


@contextmanager
def site_of(request: pytest.FixtureRequest, kind: str, limit: int, home: Path) -> Iterator[Site]:
    words: Callable[[], int]
    if kind == "valkey":
        url = request.getfixturevalue("valkey_url")
        server: ValkeyServer = request.getfixturevalue("valkey")
        words = lambda: _scripts(server)  # noqa: E731 - one of two
    else:
        url = request.getfixturevalue("postgres_dsn")
        words = _functions(request.getfixturevalue("postgres"), url)
    asyncio.run(_open(ValkeyStore(url) if kind == "valkey" else PostgresStore(url)))
    site = Site(home, kind, url, limit, words, request.getfixturevalue("warm"))
    try:
        for node in range(NODES):
            site.start(node)
        yield site
    finally:
        for node in site.running:
            site.kill(node)


async def _open(store: Rebuildable) -> None:
    if isinstance(store, PostgresStore):
        await store.make()
    await store.open({})
    await store.close()


def _scripts(server: ValkeyServer) -> int:
    with redis.Redis.from_url(server.url) as client:
        found = client.info("commandstats")
    return sum(
        int(found.get(f"cmdstat_{name}", {"calls": 0})["calls"]) for name in ("evalsha", "eval")
    )


def _functions(server: PostgresServer, dsn: str) -> Callable[[], int]:
    name = dsn.rsplit("/", 1)[1]
    server.sql(f"ALTER DATABASE {name} SET track_functions TO 'pl'")

    def calls() -> int:
        time.sleep(1.5)  # backends tell their counts once a second
        rows = server.sql("SELECT sum(calls)::bigint FROM pg_stat_user_functions", database=name)
        return int(rows[0][0] or 0)

    return calls


@pytest.mark.parametrize("limit", [1_000, FULL])
@pytest.mark.parametrize("kind", ["valkey", "postgres"])
def test_exactly_the_quota_is_served_by_four_processes_and_one_that_is_killed(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str, limit: int
) -> None:
    with site_of(request, kind, limit, tmp_path) as site:
        before = site.words()

        def kill_one_in_the_middle() -> None:
            ends = time.monotonic() + 120  # only ends a test that would hang
            while site.all_served < limit * 0.4:
                assert time.monotonic() < ends, "hardly anything is served"
                time.sleep(0.02)
            site.kill(0)

        site.ask([0, 1, 2, 3], kill_one_in_the_middle)
        assert site.all_served <= limit
        assert site.replies[503] == 0
        site.start(0)
        site.ask([0])
        time.sleep(0.6)  # the others were told a moment ago that there is no more
        site.ask([1, 2, 3, 0])
        assert site.all_served == limit
        # The killed node recorded what it could no longer answer, one call of each client at most.
        assert limit - CLIENTS // NODES <= site.replies[200] <= limit
        asked = sum(site.replies.values())
        assert site.words() - before <= (0.02 if limit >= 10_000 else 0.1) * asked
