"""What the journals say was used of the quotas: what a count begins with.

A count that was never there, or is lost, is opened with this. Every node's own use is found in its
own journal and, where PostgreSQL is the store, in its direct chain.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from datetime import datetime
from pathlib import Path

import asyncpg

from gateway.errors import OperatorError
from gateway.journal.counters import Counters, Total
from gateway.journal.neighbours import journal_id
from gateway.journal.reader import billable_since, queries_since, totals
from gateway.journal.schema import connect_reading
from gateway.quota.port import Holdings, Key
from gateway.serving.quotas import keys_of, standing_of
from metering.calendar import day_begins, month_begins
from metering.rating import LineKey, Pricing

_DIRECT = ".direct"
_ROWS = """
SELECT journal_id, grant_id, qty, billable_qty, time >= $1 AS today, query_hash, tenant, service,
  unit, price_ref, price_micro, to_char(time AT TIME ZONE 'Asia/Shanghai', 'YYYY-MM') AS month
FROM sluice_journal.usage_event WHERE time >= $2 AND journal_id LIKE '%.direct'
"""


class Recount:
    """The counters of every node, as far as its journals were read."""

    def __init__(self, now: datetime, price: Pricing) -> None:
        self._now, self._price = now, price
        self._nodes: dict[str, Counters] = {}

    def add_file(self, path: Path) -> None:
        """What a node's own journal shows of the running day and month."""
        month, day = month_begins(self._now), day_begins(self._now)
        counters = self._node(journal_id(path))
        with closing(connect_reading(path)) as db:
            counters.restore(
                totals(db, month, day),
                queries_since(db, day),
                billable_since(db, month),
                self._now,
            )

    async def add_central(self, dsn: str) -> None:
        """What the nodes recorded straight into PostgreSQL."""
        try:
            server = await asyncpg.connect(dsn, timeout=5)
            try:
                day, month = day_begins(self._now), month_begins(self._now)
                rows = await server.fetch(_ROWS, day, month)
            finally:
                await server.close()
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            raise OperatorError(
                "quota_journal", "The journal in PostgreSQL cannot be read; nothing was opened."
            ) from error
        self._add_rows(rows)

    def used(self) -> Holdings:
        """What each node has used, by counter."""
        found: dict[tuple[Key, str], int] = {}
        for node, counters in self._nodes.items():
            for key in keys_of(counters, self._now):
                standing = standing_of(counters, key, self._now)
                if standing is not None and standing.used:
                    found[key, node] = standing.used
        return found

    def _node(self, name: str) -> Counters:
        counters = self._nodes.get(name)
        if counters is None:
            counters = self._nodes[name] = Counters()
            counters.spending.price_by(self._price)
        return counters

    def _add_rows(self, rows: Iterable[asyncpg.Record]) -> None:
        for row in rows:
            node, today, grant = (
                row["journal_id"].removesuffix(_DIRECT),
                row["today"],
                row["grant_id"],
            )
            total = Total(grant, row["qty"], int(today), row["qty"] if today else 0)
            names = ("month", "tenant", "grant_id", "service", "unit", "price_ref", "price_micro")
            line = LineKey(*(row[name] for name in names))
            asked = [(grant, row["query_hash"])] if today else []
            bill = [(line, row["billable_qty"])]
            self._node(node).restore([total], asked, bill, self._now)
