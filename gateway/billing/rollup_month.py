"""A month out of its hours: sums per line, and cells that were charged, as of a vector of heads.

An hour all of whose events count is taken as it was rolled up; one that got events later is added
up again without them. What two processes charged for both is taken off the later one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

import pyarrow as pa

from gateway.billing.archive_index import Part
from gateway.billing.rollup import CHARGED_BY_HOUR, USAGE_BY_HOUR, Rollups
from gateway.billing.rollup_crossed import note_crossed
from gateway.billing.watermark import hour_begins, hours_of
from gateway.journal.engine import batches
from gateway.journal.events import EventSource, Heads
from metering.overlap import CellCharge, overcharged_in_order
from metering.rating import Accrual, LineKey, less_repeated

_KEY = "tenant, grant_id, service, unit, price_ref, price_micro"
_LINES = f"""
SELECT {_KEY}, sum(answers)::BIGINT, sum(qty)::BIGINT, sum(billable)::BIGINT
FROM month_usage GROUP BY ALL
"""
_CELLS = """
SELECT service, providers_ref, place, cells, sum(times)::BIGINT AS times
FROM month_charged WHERE NOT free GROUP BY ALL ORDER BY service, providers_ref
"""
_HOURS = """
SELECT DISTINCT hour FROM ({charged}) SEMI JOIN crossed USING (tenant, release, place)
ORDER BY 1
"""
_CHARGES = f"""
SELECT tenant, release, place, time, event_id, min(cells) AS cells,
  min(grant_id) AS grant_id, min(service) AS service, min(unit) AS unit,
  min(price_ref) AS price_ref, min(price_micro) AS price_micro, min(providers_ref) AS providers_ref
FROM (
  SELECT {_KEY}, release, time, event_id, providers_ref, unnest(charged, recursive := true)
  FROM told WHERE len(charged) > 0
) SEMI JOIN crossed USING (tenant, release, place)
GROUP BY tenant, release, place, time, event_id ORDER BY ALL
"""

Source: TypeAlias = tuple[str, str]
"""A service, and the release under a profile that its cells came from."""


@dataclass(frozen=True)
class Credited:
    """Cells that an event charged although they were charged before, and what they are part of."""

    charge: CellCharge
    cells_charged: int
    key: LineKey
    providers_ref: str


class MonthSums:
    """What one month adds up to, as far as events up to `until` say."""

    def __init__(
        self, rollups: Rollups, events: EventSource, month: str, until: Heads | None = None
    ) -> None:
        self._rollups, self._db, self._until = rollups, rollups.db, until
        self.month = month
        self._begins, self._ends = hours_of(month)
        self._several = len({part.journal for part in rollups.archive.index.parts()}) > 1
        rollups.make_sure(events, 0 if self._several else self._begins, self._ends)
        if until is not None:  # money is about to move, or to be found again
            rollups.prove(events, self._begins, self._ends)
        self._load()
        self.credited = tuple(self._credits()) if self._several else ()

    def accruals(self) -> dict[LineKey, Accrual]:
        """Sums of each line, what was charged twice counting as repeated."""
        sums = {}
        for *key, answers, qty, billable in self._db.execute(_LINES).fetchall():
            sums[LineKey(self.month, *key)] = Accrual(answers, qty, billable, qty - billable)
        again: Counter[LineKey] = Counter()
        for one in self.credited:
            again[one.key] += one.charge.cells.bit_count()
        return less_repeated(sums, again)

    def cells(self) -> Iterator[tuple[Source, pa.Table]]:
        """Charged cells as bits of places and how often they count, by source, in its order."""
        for batch in batches(self._db, _CELLS, 50_000):
            table = pa.table(batch)
            named = (table[name].to_pylist() for name in ("service", "providers_ref"))
            for source, rows in _runs(list(zip(*named, strict=True))):
                yield source, table.slice(rows.start, len(rows))

    def given_back(self) -> dict[Source, Counter[tuple[int, int]]]:
        """By how much each set of cells of a place counts otherwise, for what was credited."""
        found: dict[Source, Counter[tuple[int, int]]] = defaultdict(Counter)
        for one in self.credited:
            if one.key.unit != "free":
                counts, place = found[one.key.service, one.providers_ref], one.charge.place
                counts[place, one.cells_charged] -= 1
                counts[place, one.cells_charged & ~one.charge.cells] += 1
        return dict(found)

    def _load(self) -> None:
        """Views of the month's hours: those that count whole, and the others computed anew."""
        index = self._rollups.archive.index
        parts = index.parts(self._begins, self._ends)
        cut = {part.hour for part in parts if not self._counts(part)}
        rolled = index.rolled(self._begins, self._ends)
        whole = [one for hour, one in rolled.items() if hour not in cut]
        self._rollups.tell([part for part in parts if part.hour in cut], self._until)
        self._db.execute(f"CREATE OR REPLACE TEMP TABLE some_usage AS {USAGE_BY_HOUR}")
        self._db.execute(f"CREATE OR REPLACE TEMP TABLE some_charged AS {CHARGED_BY_HOUR}")
        for kind, live in (
            ("usage", [(one.hour, one.usage) for one in whole]),
            ("charged", [(one.hour, one.charged) for one in whole]),
        ):
            view = f"CREATE OR REPLACE TEMP VIEW month_{kind} AS SELECT * FROM some_{kind}"
            self._rollups.live(f"live_{kind}", live)
            more = self._rollups.read((file for _, file in live), f"live_{kind}")
            self._db.execute(f"{view} UNION ALL BY NAME {more}" if live else view)

    def _counts(self, part: Part) -> bool:
        return self._until is None or part.last <= self._until.get(part.journal, 0)

    def _credits(self) -> Iterator[Credited]:
        """What events of this month charged again, by all charges of its releases so far."""
        index = self._rollups.archive.index
        rolled = [(one.hour, one.charged) for one in index.rolled(0, self._ends).values()]
        if not rolled:
            return
        self._rollups.live("live_ever", rolled)
        charged = self._rollups.read((file for _, file in rolled), "live_ever")
        if not note_crossed(self._db, charged):
            return
        hours = {hour for (hour,) in self._db.execute(_HOURS.format(charged=charged)).fetchall()}
        told = [part for part in index.parts(0, self._ends) if part.hour in hours]
        self._rollups.hold(told, self._until)
        begins = hour_begins(self._begins)
        known: dict[tuple[str, int], Credited] = {}
        for charge in overcharged_in_order(self._charges(known)):
            if charge.time >= begins:
                yield replace(known[charge.event_id, charge.place], charge=charge)

    def _charges(self, known: dict[tuple[str, int], Credited]) -> Iterator[CellCharge]:
        """Charges of places that several journals charged, in order. What they are part of goes to
        `known`, for as long as charges of the same place follow."""
        last = None
        for batch in batches(self._db, _CHARGES, 20_000):
            for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                tenant, release, place, time, event_id, raw, grant, *line, reference = row
                charge = CellCharge(
                    tenant, release, place, time, event_id, int.from_bytes(raw, "big")
                )
                if (tenant, release, place) != last:
                    known.clear()
                    last = (tenant, release, place)
                key = LineKey(self.month, tenant, grant, *line)
                known[event_id, place] = Credited(charge, charge.cells, key, reference)
                yield charge


def _runs(names: list[Source]) -> Iterator[tuple[Source, range]]:
    """Stretches of equal names."""
    start = 0
    for at in range(1, len(names) + 1):
        if at == len(names) or names[at] != names[start]:
            yield names[start], range(start, at)
            start = at
