"""Reconciliation: every answer has one decision, one audit event and one usage event, which agree.

Over all journals together. Nothing is assumed from the constraints of a store: a journal edited by
hand is judged alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path

from gateway.audit.agreement import Agreement, Difference, Metered
from gateway.journal.engine import engine
from gateway.journal.entry import BY_CELL
from gateway.journal.events import EventSource, one_journal
from gateway.journal.reader import USAGE_COLUMNS, ChargedRow
from metering.overlap import REPEAT_WINDOW
from metering.rating import (
    Accruals,
    ChargeLine,
    Pricing,
    accrue,
    charge,
    less_repeated,
    stamped_price,
)
from metering.usage import FIELDS, UsageError, UsageEvent, from_record

_NAMES = tuple(zip(FIELDS, USAGE_COLUMNS.split(", "), strict=True))


@dataclass(frozen=True)
class Reconciliation:
    """Counts that must be equal, charge lines computed from events, and every difference."""

    answers: int
    decisions: int
    usage_events: int
    refusals: int
    cells_audited: int
    cells_metered: int
    lines: tuple[ChargeLine, ...]
    differences: tuple[Difference, ...]


def reconcile(events: EventSource | Path, price: Pricing = stamped_price) -> Reconciliation:
    """Compare decisions, audit events, usage events and amounts of journals, or of a file."""
    source = one_journal(events) if isinstance(events, Path) else events
    with engine() as db:
        agreement = Agreement(db, source, source.heads())
        found = list(agreement.differences())
        sums = accrue(_valid(agreement.usage(), found))
        found += _amounts_differ(sums, agreement.sums(), price)
        lines = charge(less_repeated(sums, agreement.overcharged()), price)
        counts = agreement.counts()
    return Reconciliation(*counts, lines, tuple(found))


def _valid(metered: Iterable[Metered], found: list[Difference]) -> Iterator[UsageEvent]:
    """Usage events one by one; what is wrong with one is noted on the way, and it is not rated."""
    for _, events in groupby(metered, key=lambda one: one.journal):
        charges = _Charges(found)
        for one in events:
            plain = {name: one.row[column] for name, column in _NAMES}
            try:
                event = from_record(plain)
            except (UsageError, ValueError) as error:
                found.append(Difference("usage_invalid", str(plain["request_id"]), str(error)))
                continue
            charges.check(event, one.charged)
            yield event


class _Charges:
    """Within 30 days a journal charges a tenant once for a cell of a release, and what an event
    bills is the cells it charges."""

    def __init__(self, found: list[Difference]) -> None:
        self._found = found
        self._cells: dict[tuple[str, str, int], list[tuple[datetime, int]]] = {}

    def check(self, event: UsageEvent, charged: Iterable[ChargedRow]) -> None:
        """Note cells charged twice, and bills that are not those of cells."""
        cells = sum(self._charge(row, event) for row in charged)
        if (cells or event.unit == BY_CELL) and cells != event.billable_qty:
            self._differs("bill_differs", event, "its bill is not that of the cells it charges")

    def _charge(self, row: ChargedRow, event: UsageEvent) -> int:
        """How many cells the row charges."""
        key = (row.tenant, row.release, row.place)
        earlier = [e for e in self._cells.get(key, ()) if event.time - e[0] < REPEAT_WINDOW]
        if any(cells & row.cells for _, cells in earlier):
            self._differs("charged_twice", event, "a cell was charged again within 30 days")
        if key[:2] != (event.tenant, event.release):
            self._differs("bill_differs", event, "it charges cells of another tenant or release")
        self._cells[key] = [*earlier, (event.time, row.cells)]
        return row.cells.bit_count()

    def _differs(self, code: str, event: UsageEvent, message: str) -> None:
        self._found.append(Difference(code, event.request_id, message))


def _amounts_differ(single: Accruals, sums: Accruals, price: Pricing) -> Iterator[Difference]:
    """Amounts from single events against amounts from the engine's sums."""
    shown = {line.line_id: line for line in charge(sums, price)}
    for line in charge(single, price):
        if shown.get(line.line_id) != line:
            yield Difference("amount_differs", line.line_id, "sums and events disagree")
