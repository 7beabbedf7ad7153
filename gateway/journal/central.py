"""The central store beside a serving process: a thread that ships the spool, beats, and looks up.

It also finds out when the store is back. The writer never waits for that: it asks `up`.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Callable, Collection, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import inf
from pathlib import Path
from typing import Any, TypeVar

import asyncpg

from gateway.errors import OperatorError
from gateway.journal.charges import Charged
from gateway.journal.idempotency import KeyName, Remembered
from gateway.journal.postgres import connect, direct_id
from gateway.journal.ship import Shipped, Source, ship
from gateway.metrics import meters
from metering.usage import time_of, time_text

T = TypeVar("T")

BUSY, IDLE, DRAIN = 0.25, 1.0, 5.0
LOOK_PATIENCE, SHIP_PATIENCE = 1.0, 10.0
BEAT, DAY = timedelta(minutes=1), timedelta(days=1)

_CHARGED = """
SELECT place, time, event_id::text, cells FROM charged_cell
WHERE tenant = $1 AND release = $2 AND place = ANY($3::bigint[]) AND time > $4
"""
_KEY = """
SELECT request_hash, event_id::text, answer_digest, release, qty, billable_qty, expires
FROM idempotency WHERE (tenant, client, key) = ($1, $2, $3)
"""
_OTHERS = """
SELECT node FROM journal j WHERE journal_id <> ALL($1::text[]) AND (created >= $3 OR EXISTS (
  SELECT FROM heartbeat h WHERE h.journal_id = j.journal_id AND h.time >= $2)) LIMIT 1
"""
_BEAT = "INSERT INTO heartbeat VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"
_EXPIRED = """
DELETE FROM idempotency WHERE (tenant, client, key) IN (
  SELECT tenant, client, key FROM idempotency WHERE expires <= now() LIMIT 5000)
"""
# Beats older than any month that runs, the last of each journal apart; a schema of before has not
# learnt it.
_FORGET = "SELECT forget_heartbeats()"
_TROUBLE = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError)

log = logging.getLogger(__name__)


@dataclass
class _Beat:
    """When the store last heard that nothing older is still to come."""

    at: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    swept: datetime = datetime(1970, 1, 1, tzinfo=UTC)


def nothing() -> None:
    """Nobody wants to know."""


class Central:
    """The store as the rest of one process needs it. Start it once the spool is open."""

    def __init__(self, dsn: str, node: str, spool: Path, clock: Callable[[], datetime]) -> None:
        self._dsn, self._node, self._clock = dsn, node, clock
        self._source = Source(spool)
        self._up = threading.Event()
        self._up.set()
        self._stop = asyncio.Event()
        self._beat = _Beat()
        self._look: asyncpg.Connection | None = None
        self._turn = asyncio.Lock()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="journal-central", daemon=True)
        self._upto = -1
        self._shipped = 0
        self._ends = inf
        self._whole, self._sick = clock(), ""
        self.when_there: Callable[[], None] = nothing
        """Told from its thread, again and again while the store answers."""

    @property
    def up(self) -> bool:
        """Whether the store answered when it was last asked."""
        return self._up.is_set()

    def start(self) -> None:
        self._thread.start()

    def lost(self) -> None:
        """The writer could not reach it; the next round finds out when it is back."""
        self._up.clear()

    def close(self) -> None:
        """Ship what is left if the store answers, say goodbye, stop."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()
        self._source.close()
        if not self._loop.is_closed():
            self._loop.close()

    async def charged(
        self, tenant: str, release: str, places: Collection[int], after: datetime
    ) -> list[tuple[int, Charged]] | None:
        """What any node charged a tenant for; None while the store is away (rating gives back
        what was charged twice then)."""
        found = await self._asked(_CHARGED, tenant, release, list(places), after)
        if found is None:
            return None
        return [(p, Charged(t, e, int.from_bytes(cells, "big"))) for p, t, e, cells in found]

    async def remembered(self, name: KeyName) -> Remembered | None:
        """What was answered under a key by any node."""
        rows = await self._asked(_KEY, *name.row())
        return Remembered(*rows[0]) if rows else None

    def another_since(self, moment: datetime) -> str | None:
        """A node with another journal that was alive since then; None while the store is away."""
        own = [self._source.journal_id, direct_id(self._source.journal_id)]
        if not self.up:
            return None
        try:
            return self._soon(self._others(own, moment)).result(3 * SHIP_PATIENCE)
        except _TROUBLE as error:
            log.warning("which other nodes there are is not known: %s", type(error).__name__)
            return None

    async def _others(self, own: list[str], moment: datetime) -> str | None:
        db = await connect(self._dsn, f"sluice {self._node} start", SHIP_PATIENCE)
        try:
            found: str | None = await db.fetchval(_OTHERS, own, moment, time_text(moment))
            return found
        finally:
            db.terminate()

    async def _asked(self, query: str, *values: object) -> list[asyncpg.Record] | None:
        """Rows, without holding up the caller's loop and never for long; None: it is away."""
        if not self.up:
            return None
        try:
            asked = asyncio.wrap_future(self._soon(self._fetch(query, *values)))
            return await asyncio.wait_for(asked, LOOK_PATIENCE)
        except _TROUBLE:
            self.lost()
            return None

    def _soon(self, doing: Coroutine[Any, Any, T]) -> Future[T]:  # Any: as asyncio has it
        return asyncio.run_coroutine_threadsafe(doing, self._loop)

    async def _fetch(self, query: str, *values: object) -> list[asyncpg.Record]:
        async with self._turn:
            if self._look is None or self._look.is_closed():
                self._look = await connect(self._dsn, f"sluice {self._node} look-up", LOOK_PATIENCE)
            try:
                return await self._look.fetch(query, *values)
            except BaseException:  # also given up by who asked: what it still sends is nobody's
                self._look.terminate()
                raise

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._live())

    async def _live(self) -> None:
        db: asyncpg.Connection | None = None
        while True:
            db, pause = await self._round(db)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), pause)
            if self._stop.is_set():
                break
        if self.up:
            db, _ = await self._round(db)
        for one in (db, self._look):
            if one is not None:
                with suppress(*_TROUBLE):
                    await one.close(timeout=LOOK_PATIENCE)

    async def _round(
        self, db: asyncpg.Connection | None
    ) -> tuple[asyncpg.Connection | None, float]:
        """Ship what there is; the connection to go on with and how long to rest."""
        try:
            if db is None or db.is_closed():
                db = await connect(self._dsn, f"sluice {self._node} shipping", SHIP_PATIENCE)
                self._upto = -1
            done = await self._ship(db)
            if done.upto == done.head:
                await self._say(db)
        except _TROUBLE as error:
            self._told_down(error)
            if db is not None:
                db.terminate()
            return None, IDLE
        except OperatorError as error:
            log.error("the spool is not shipped: %s [%s]", error.message, error.code)
            self._show_backlog()
            return db, 30 * IDLE
        except Exception as error:  # noqa: BLE001 - a sick file must not end the thread: look-ups go on
            self._told_sick(error)
            if db is not None:
                db.terminate()
            return None, IDLE
        self._count(done)
        self._up.set()
        self.when_there()
        return db, BUSY if done.new else IDLE

    async def _ship(self, db: asyncpg.Connection) -> Shipped:
        """What is new in the spool; mostly nothing."""
        head = self._source.head()
        if head == self._upto:
            await db.fetchval("SELECT 1")
            return Shipped(self._source.journal_id, head, head)
        done = await ship(db, self._source, self._node, enough=self._must_go)
        self._upto = self._shipped = done.upto
        return done

    def _must_go(self) -> bool:
        """A stop waits a little for a backlog; the rest is the janitor's, or the next start's."""
        if not self._stop.is_set():
            return False
        self._ends = min(self._ends, self._loop.time() + DRAIN)
        return self._loop.time() >= self._ends

    def _count(self, done: Shipped) -> None:
        if done.new or done.duplicate or done.quarantined:
            meters.shipped(done.new, done.duplicate, done.quarantined)
        meters.spool(done.head - done.upto, 0.0)
        self._whole, self._sick = self._clock(), ""
        if done.quarantined:
            log.error("%d events are in the journal's quarantine", done.quarantined)

    def _told_down(self, error: BaseException) -> None:
        self._show_backlog()
        if self._up.is_set():
            log.warning("the journal's PostgreSQL is away: %s", type(error).__name__)
        self._up.clear()

    def _told_sick(self, error: BaseException) -> None:
        """The store answers as before, but this spool cannot be read or understood."""
        self._show_backlog()
        if type(error).__name__ != self._sick:
            self._sick = type(error).__name__
            log.error("the spool is not shipped: %s", self._sick)

    def _show_backlog(self) -> None:
        """What waits since when; a spool that cannot be read waits since it was last shipped."""
        try:
            waiting = self._source.head() - self._shipped
            oldest = self._source.time_at(self._shipped + 1)
            since = time_of(oldest) if oldest else self._clock()
        except (sqlite3.Error, ValueError):
            waiting, since = 1, self._whole
        meters.spool(waiting, max(0.0, (self._clock() - since).total_seconds()))

    async def _say(self, db: asyncpg.Connection) -> None:
        """Everything this node recorded until now is in the store, but for calls being answered.

        Each minute; keys that expired are swept out then."""
        now, last = self._clock(), self._stop.is_set()
        if now - self._beat.at < BEAT and not last:
            return
        for journal in (self._source.journal_id, direct_id(self._source.journal_id)):
            await db.execute(_BEAT, journal, now, last)
        await db.execute(_EXPIRED)
        if now - self._beat.swept >= DAY:
            with suppress(asyncpg.UndefinedFunctionError, asyncpg.InsufficientPrivilegeError):
                await db.execute(_FORGET)
            self._beat.swept = now
        self._beat.at = now
