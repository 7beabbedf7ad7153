"""What a call's quota costs: reserve, show the rules the counters, prove, settle.

CPU of the gateway's process per call, the same calls with each store; the rules are the limits in
Python, so that their own cost is not in it. Words are what was asked of the store.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

from gateway.journal.counters import Counters, Hold
from gateway.policy.port import PolicyInput
from gateway.quota.embedded import EmbeddedStore
from gateway.quota.leases import Leases
from gateway.quota.port import QuotaStore
from gateway.quota.postgres import PostgresStore
from gateway.quota.valkey import ValkeyStore
from gateway.serving.quotas import Quotas
from tests.postgres_server import postgres_server
from tests.quota_world import GRANT, question, rules
from tests.valkey_server import valkey_server

CALLS, ROUNDS = 20_000, 3
LIMITS = {"calls_day": 10**7, "cells_day": 10**9, "cells_month": 10**9, "distinct_queries_day": 10}


def now() -> datetime:
    return datetime.now(UTC)


async def calls(store: QuotaStore | None) -> tuple[float, int]:
    """Seconds of CPU for all calls, and words to the store; without one, counting alone."""
    counters, words = Counters(), [0]

    def leases(stands: object) -> Leases:
        def report(_outcome: str) -> None:
            words[0] += 1

        return Leases(store or EmbeddedStore(), "bench", stands, report=report)  # type: ignore[arg-type]  # as Quotas has it

    quotas = Quotas(counters, leases, now)
    hold = counters.reserve(GRANT, "q", 500, now(), tenant="t-shared")
    asked = question(quotas, hold)
    decision = rules(asked, LIMITS)
    hold.release()

    async def decide(again: PolicyInput) -> object:
        return rules(again, LIMITS)

    async def one(hold: Hold) -> None:
        if store is not None:
            quotas.seen(hold)
            await quotas.prove(hold, asked, decision, decide)  # type: ignore[arg-type]  # a Decision
        hold.settle(500)

    began = time.process_time()
    for _ in range(CALLS):
        with counters.reserve(GRANT, "q", 500, now(), tenant="t-shared") as hold:
            await one(hold)
    return time.process_time() - began, words[0]


async def measured(store: ValkeyStore | PostgresStore) -> tuple[float, int]:
    if isinstance(store, PostgresStore):
        await store.make()
    await store.open({})
    try:
        return await calls(store)
    finally:
        await store.close()


@contextmanager
def servers() -> Iterator[tuple[str, str]]:
    with valkey_server(appendonly="no") as valkey, postgres_server() as postgres:
        yield valkey.url, postgres.dsn()


def main() -> None:
    """Print the table."""
    table = Table(title=f"Quotas: {CALLS:,} calls of one grant, best of {ROUNDS}")
    for name in ("store", "µs CPU per call", "more than counting alone", "words per call"):
        table.add_column(name, justify="left" if name == "store" else "right")
    with servers() as (url, dsn):
        ways = {
            "counting alone": lambda: calls(None),
            "embedded": lambda: calls(EmbeddedStore()),
            "Valkey": lambda: measured(ValkeyStore(url)),
            "PostgreSQL": lambda: measured(PostgresStore(dsn)),
        }
        found = {name: [] for name in ways}  # type: dict[str, list[tuple[float, int]]]
        for _ in range(ROUNDS):  # interleaved, so that a busy moment is everybody's
            for name, way in ways.items():
                found[name].append(asyncio.run(way()))
    alone = min(found["counting alone"])[0] / CALLS * 1e6
    for name, rounds in found.items():
        seconds, words = min(rounds)
        each = seconds / CALLS * 1e6
        table.add_row(name, f"{each:.1f}", f"{each - alone:+.1f}", f"{words / CALLS:.4f}")
    Console().print(table)
