"""Nodes that share one quota, and the clients that use it up while one node is killed."""

from __future__ import annotations

import asyncio
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Self

import redis

from gateway.quota.port import Rebuildable
from gateway.quota.postgres import PostgresStore
from tests.crash_harness import free_port
from tests.nursery import Child
from tests.postgres_server import PostgresServer

NODES, CLIENTS, QUOTA = 4, 64, 10_000
_SCRIPTS = ("evalsha", "eval", "script|load")


@dataclass(kw_only=True)
class QuotaSite(ABC):
    """Nodes of one home, and clients that stay with the node they were given."""

    words: Callable[[], int]  # what the store itself has counted
    ports: list[int] = field(default_factory=lambda: [free_port() for _ in range(NODES)])
    running: dict[int, Child] = field(default_factory=dict)
    replies: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @abstractmethod
    def start(self, node: int) -> None:
        """Start a node, and wait until it could answer."""

    @abstractmethod
    def client(self, node: int, number: int) -> None:
        """Ask until refused, or cut off."""

    @property
    @abstractmethod
    def served(self) -> int:
        """What the journals of all nodes show, an event in two of them once."""

    @contextmanager
    def up(self) -> Iterator[Self]:
        """All nodes serve."""
        try:
            for node in range(NODES):
                self.start(node)
            yield self
        finally:
            for node in self.running:
                self.kill(node)

    def kill(self, node: int) -> None:
        """As `kill -9` does."""
        self.running[node].kill()
        self.running[node].wait()

    def ask(self, nodes: list[int], meanwhile: Callable[[], None] = lambda: None) -> None:
        """Sixteen clients at each of these nodes ask until they are refused, or cut off."""
        clients = [
            threading.Thread(target=self.client, args=(node, number))
            for node in nodes
            for number in range(CLIENTS // NODES)
        ]
        for client in clients:
            client.start()
        meanwhile()
        for client in clients:
            client.join()

    def use_up(self, quota: int, *, patience: float) -> int:
        """Ask for all of it; a node is killed when nearly half is gone, and started again. How many
        words the store was told. `patience` only ends a test that would hang."""
        before = self.words()

        def kill_one_in_the_middle() -> None:
            ends = time.monotonic() + patience
            while self.served < quota * 0.4:
                assert time.monotonic() < ends, "hardly anything is served"
                time.sleep(0.02)
            self.kill(0)

        self.ask([0, 1, 2, 3], kill_one_in_the_middle)
        assert self.served <= quota
        self.start(0)
        self.ask([0])
        time.sleep(0.6)  # the others were told a moment ago that there is no more
        self.ask([1, 2, 3, 0])
        assert self.served == quota
        # The killed node recorded what it could no longer answer, one call of each client at most.
        assert quota - CLIENTS // NODES <= self.replies["200"] <= quota
        return self.words() - before


def open_count(count: Rebuildable, role: str | None = None) -> None:
    """Let a count stand at nothing, and be used by the role."""

    async def go() -> None:
        if isinstance(count, PostgresStore):
            await count.make(role)
        await count.open({})
        await count.close()

    asyncio.run(go())


def scripts_of(url: str) -> Callable[[], int]:
    """How often the scripts of a Redis were called, by its own count."""

    def calls() -> int:
        with redis.Redis.from_url(url) as client:
            found = client.info("commandstats")
        return sum(int(found.get(f"cmdstat_{name}", {"calls": 0})["calls"]) for name in _SCRIPTS)

    return calls


def functions_of(server: PostgresServer, dsn: str) -> Callable[[], int]:
    """How often the quota's functions of a database were called, by its own count."""
    name = dsn.rsplit("/", 1)[1]
    server.sql(f"ALTER DATABASE {name} SET track_functions TO 'all'")
    asked = (
        "SELECT sum(calls)::bigint FROM pg_stat_user_functions WHERE schemaname = 'sluice_quota'"
    )

    def calls() -> int:
        time.sleep(1.5)  # backends tell their counts once a second
        return int(server.sql(asked, database=name)[0][0] or 0)

    return calls
