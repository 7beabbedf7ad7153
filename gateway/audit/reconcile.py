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

from gateway.journal.counters import REPEAT_WINDOW
from gateway.journal.reader import used_rows
from gateway.journal.schema import connect_reading
from metering.rating import Accrual, ChargeLine, LineKey, charge, rate
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
  sum(billable_qty), sum(iif(repeat_of IS NULL, 0, qty))
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


def reconcile(path: Path) -> Reconciliation:
    """Compare decisions, audit events, usage events and amounts of a journal."""
    with closing(connect_reading(path)) as db:
        db.execute("BEGIN")
        answers, decisions, usage, refusals, audited, metered = db.execute(_COUNTS).fetchone()
        found = list(_records_differ(db))
        lines = rate(_valid(db, found))
        found += _amounts_differ(lines, db)
    return Reconciliation(
        answers, decisions, usage, refusals, audited, metered, lines, tuple(found)
    )


def _records_differ(db: sqlite3.Connection) -> Iterator[Difference]:
    for code, (message, query) in _CHECKS.items():
        for (subject,) in db.execute(query):
            yield Difference(code, subject, message)


def _valid(db: sqlite3.Connection, found: list[Difference]) -> Iterator[UsageEvent]:
    """Usage events one by one; what is wrong with one is noted on the way, and it is not rated."""
    charges = _Charges(found)
    for plain in used_rows(db):
        try:
            event = from_record(plain)
        except (UsageError, ValueError) as error:
            found.append(Difference("usage_invalid", str(plain["request_id"]), str(error)))
            continue
        charges.check(event)
        yield event


class _Charges:
    """Within 30 days the same answer is charged once: exactly the later ones are repeats of it."""

    def __init__(self, found: list[Difference]) -> None:
        self._found = found
        self._charged: dict[tuple[str, str, str, str], tuple[datetime, str]] = {}

    def check(self, event: UsageEvent) -> None:
        """Note a repeat that was charged, and a free answer that repeats nothing."""
        key = (event.grant, event.release, event.query_hash, event.page)
        time, first = self._charged.get(key, (event.time - REPEAT_WINDOW, None))
        owed = event.time - time >= REPEAT_WINDOW
        if event.repeat_of is None:
            self._charged[key] = (event.time, event.event_id)
            if not owed:
                self._differs("charged_twice", event, "a repeat was charged again")
        elif owed or event.repeat_of != first:
            self._differs("repeat_of_nothing", event, "free as a repeat of no charged answer")

    def _differs(self, code: str, event: UsageEvent, message: str) -> None:
        self._found.append(Difference(code, event.request_id, message))


def _amounts_differ(lines: tuple[ChargeLine, ...], db: sqlite3.Connection) -> Iterator[Difference]:
    """Amounts from single events against amounts from the sums tenants are shown."""
    sums = {LineKey(*row[:7]): Accrual(*row[7:]) for row in db.execute(_SUMS) if row[4] in PACKS}
    shown = {line.line_id: line for line in charge(sums)}
    for line in lines:
        if shown.get(line.line_id) != line:
            yield Difference("amount_differs", line.line_id, "sums and events disagree")
