"""Four processes, 64 clients, one quota: exactly its number is served, also when one is killed.

What counts as served is what the journals of the four nodes show.
"""

from __future__ import annotations

import http.client
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.quota.postgres import PostgresStore
from gateway.quota.valkey import ValkeyStore
from tests.nursery import Nursery, nursery
from tests.quota_site import NODES, QUOTA, QuotaSite, functions_of, open_count, scripts_of

pytestmark = pytest.mark.services
SERVER = "tests.quota_server"
FULL = pytest.param(QUOTA, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])


@dataclass(kw_only=True)
class Site(QuotaSite):
    """Nodes that do nothing but journal and count."""

    home: Path
    store: str
    url: str
    limit: int
    nursery: Nursery

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

    def client(self, node: int, number: int) -> None:
        name, asked = f"{node}-{time.time_ns()}-{number}", 0
        with closing(http.client.HTTPConnection("127.0.0.1", self.ports[node])) as line:
            while True:
                asked += 1
                try:
                    line.request("POST", f"/{name}-{asked}")
                    reply = line.getresponse()
                    reply.read()
                except (ConnectionError, http.client.HTTPException):
                    return
                with self.lock:
                    self.replies[str(reply.status)] += 1
                if reply.status != 200:
                    return

    @property
    def served(self) -> int:
        return sum(map(_recorded, filter(Path.exists, map(self.journal, range(NODES)))))


def _recorded(journal: Path) -> int:
    with closing(sqlite3.connect(journal)) as db:
        return int(db.execute("SELECT count(*) FROM usage_event").fetchone()[0])


@pytest.fixture(scope="module")
def warm() -> Iterator[Nursery]:
    with nursery(SERVER) as running:
        yield running


@contextmanager
def site_of(request: pytest.FixtureRequest, kind: str, limit: int, home: Path) -> Iterator[Site]:
    words: Callable[[], int]
    if kind == "valkey":
        url = request.getfixturevalue("valkey_url")
        words = scripts_of(url)
    else:
        url = request.getfixturevalue("postgres_dsn")
        words = functions_of(request.getfixturevalue("postgres"), url)
    open_count(ValkeyStore(url) if kind == "valkey" else PostgresStore(url))
    site = Site(
        home=home,
        store=kind,
        url=url,
        limit=limit,
        words=words,
        nursery=request.getfixturevalue("warm"),
    )
    with site.up():
        yield site


@pytest.mark.parametrize("limit", [1_000, FULL])
@pytest.mark.parametrize("kind", ["valkey", "postgres"])
def test_exactly_the_quota_is_served_by_four_processes_and_one_that_is_killed(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str, limit: int
) -> None:
    with site_of(request, kind, limit, tmp_path) as site:
        words = site.use_up(limit, patience=120)
        assert site.replies["503"] == 0
        asked = sum(site.replies.values())
        assert words <= (0.02 if limit >= QUOTA else 0.1) * asked
