"""Reconciliation: every answer has one decision, one audit event and one usage event, which agree.

Over all journals together. Nothing is assumed from the constraints of a store: a journal edited by
hand is judged alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gateway.audit.agreement import Agreement
from gateway.audit.findings import Difference
from gateway.audit.singly import Singly
from gateway.journal.engine import engine
from gateway.journal.events import EventSource, one_journal
from metering.rating import Accruals, ChargeLine, Pricing, charge, less_repeated, stamped_price


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
        singly = Singly(db)
        found += singly.differences()
        valid, every = singly.sums()
        found += _amounts_differ(valid, every)
        lines = charge(less_repeated(valid, agreement.overcharged()), price)
        counts = agreement.counts()
    return Reconciliation(*counts, lines, tuple(found))


def _amounts_differ(valid: Accruals, every: Accruals) -> Iterator[Difference]:
    """What valid events come to against what all of them do. Nothing is priced: what is wrong with
    an event may be its price."""
    for key in sorted(valid):
        if every.get(key) != valid[key]:
            yield Difference("amount_differs", key.line_id, "sums and events disagree")
