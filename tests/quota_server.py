"""A small real gateway process for the quota tests: real journal, counters, leases and store.

One request is one call of one cell; it is reserved, decided by the rule of the limits, proven over
all replicas, recorded, and only then answered. Run as a program; SIGTERM drains it.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

from gateway.journal.entry import Entry
from gateway.journal.sqlite import SqliteJournal
from gateway.policy.port import Decision, PolicyInput
from gateway.quota.leases import Leases
from gateway.quota.port import QuotaUnproven
from gateway.quota.postgres import PostgresStore
from gateway.quota.valkey import ValkeyStore
from gateway.serving.quotas import Quotas
from tests.journal_factory import usage
from tests.quota_world import GRANT, question, rules

REPLY = b"HTTP/1.1 %d x\r\nContent-Length: 0\r\n\r\n"


def now() -> datetime:
    return datetime.now(UTC)


def entry(journal: SqliteJournal, request_id: str, time: datetime, event_id: str) -> Entry:
    """An answered call of one free cell."""
    used = usage(
        1,
        event_id=event_id,
        request_id=request_id,
        grant=GRANT,
        tenant="t-shared",
        unit="free",
        qty=1,
        billable_qty=1,
        price_micro=0,
        query_hash="q",
        time=time,
    )
    audit = {
        "kind": "read",
        "result": "answered",
        "tenant": used.tenant,
        "grant": used.grant,
        "service": used.service,
        "cells": 1,
    }
    decision = {"decision_id": used.decision_id, "allow": True, "deny": []}
    return Entry(request_id, event_id, time, decision, audit, used)


class Server:
    """One node."""

    def __init__(self, journal: SqliteJournal, quotas: Quotas, limit: int) -> None:
        self._journal, self._quotas, self._limit = journal, quotas, limit

    async def _decide(self, asked: PolicyInput) -> Decision:
        return rules(asked, {"calls_day": self._limit})

    async def call(self, request_id: str) -> int:
        """The status of the answer; 200 only once it is on record."""
        stamp = self._journal.stamp(now())
        reserve = self._journal.counters.reserve
        with reserve(GRANT, "q", 1, stamp.time, tenant="t-shared") as hold:
            asked = question(self._quotas, hold)
            decision = await self._decide(asked)
            try:
                _, decision = await self._quotas.prove(hold, asked, decision, self._decide)
            except QuotaUnproven:
                return 503
            if not decision.allow:
                return 429
            recorded = entry(self._journal, request_id, stamp.time, stamp.event_id)
            await self._journal.record(recorded, hold)
            return 200

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                request_id = head.split(b" ", 2)[1].decode().lstrip("/")
                writer.write(REPLY % await self.call(request_id))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


async def serve(journal: SqliteJournal, asked: argparse.Namespace) -> None:
    """Answer until SIGTERM, then give back what is left."""
    store = ValkeyStore(asked.url) if asked.store == "valkey" else PostgresStore(asked.url)
    quotas = Quotas(journal.counters, lambda stands: Leases(store, journal.journal_id, stands), now)
    await quotas.leases.begin()
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    node = Server(journal, quotas, asked.limit)
    async with await asyncio.start_server(node.connection, "127.0.0.1", asked.port):
        while not over.is_set():
            await quotas.leases.tend(now())
            await asyncio.wait([asyncio.create_task(over.wait())], timeout=1)
    await quotas.leases.drain()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("journal", type=Path)
    parser.add_argument("port", type=int)
    parser.add_argument("store", choices=["valkey", "postgres"])
    parser.add_argument("url")
    parser.add_argument("limit", type=int)
    asked = parser.parse_args()
    journal = SqliteJournal.open(asked.journal, asked.journal.parent / "keys", now())
    try:
        asyncio.run(serve(journal, asked))
    finally:
        journal.close()


if __name__ == "__main__":
    sys.exit(main())
