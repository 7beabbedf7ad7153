"""Looking things up in what all nodes recorded: a tenant's usage, a decision, who saw a person.

Without PostgreSQL these are the journals of the home, one per node; with it, the central store,
which has everything but what a node's spool has not shipped yet. For worker threads and commands.
"""

from __future__ import annotations

import asyncio
import heapq
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from threading import BoundedSemaphore
from typing import Protocol

import asyncpg

from gateway.db.dsn import read_dsn
from gateway.db.office_journal import Listed, Sought
from gateway.journal import decisions, listing
from gateway.journal.neighbours import journals_in
from gateway.journal.port import JournalUnavailable
from gateway.journal.postgres import connect
from gateway.journal.reader import Called, accrued, called, refused
from gateway.journal.schema import connect_reading
from gateway.settings import Settings
from metering.calendar import month_range
from metering.rating import Accrual, LineKey, Pricing, stamped_price
from metering.summary import CallKey, UsageRow, summarise

PATIENCE = 30.0
AT_ONCE, TURN = 4, 5.0
"""So many connections look things up, for so many seconds others wait for one."""
_OF_SUBJECT = """
SELECT time, body FROM audit_event
WHERE json_extract(body, '$.subject') = ? AND json_extract(body, '$.subject') IS NOT NULL
ORDER BY seq DESC LIMIT ?
"""
_STORED_SUBJECT = """
SELECT DISTINCT ON (time, request_id) body FROM (SELECT time, request_id, body FROM audit_event
  WHERE subject = ANY($1) ORDER BY time DESC LIMIT $2) newest ORDER BY time DESC, request_id
"""
_STORED_DECISION = """
SELECT d.body, a.body FROM decision d LEFT JOIN audit_event a USING (journal_id, seq)
WHERE d.decision_id = $1
UNION ALL SELECT d.body, a.body FROM audit_event a JOIN decision d USING (journal_id, seq)
WHERE a.request_id = $1 LIMIT 1
"""
_STORED_LAST = "SELECT body FROM decision ORDER BY decision_id DESC LIMIT $1"
_STORED_ACCRUED = """
SELECT grant_id, service, unit, price_ref, price_micro, count(*), sum(qty)::bigint,
  sum(billable_qty)::bigint, sum(qty - billable_qty)::bigint
FROM usage_event WHERE tenant = $1 AND time >= $2 AND time < $3 GROUP BY 1, 2, 3, 4, 5
"""
_STORED_REFUSED = """
SELECT coalesce(grant_id, ''), coalesce(service, ''), count(DISTINCT request_id)
FROM audit_event WHERE result = 'refused' AND tenant = $1 AND time >= $2 AND time < $3
GROUP BY 1, 2
"""
_STORED_BY_DAY = """
SELECT to_char(time AT TIME ZONE 'Asia/Shanghai', 'YYYY-MM-DD'), kind, result, tenant, service,
  body::json->'deny_codes'->>0, count(*),
  coalesce(sum((body::json->>'cells')::bigint), 0),
  coalesce(sum((body::json->>'cells_suppressed')::bigint), 0)
FROM audit_event WHERE time >= $1 GROUP BY 1, 2, 3, 4, 5, 6
"""
_STORED_CALLED = """
SELECT tenant, count(DISTINCT request_id),
  count(DISTINCT request_id) FILTER (WHERE result = 'refused')
FROM audit_event WHERE time >= $1 AND time < $2 AND tenant IS NOT NULL
  AND kind IN ('read', 'write', 'job', 'export', 'decision') GROUP BY 1
"""
_TROUBLE = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError)


class Looking(Protocol):
    """What was recorded, wherever it lies. The decisions' bodies and audit events are JSON."""

    def usage(
        self, tenant: str, months: Sequence[str], price: Pricing = ...
    ) -> tuple[UsageRow, ...]:
        """What one tenant used in the given months; nothing of any other tenant is read."""

    def decision(self, name: str) -> tuple[str, str | None] | None:
        """The decision of this id, or of the request of this id, and its audit event."""

    def of_subjects(self, tokens: Sequence[str], most: int) -> list[str]:
        """The newest audit events about these persons."""

    def called(self, month: str) -> list[Called]:
        """How often each tenant called in a month; a tenant may come once per journal."""

    def events(self, sought: Sought, most: int) -> list[Listed]:
        """The newest audit events that are sought, newest first, with their decisions."""

    def count_decisions(self) -> int:
        """How many decisions there are."""

    def last_decisions(self, number: int) -> Iterator[str]:
        """The last decisions, oldest first."""


@dataclass(frozen=True)
class Journals:
    """The journals of some nodes; `paths` is asked each time, for nodes come and go."""

    paths: Callable[[], Iterable[Path]]

    def usage(
        self, tenant: str, months: Sequence[str], price: Pricing = stamped_price
    ) -> tuple[UsageRow, ...]:
        accruals: dict[LineKey, Accrual] = {}
        refusals: dict[CallKey, int] = {}
        for db in self._opened():
            for key, accrual in accrued(db, tenant, months):
                accruals[key] = accruals.get(key, Accrual()) + accrual
            for call, count in refused(db, tenant, months):
                refusals[call] = refusals.get(call, 0) + count
        return summarise(accruals, refusals, price)

    def decision(self, name: str) -> tuple[str, str | None] | None:
        found = (decisions.find_decision(path, name) for path in self.paths())
        return next((each for each in found if each is not None), None)

    def of_subjects(self, tokens: Sequence[str], most: int) -> list[str]:
        found = [
            row
            for db in self._opened()
            for token in tokens
            for row in db.execute(_OF_SUBJECT, (token, most)).fetchall()
        ]
        return [body for _, body in heapq.nlargest(most, found)]

    def called(self, month: str) -> list[Called]:
        return [each for db in self._opened() for each in called(db, month)]

    def events(self, sought: Sought, most: int) -> list[Listed]:
        found = [one for db in self._opened() for one in listing.listed(db, sought, most)]
        return listing.newest(found, most)

    def count_decisions(self) -> int:
        return sum(decisions.count_decisions(db) for db in self._opened())

    def last_decisions(self, number: int) -> Iterator[str]:
        paths = list(self.paths())
        known = sum(min(number, decisions.count_decisions(db)) for db in self._opened())
        merged = heapq.merge(*(_timed(path, number) for path in paths))
        return (body for _, body in islice(merged, max(0, known - number), None))

    def _opened(self) -> Iterator[sqlite3.Connection]:
        for path in self.paths():
            with closing(connect_reading(path)) as db:
                yield db


def _timed(path: Path, number: int) -> Iterator[tuple[str, str]]:
    with closing(connect_reading(path)) as db:
        yield from decisions.last_timed(db, number)


@dataclass(frozen=True)
class CentralStore:
    """The central store; where it does not answer, nothing is told rather than a part."""

    dsn: str
    turns: BoundedSemaphore = field(default_factory=lambda: BoundedSemaphore(AT_ONCE))

    def usage(
        self, tenant: str, months: Sequence[str], price: Pricing = stamped_price
    ) -> tuple[UsageRow, ...]:
        accruals: dict[LineKey, Accrual] = {}
        refusals: dict[CallKey, int] = {}
        for month in months:
            span = (tenant, *month_range(month))
            used, refused = self._ask((_STORED_ACCRUED, span), (_STORED_REFUSED, span))
            for row in used:
                accruals[LineKey(month, tenant, *row[:5])] = Accrual(*row[5:])
            for grant, service, count in refused:
                refusals[CallKey(month, tenant, grant, service)] = count
        return summarise(accruals, refusals, price)

    def decision(self, name: str) -> tuple[str, str | None] | None:
        (found,) = self._ask((_STORED_DECISION, (name,)))
        return (found[0][0], found[0][1]) if found else None

    def of_subjects(self, tokens: Sequence[str], most: int) -> list[str]:
        (found,) = self._ask((_STORED_SUBJECT, (list(tokens), most)))
        return [row[0] for row in found]

    def called(self, month: str) -> list[Called]:
        (found,) = self._ask((_STORED_CALLED, month_range(month)))
        return [Called(*row) for row in found]

    def events(self, sought: Sought, most: int) -> list[Listed]:
        (found,) = self._ask(listing.stored(sought, most))
        return listing.newest([listing.of_store(row) for row in found], most)

    def count_decisions(self) -> int:
        (found,) = self._ask(("SELECT count(*) FROM decision", ()))
        return int(found[0][0])

    def last_decisions(self, number: int) -> Iterator[str]:
        (found,) = self._ask((_STORED_LAST, (number,)))
        return (row[0] for row in reversed(found))

    def by_day(self, since: datetime) -> list[asyncpg.Record]:
        """Audit events since then by day, kind, result, tenant, service and first code: how many,
        and how many cells they delivered and withheld."""
        (found,) = self._ask((_STORED_BY_DAY, (since,)))
        return found

    def _ask(self, *asked: tuple[str, tuple[object, ...]]) -> list[list[asyncpg.Record]]:
        if not self.turns.acquire(timeout=TURN):
            raise JournalUnavailable("journal_busy", "Many are asking; try again in a moment.")
        try:
            return asyncio.run(self._fetch(asked))
        except _TROUBLE as error:
            raise JournalUnavailable(
                "journal_down", "The journal cannot be read at the moment; try again later."
            ) from error
        finally:
            self.turns.release()

    async def _fetch(
        self, asked: Sequence[tuple[str, tuple[object, ...]]]
    ) -> list[list[asyncpg.Record]]:
        db = await connect(self.dsn, "sluice looking", PATIENCE)
        try:
            return [await db.fetch(query, *values) for query, values in asked]
        finally:
            db.terminate()


def looking(settings: Settings) -> Looking:
    """Where this gateway's records are looked up."""
    if settings.postgres_dsn_file is not None:
        return CentralStore(read_dsn(settings.postgres_dsn_file))
    return Journals(lambda: journals_in(settings.home))


def one(path: Path) -> Looking:
    """A single journal file."""
    return Journals(lambda: (path,))
