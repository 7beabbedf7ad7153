"""Four real `sluice serve` on one home, 64 connections, one quota; one of them is killed with a
lease in its hands. What counts as served is what the journals show."""

from __future__ import annotations

import asyncio
import http.client
import json
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import redis

from gateway.identity.requester import make_proof
from gateway.quota.port import Rebuildable
from gateway.quota.postgres import PostgresStore
from gateway.quota.valkey import ValkeyStore
from gateway.settings import Settings
from tests.factories_identity import Machine
from tests.gateway_factory import COST, LARGE, copy_home, copy_policies, free_port, utc_now
from tests.integration.test_serving_kill import JSON_BODY, PATH, insurer_of
from tests.journal_store import Store, store  # noqa: F401 - a fixture
from tests.nursery import Child, Nursery, nursery

pytestmark = [pytest.mark.services, pytest.mark.slow, pytest.mark.timeout(3600)]
NODES, CLIENTS, QUOTA = 4, 64, 10_000
_EVENTS = "SELECT event_id::text FROM usage_event"
BODY = json.dumps({**COST, "measures": ["persons", "medfee"]})


@dataclass
class Site:
    """The nodes of one home under one name, and clients that stay with the node they were given."""

    settings: Settings
    token: str
    machine: Machine
    store: dict[str, str]
    words: Callable[[], int]
    central: Callable[[], list[str]]
    stack: ExitStack
    ports: list[int] = field(default_factory=lambda: [free_port() for _ in range(NODES)])
    nurseries: dict[int, Nursery] = field(default_factory=dict)
    running: dict[int, Child] = field(default_factory=dict)
    replies: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self, node: int) -> None:
        """Start a node, and wait until it could answer."""
        if node not in self.nurseries:
            self.nurseries[node] = self.stack.enter_context(
                nursery("gateway.cli", "gateway.cli.serve", **self._given(node))
            )
        log = self.settings.home / f"log-{node}"
        command = ["gateway.cli", "serve", "--no-access-log"]
        self.running[node] = self.nurseries[node].start(command, log)
        for _ in range(2400):
            with closing(http.client.HTTPConnection("127.0.0.1", self.ports[node])) as probe:
                try:
                    probe.request("GET", "/readyz")
                    if probe.getresponse().status == 200:
                        return
                except (ConnectionError, http.client.HTTPException):
                    pass
            time.sleep(0.05)
        raise AssertionError(log.read_text())

    def _given(self, node: int) -> dict[str, str]:
        return {
            "SLUICE_HOME": str(self.settings.home),
            "SLUICE_POLICIES": str(self.settings.policies),
            "SLUICE_ISSUER": self.settings.base_url,
            "SLUICE_TOKEN_TTL_SECONDS": "900",
            "SLUICE_PORT": str(self.ports[node]),
            "SLUICE_NODE": "main" if node == 0 else f"n{node}",
            **self.store,
        }

    def kill(self, node: int) -> None:
        """As `kill -9` does."""
        self.running[node].kill()
        self.running[node].wait()

    def ask(self, nodes: list[int], meanwhile: Callable[[], None] = lambda: None) -> None:
        """Sixteen clients at each of these nodes ask until they are refused, or cut off."""
        clients = [
            threading.Thread(target=self._client, args=(node,))
            for node in nodes
            for _ in range(CLIENTS // NODES)
        ]
        for client in clients:
            client.start()
        meanwhile()
        for client in clients:
            client.join()

    def _client(self, node: int) -> None:
        nonce, told = None, "200"
        with closing(http.client.HTTPConnection("127.0.0.1", self.ports[node])) as line:
            while told in {"200", "401"}:
                try:
                    line.request("POST", PATH, BODY, self._signed(nonce))
                    reply = line.getresponse()
                    body = json.loads(reply.read())
                except (ConnectionError, http.client.HTTPException):
                    return
                nonce = reply.headers["dpop-nonce"] or nonce
                told = str(reply.status) if reply.status in {200, 401} else _why(body)
                with self._lock:
                    self.replies[told] += 1

    def _signed(self, nonce: str | None) -> dict[str, str]:
        url = f"{self.settings.base_url}{PATH}"
        proof = make_proof(
            self.machine.key, "POST", url, utc_now(), nonce=nonce, access_token=self.token
        )
        return {"Authorization": f"DPoP {self.token}", "DPoP": proof, **JSON_BODY}

    @property
    def served(self) -> int:
        """What the journals of all nodes show, an event in two of them once."""
        found = set(self.central())
        for path in self.settings.home.glob("journal*.db"):
            with closing(sqlite3.connect(path)) as db:
                found.update(row[0] for row in db.execute("SELECT event_id FROM usage_event"))
        return len(found)


def _why(body: dict[str, Any]) -> str:
    return "+".join(body.get("deny") or [body["code"]])


def nothing_central() -> list[str]:
    """Of nodes that keep their journals themselves."""
    return []


def _scripts(url: str) -> int:
    with redis.Redis.from_url(url) as client:
        found = client.info("commandstats")
    names = ("evalsha", "eval", "script|load")
    return sum(int(found.get(f"cmdstat_{name}", {"calls": 0})["calls"]) for name in names)


def _functions(both: Store) -> Callable[[], int]:
    name = both.owner.rsplit("/", 1)[1]
    both.server.sql(f"ALTER DATABASE {name} SET track_functions TO 'all'")
    asked = (
        "SELECT sum(calls)::bigint FROM pg_stat_user_functions WHERE schemaname = 'sluice_quota'"
    )

    def calls() -> int:
        time.sleep(1.5)  # backends tell their counts once a second
        return int(both.ask(asked)[0][0] or 0)

    return calls


async def _open(count: Rebuildable, role: str = "") -> None:
    if isinstance(count, PostgresStore):
        await count.make(role)
    await count.open({})
    await count.close()


@contextmanager
def site_of(
    request: pytest.FixtureRequest, kind: str, quota: int, released: Path, folder: Path
) -> Iterator[Site]:
    """Four nodes that serve, before a count that is open."""
    home = copy_home(released, folder / "home")
    policies = copy_policies(folder / "policies", {**LARGE, "calls_day": quota}, 1200)
    settings = Settings(home=home, policies=policies, port=free_port(), token_ttl_seconds=900)
    insurer = insurer_of(settings)
    named = home / "store"
    words: Callable[[], int]
    central: Callable[[], list[str]] = nothing_central
    if kind == "redis":
        url = request.getfixturevalue("valkey_url")
        words = lambda: _scripts(url)  # noqa: E731 - one of two
        asyncio.run(_open(ValkeyStore(url)))
        given = {"SLUICE_QUOTA_STORE": "redis", "SLUICE_REDIS_URL_FILE": str(named)}
    else:  # the journals go there too
        both: Store = request.getfixturevalue("store")
        url, words = both.dsn, _functions(both)
        central = lambda: [row[0] for row in both.ask(_EVENTS)]  # noqa: E731 - one of two
        asyncio.run(_open(PostgresStore(both.owner), both.role))
        given = {"SLUICE_QUOTA_STORE": "postgres", "SLUICE_POSTGRES_DSN_FILE": str(named)}
    named.write_text(url)
    with ExitStack() as stack:
        site = Site(settings, insurer._token, insurer._machine, given, words, central, stack)
        try:
            for node in range(NODES):
                site.start(node)
            yield site
        finally:
            for node in site.running:
                site.kill(node)


def fill(site: Site, quota: int) -> None:
    """Use the quota up; a node is killed when nearly half of it is gone, and started again."""
    before = site.words()

    def kill_one_in_the_middle() -> None:
        ends = time.monotonic() + 1800  # only ends a test that would hang
        while site.served < quota * 0.4:
            assert time.monotonic() < ends, "hardly anything is served"
            time.sleep(0.1)
        site.kill(0)

    site.ask([0, 1, 2, 3], kill_one_in_the_middle)
    assert site.served <= quota
    site.start(0)
    site.ask([0])
    time.sleep(0.6)  # the others were told a moment ago that there is no more
    site.ask([1, 2, 3, 0])
    assert site.served == quota
    assert set(site.replies) == {"200", "401", "D802"}
    # The killed node recorded what it could no longer answer, one call of each client at most.
    assert quota - CLIENTS // NODES <= site.replies["200"] <= quota
    asked = site.replies["200"] + site.replies["D802"]
    assert site.words() - before <= (0.02 if quota >= QUOTA else 0.2) * asked


@pytest.mark.parametrize("quota", [1_000, QUOTA])
@pytest.mark.parametrize("kind", ["redis", "postgres"])
def test_exactly_the_quota_is_served_by_four_gateways_and_one_that_is_killed(
    request: pytest.FixtureRequest, released_home: Path, tmp_path: Path, kind: str, quota: int
) -> None:
    with site_of(request, kind, quota, released_home, tmp_path) as site:
        fill(site, quota)
