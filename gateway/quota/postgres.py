"""Leases in PostgreSQL: one function call per lease, committed before it is answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import asyncpg

from gateway.quota.port import Ask, Begun, Holdings, Key, Lease, QuotaForgotten, QuotaUnproven, Told

TIMEOUT = 2.0
# A lease that a crash could take back would be given twice.
_DURABLE = {"default_transaction_isolation": "read committed", "synchronous_commit": "on"}
_SETTLE = "SELECT held, total FROM sluice_quota.settle($1, $2, $3, $4, $5, $6, $7, $8, $9)"
_HELD = """
SELECT l.key, l.held, l.seq FROM sluice_quota.lease l JOIN sluice_quota.counter c USING (key)
WHERE l.holder = $1
"""
# After the last word on it, by the server's own clock: longer than any window.
_FORGET = "DELETE FROM sluice_quota.counter WHERE spoken < now() - interval '40 days'"
_MAY = """
GRANT USAGE ON SCHEMA sluice_quota TO {role};
GRANT SELECT ON sluice_quota.count TO {role};
GRANT SELECT, INSERT, UPDATE, DELETE ON sluice_quota.counter, sluice_quota.lease TO {role};
GRANT EXECUTE ON FUNCTION sluice_quota.settle TO {role};
"""


class PostgresStore:
    """The shared store of replicas; connects when first asked, and anew when cut off."""

    shared = True

    def __init__(self, dsn: str, timeout: float = TIMEOUT) -> None:
        self._dsn, self._timeout = dsn, timeout
        self._connection: asyncpg.Connection | None = None

    async def begin(self, holder: str) -> Begun:
        async with self._asking() as server:
            await server.execute(_FORGET)
            epoch = await server.fetchval("SELECT id FROM sluice_quota.count WHERE is_open")
            rows = await server.fetch(_HELD, holder)
        if epoch is None:
            raise QuotaForgotten("epoch")
        return Begun(epoch, {Key.of(key): Lease(held, seq) for key, held, seq in rows})

    async def lease(self, epoch: str, holder: str, asks: Sequence[Ask]) -> tuple[Told, ...]:
        ordered = sorted(asks, key=lambda ask: ask.key)
        columns = (
            [str(ask.key) for ask in ordered],
            [ask.have for ask in ordered],
            [ask.want for ask in ordered],
            [ask.least for ask in ordered],
            [ask.extra for ask in ordered],
            [ask.limit for ask in ordered],
            [ask.seq for ask in ordered],
        )
        async with self._asking() as server:
            rows = await server.fetch(_SETTLE, epoch, holder, *columns)
        if len(rows) != len(asks):
            raise QuotaForgotten("epoch")
        told = {ask.key: Told(*row) for ask, row in zip(ordered, rows, strict=True)}
        return tuple(told[ask.key] for ask in asks)

    async def make(self, role: str | None = None) -> None:
        """Make the schema as its owner, for the gateway's role to use."""
        async with self._asking() as server:
            await server.execute(Path(__file__).with_name("lease.sql").read_text("utf-8"))
            if role is not None:
                quoted = await server.fetchval("SELECT quote_ident($1)", role)
                await server.execute(_MAY.format(role=quoted))

    async def shut(self) -> None:
        async with self._asking() as server:
            await server.execute("UPDATE sluice_quota.count SET is_open = false")

    async def open(self, used: Holdings) -> str:
        epoch = uuid4().hex
        totals: dict[Key, int] = {}
        for (key, _), amount in used.items():
            totals[key] = totals.get(key, 0) + amount
        counters = [(str(key), total) for key, total in totals.items()]
        leases = [(str(key), holder, amount, 0) for (key, holder), amount in used.items()]
        async with self._asking() as server, server.transaction():
            await server.execute("DELETE FROM sluice_quota.counter")
            await server.executemany("INSERT INTO sluice_quota.counter VALUES ($1, $2)", counters)
            await server.executemany("INSERT INTO sluice_quota.lease VALUES ($1,$2,$3,$4)", leases)
            await server.execute("DELETE FROM sluice_quota.count")
            await server.execute("INSERT INTO sluice_quota.count VALUES (true, $1, true)", epoch)
        return epoch

    async def close(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.terminate()

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[asyncpg.Connection]:
        """The connection; one on which a word failed is not used again."""
        try:
            if self._connection is None or self._connection.is_closed():
                self._connection = await asyncpg.connect(
                    self._dsn,
                    timeout=self._timeout,
                    command_timeout=self._timeout,
                    server_settings=_DURABLE,
                )
                if await self._connection.fetchval("SHOW fsync") != "on":
                    raise QuotaUnproven("fsync is off")
            yield self._connection
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            await self.close()
            raise QuotaUnproven(type(error).__name__) from error
        except (asyncio.CancelledError, QuotaUnproven):
            await self.close()
            raise
