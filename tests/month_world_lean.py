"""Cheap worlds: a month is added up event by event, without the archive and its engine.

The same pure rules of `metering` over the same journals, and no PDF is drawn. Like the archive, it
does not go on without a journal that it has seen. What the archive's SQL makes of a month is tried
in the whole worlds, of which there are fewer.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from unittest.mock import patch

from gateway.audit import reconcile
from gateway.audit.reconcile import Difference, Reconciliation
from gateway.billing import truth
from gateway.billing.pdf import render
from gateway.billing.terms import Terms
from gateway.billing.truth import Evidence, Month
from gateway.errors import OperatorError
from gateway.journal.events import AUDITED, CHARGED, USAGE, EventSource, Heads, within
from metering.overlap import CellCharge, overcharged
from metering.rating import Accrual, LineKey, Pricing, accrue, charge, key_of
from metering.sharing import Contribution, weigh
from metering.usage import UsageError, UsageEvent, distinct, from_record, time_of
from tests.month_world_auditor import BUREAU
from tests.month_world_site import FREE, Site


@contextmanager
def everywhere(original: object, other: object) -> Iterator[None]:
    """Whoever of the product imported one thing gets another."""
    with ExitStack() as undo:
        for name, module in list(sys.modules.items()):
            if name.startswith(("gateway", "metering")) or name == __name__:
                held = [key for key, value in vars(module).items() if value is original]
                for key in held:
                    undo.enter_context(patch.object(module, key, other))
        yield


@contextmanager
def lean(site: Site) -> Iterator[None]:
    """Worlds are cheap inside this."""
    with (
        everywhere(truth.month_of_account, _month_of(site)),
        everywhere(truth.months_used, _months_used(site)),
        everywhere(reconcile.reconcile, _reconciled),
        everywhere(render.render, _drawn),
    ):
        yield


def _drawn(body: bytes, signature: str) -> bytes:
    """Something that changes with what is to be drawn."""
    return hashlib.sha256(body + signature.encode()).digest()


def _used(events: EventSource, until: Heads | None) -> tuple[UsageEvent, ...]:
    found = []
    for batch in events.rows(USAGE, {}, within(events.heads(), until)):
        for row in batch.to_pylist():
            row["grant"] = row.pop("grant_id")
            del row["journal"], row["seq"]
            with suppress(UsageError):  # reconciliation reports it, and the month stays open
                found.append(from_record(row))
    return distinct(found)


@dataclass(frozen=True)
class Counted:
    """Events by id, and the cells that each of them is charged for, by place."""

    events: Mapping[str, UsageEvent]
    cells: Mapping[tuple[str, int], int]

    def sums(self) -> dict[LineKey, Accrual]:
        """What every line of every month comes to."""
        sums = accrue(self.events.values())
        kept: dict[str, int] = {}
        for (event_id, _), cells in self.cells.items():
            kept[event_id] = kept.get(event_id, 0) + cells.bit_count()
        for event_id, cells in kept.items():
            again = self.events[event_id].billable_qty - cells
            sums[key_of(self.events[event_id])] += Accrual(billable=-again, repeated=again)
        return sums


def _counted(source: EventSource, until: Heads | None) -> Counted:
    events = {event.event_id: event for event in _used(source, until)}
    charges = set(_charges(source, until))
    kept = {(one.event_id, one.place): one.cells for one in charges}
    for one in overcharged(charges):
        kept[one.event_id, one.place] &= ~one.cells
    return Counted(events, {key: cells for key, cells in kept.items() if key[0] in events})


def _charges(source: EventSource, until: Heads | None) -> Iterator[CellCharge]:
    for batch in source.rows(CHARGED, {}, within(source.heads(), until)):
        for row in batch.to_pylist():
            time, cells = time_of(row["time"]), int.from_bytes(row["cells"], "big")
            whose = (row["tenant"], row["release"], row["place"])
            yield CellCharge(*whose, time, row["event_id"], cells)


def _reconciled(events: EventSource, price: Pricing) -> Reconciliation:
    """Answers against usage, and the lines; that no row was edited is what the audit sees."""
    heads, found = events.heads(), []
    answered = {
        row["request_id"]
        for batch in events.rows(AUDITED, {}, heads)
        for row in batch.to_pylist()
        if row["result"] == "answered"
    }
    counted = _counted(events, None)
    used = counted.events.values()
    for request in answered ^ {event.request_id for event in used}:
        found.append(Difference("answer_without_usage", request, "counted on one side only"))
    cells = sum(event.qty for event in used)
    counts = (len(answered), len(answered), len(used), 0, cells, cells)
    return Reconciliation(*counts, charge(counted.sums(), price), tuple(found))


def _months_used(site: Site) -> Callable[[Evidence], tuple[str, ...]]:
    def months_used(evidence: Evidence) -> tuple[str, ...]:
        heads = {journal: seq for journal, seq in evidence.events.heads().items() if seq}
        for journal in site.taken.keys() - heads.keys():
            raise OperatorError("journal_missing", f"{journal} was taken before")
        site.taken.update(heads)
        return tuple(sorted({event.month for event in _used(evidence.events, None)}))

    return months_used


def _month_of(site: Site) -> Callable[..., Month]:
    known: dict[tuple[object, ...], Counted] = {}

    def month_of_account(
        evidence: Evidence, terms: Terms, month: str, until: Heads | None = None
    ) -> Month:
        heads = (site.worlds, *sorted(within(evidence.events.heads(), until).items()))
        if heads not in known:  # a journal grows and does not change, or its month stays open
            known.clear()
            known[heads] = _counted(evidence.events, until)
        counted = known[heads]
        parts: dict[str, list[Contribution]] = {}
        for (event_id, place), cells in counted.cells.items():
            event = counted.events[event_id]
            if event.month == month and event.unit != FREE:
                parts.setdefault(event.service, []).extend(_parts(site, event, place, cells))
        weights = {
            service: _named(weigh(found, terms.strategy_of(service)))
            for service, found in parts.items()
        }
        sums = counted.sums().items()
        lines = charge({key: sum_ for key, sum_ in sums if key.month == month}, evidence.price)
        return truth.with_lines(Month(month, (), weights, {}, terms), lines)

    return month_of_account


def _parts(site: Site, event: UsageEvent, place: int, cells: int) -> Iterator[Contribution]:
    release, _, profile = event.providers_ref.partition("/")
    for chunk in site.chunks[release, profile]:
        count = (cells & chunk.bits).bit_count() if chunk.place == place else 0
        if count:
            for provider, share in chunk.shares:
                yield Contribution(provider, share * count, provider in chunk.alone)


def _named(weights: dict[str, int]) -> dict[str, int]:
    named = {name: weight for name, weight in weights.items() if name != "unknown"}
    if "unknown" in weights:
        named[BUREAU] = named.get(BUREAU, 0) + weights["unknown"]
    return named
