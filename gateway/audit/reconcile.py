"""Reconciliation: every answer has one decision, one audit event and one usage event, which agree.

Nothing is assumed from the constraints of the file: a journal edited by hand is judged alike.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from gateway.journal.charges import REPEAT_WINDOW
from gateway.journal.entry import BY_CELL
from gateway.journal.reader import CellsByEvent, ChargedRow, charged_rows, used_rows
from gateway.journal.schema import connect_reading
from metering.rating import (
    Accrual,
    ChargeLine,
    LineKey,
    Pricing,
    charge,
    rate,
    stamped_price,
)
from metering.tariff import PACKS
from metering.usage import UsageError, UsageEvent, from_record

# code → ids of what differs, and what the code means. `?` never appears: the checks take no input.
_CHECKS = {
    "answer_without_usage": (
        "answered, but nothing was metered",
        "SELECT a.request_id FROM audit_event a LEFT JOIN usage_event u"
        " ON u.request_id = a.request_id WHERE a.result = 'answered' AND u.seq IS NULL",
    ),
    "usage_without_answer": (
        "metered, but the audit shows no answer",
        "SELECT u.request_id FROM usage_event u LEFT JOIN audit_event a"
        " ON a.request_id = u.request_id AND a.result = 'answered' WHERE a.seq IS NULL",
    ),
    "usage_without_permission": (
        "metered, but no decision allowed it",
        "SELECT u.request_id FROM usage_event u LEFT JOIN decision d"
        " ON d.request_id = u.request_id AND d.allow = 1 WHERE d.seq IS NULL",
    ),
    "refusal_answered": (
        "refused by the decision, yet answered",
        "SELECT a.request_id FROM audit_event a JOIN decision d ON d.request_id = a.request_id"
        " WHERE d.allow = 0 AND a.result = 'answered'",
    ),
    "decision_without_audit": (
        "decided, but not audited",
        "SELECT d.request_id FROM decision d LEFT JOIN audit_event a"
        " ON a.request_id = d.request_id WHERE a.seq IS NULL",
    ),
    "cells_differ": (
        "audit and usage count different cells",
        "SELECT u.request_id FROM usage_event u JOIN audit_event a ON a.request_id = u.request_id"
        " WHERE a.cells IS NOT u.qty",
    ),
    "parties_differ": (
        "audit, decision and usage name different tenants, grants, services or decisions",
        "SELECT u.request_id FROM usage_event u JOIN audit_event a ON a.request_id = u.request_id"
        " JOIN decision d ON d.request_id = u.request_id WHERE u.tenant IS NOT a.tenant"
        " OR u.grant_id IS NOT a.grant_id OR u.service IS NOT a.service"
        " OR u.decision_id IS NOT d.decision_id",
    ),
    "recorded_twice": (
        "more than one record of the same request",
        " UNION ".join(
            f"SELECT request_id FROM {table} GROUP BY request_id HAVING count(*) > 1"
            for table in ("audit_event", "decision", "usage_event")
        ),
    ),
    "event_twice": (
        "one event id on two usage events",
        "SELECT event_id FROM usage_event GROUP BY event_id HAVING count(*) > 1",
    ),
}
_COUNTS = """
SELECT (SELECT count(*) FROM audit_event WHERE result = 'answered'),
  (SELECT count(*) FROM decision d JOIN audit_event a USING (seq)
   WHERE d.allow = 1 AND a.result = 'answered'),
  (SELECT count(*) FROM usage_event),
  (SELECT count(*) FROM audit_event WHERE result = 'refused'),
  (SELECT coalesce(sum(cells), 0) FROM audit_event WHERE result = 'answered'),
  (SELECT coalesce(sum(qty), 0) FROM usage_event)
"""
_SUMS = """
SELECT month, tenant, grant_id, service, unit, price_ref, price_micro, count(*), sum(qty),
  sum(billable_qty), sum(qty - billable_qty)
FROM usage_event GROUP BY 1, 2, 3, 4, 5, 6, 7
"""


@dataclass(frozen=True)
class Difference:
    """Something that does not agree, with the id it is about."""

    code: str
    subject: str
    message: str


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


def reconcile(path: Path, price: Pricing = stamped_price) -> Reconciliation:
    """Compare decisions, audit events, usage events and amounts of a journal."""
    with closing(connect_reading(path)) as db:
        db.execute("BEGIN")
        answers, decisions, usage, refusals, audited, metered = db.execute(_COUNTS).fetchone()
        found = list(_records_differ(db))
        lines = rate(_valid(db, found), price)
        found += _amounts_differ(lines, db, price)
    return Reconciliation(
        answers, decisions, usage, refusals, audited, metered, lines, tuple(found)
    )


def _records_differ(db: sqlite3.Connection) -> Iterator[Difference]:
    for code, (message, query) in _CHECKS.items():
        for (subject,) in db.execute(query):
            yield Difference(code, subject, message)


def _valid(db: sqlite3.Connection, found: list[Difference]) -> Iterator[UsageEvent]:
    """Usage events one by one; what is wrong with one is noted on the way, and it is not rated."""
    charges = _Charges(db, found)
    for seq, plain in used_rows(db):
        try:
            event = from_record(plain)
        except (UsageError, ValueError) as error:
            found.append(Difference("usage_invalid", str(plain["request_id"]), str(error)))
            charges.skip(seq)
            continue
        charges.check(seq, event)
        yield event
    charges.end()


class _Charges:
    """Within 30 days a tenant is charged once for a cell of a release, and what an event bills is
    the cells it charges."""

    def __init__(self, db: sqlite3.Connection, found: list[Difference]) -> None:
        self._found = found
        self._rows = CellsByEvent(charged_rows(db))
        self._cells: dict[tuple[str, str, int], list[tuple[datetime, int]]] = {}
        self._events: dict[str, tuple[str, str, datetime]] = {}

    def check(self, seq: int, event: UsageEvent) -> None:
        """Note cells charged twice, bills that are not those of cells, repeats of nothing."""
        cells = sum(self._charge(row, event) for row in self._rows.of(seq))
        if (cells or event.unit == BY_CELL) and cells != event.billable_qty:
            self._differs("bill_differs", event, "its bill is not that of the cells it charges")
        if event.repeat_of is None:
            self._events[event.event_id] = (event.tenant, event.release, event.time)
        elif not self._repeats(event):
            self._differs("repeat_of_nothing", event, "free as a repeat of no charged answer")

    def skip(self, seq: int) -> None:
        """An event that cannot be read bills nothing."""
        for _ in self._rows.of(seq):
            pass

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

    def _repeats(self, event: UsageEvent) -> bool:
        """Whether the event named was charged to the same tenant for the same release, lately."""
        tenant, release, time = self._events.get(str(event.repeat_of), ("", "", event.time))
        same = (tenant, release) == (event.tenant, event.release)
        return same and event.time - time < REPEAT_WINDOW

    def end(self) -> None:
        """After the last event no cells may be left."""
        for row in self._rows.rest():
            subject, message = f"event {row.seq}", "cells charged, but not metered"
            self._found.append(Difference("charge_without_usage", subject, message))

    def _differs(self, code: str, event: UsageEvent, message: str) -> None:
        self._found.append(Difference(code, event.request_id, message))


def _amounts_differ(
    lines: tuple[ChargeLine, ...], db: sqlite3.Connection, price: Pricing
) -> Iterator[Difference]:
    """Amounts from single events against amounts from the sums tenants are shown."""
    sums = {LineKey(*row[:7]): Accrual(*row[7:]) for row in db.execute(_SUMS) if row[4] in PACKS}
    shown = {line.line_id: line for line in charge(sums, price)}
    for line in lines:
        if shown.get(line.line_id) != line:
            yield Difference("amount_differs", line.line_id, "sums and events disagree")
