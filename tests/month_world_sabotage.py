"""One planted bug for each invariant: put in from outside, never in the product.

Each is what somebody might really write. The simulation must find every one of them, or what it
says about the product means nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any, Final, NamedTuple
from unittest.mock import patch

from gateway.audit import reconcile, verify
from gateway.billing import books, disputes, truth
from gateway.catalogue import tariff as catalogue
from gateway.db.billing_tables import DisputeRow
from gateway.db.event_ids import uuid7
from gateway.journal import counters, schema
from gateway.journal.spool import Spool
from gateway.journal.stamp import Stamp, Stamper
from metering import allotment, ledger, movements, rating
from metering.movements import Booking
from tests.month_world_lean import everywhere


@contextmanager
def answer_before_it_is_stored() -> Iterator[None]:
    """I1: a batch is acknowledged when it is queued, and written with the next one."""
    queued: dict[int, list[Any]] = {}
    stored = Spool.append

    def append(spool: Spool, entries: list[Any], *_unsure: Any) -> list[None]:
        before, queued[id(spool)] = queued.get(id(spool), []), list(entries)
        if before:
            stored(spool, before)
        return [None] * len(entries)

    with patch.object(Spool, "append", append):
        yield


def no_unique_key() -> AbstractContextManager[object]:
    """I2: a request that is handed in again is stored again."""
    return patch.object(schema, "TABLES", schema.TABLES.replace(" UNIQUE", ""))


def whatever_has_the_name_is_the_same() -> AbstractContextManager[object]:
    """I3: another content under a known name is taken for a repetition."""
    return patch.object(Spool, "_why_refused", lambda _spool, _entry: None)


def rows_may_change() -> AbstractContextManager[object]:
    """I4: the journal has no triggers."""
    return patch.object(schema, "_APPEND_ONLY", "")


@contextmanager
def a_fen_from_nowhere() -> Iterator[None]:
    """I5: a payment is booked a fen higher in cash, and nobody adds the entry up."""
    payment = movements.payment

    def generous(tenant: str, fen: int, booking: Booking, *, receipt: str) -> ledger.Entry:
        entry = payment(tenant, fen, booking, receipt=receipt)
        first, second = entry.postings
        return replace(entry, postings=(replace(first, fen=first.fen + 1), second))

    unchecked = patch.object(ledger.Entry, "__post_init__", lambda _entry: None)
    with unchecked, patch.object(movements, "payment", generous):
        yield


def the_clock_may_step_back() -> AbstractContextManager[object]:
    """I6: an event gets the time of day, whatever the journal ends with."""
    ticks = iter(range(1, 10**9))

    def stamp(_stamper: Stamper, now: Any) -> Stamp:
        return Stamp(uuid7((1 << 50) + next(ticks), 1), now)

    return patch.object(Stamper, "stamp", stamp)


def late_events_are_dropped() -> AbstractContextManager[object]:
    """I7: only the newest month is looked at; what comes late for an earlier one is lost."""
    used = truth.months_used
    return everywhere(used, lambda evidence: used(evidence)[-1:])


def a_published_price_may_change() -> AbstractContextManager[object]:
    """I8: nobody compares a price list with the one before."""
    return everywhere(catalogue.changed_prices, lambda _before, _after: iter(()))


@contextmanager
def corrections_in_the_closed_month() -> Iterator[None]:
    """I9: a later truth is booked in the month it is about, and nobody looks whether it is open."""
    post = books.post

    def back_dated(session: Any, entries: Iterable[ledger.Entry]) -> int:
        return post(session, [replace(entry, period=entry.service_period) for entry in entries])

    unlocked = patch.object(books, "BillingMonthRow", DisputeRow)
    with unlocked, patch.object(books, "post", back_dated):
        yield


def whole_yuan() -> AbstractContextManager[object]:
    """I10: a line is rounded once more, down to whole yuan."""
    charge = rating.charge

    def rounded(*given: Any) -> tuple[rating.ChargeLine, ...]:
        return tuple(
            replace(line, amount_fen=line.amount_fen // 100 * 100) for line in charge(*given)
        )

    return everywhere(charge, rounded)


def the_first_takes_the_rest() -> AbstractContextManager[object]:
    """I11: what is left over after whole fen goes to the first party."""

    def allot(total: int, weights: Mapping[str, int]) -> dict[str, int]:
        whole = sum(weights.values()) or 1
        parts = {name: total * weight // whole for name, weight in weights.items()}
        if any(weights.values()):
            parts[min(parts)] += total - sum(parts.values())
        return parts

    return everywhere(allotment.allot, allot)


def decided_twice() -> AbstractContextManager[object]:
    """I12: a dispute that was decided may be decided again."""

    def whatever_its_state(session: Any, case: str) -> Any:
        return session.get(DisputeRow, case)

    return patch.object(disputes, "_open_case", whatever_its_state)


def reservations_do_not_count() -> AbstractContextManager[object]:
    """I13: calls on their way are not seen by others."""
    seen_by = counters._Use.seen_by

    def blind(use: Any, query: str) -> Any:
        held = use.cells_held
        use.cells_held = 0
        try:
            return seen_by(use, query)
        finally:
            use.cells_held = held

    return patch.object(counters._Use, "seen_by", blind)


def one_service_is_not_shared() -> AbstractContextManager[object]:
    """I14: the fees of a service stay in suspense."""
    share = movements.share

    def forgetful(service: str, *rest: Any) -> Any:
        return None if service == "S09" else share(service, *rest)

    return patch.object(movements, "share", forgetful)


@contextmanager
def nobody_looks() -> Iterator[None]:
    """I15: whatever reconciliation and the audit find is passed over."""
    reconciled, verified = reconcile.reconcile, verify.verify

    def agrees(*given: Any) -> Any:
        return replace(reconciled(*given), differences=())

    def holds(*given: Any) -> Any:
        return replace(verified(*given), findings=())

    with everywhere(reconciled, agrees), everywhere(verified, holds):
        yield


class Planted(NamedTuple):
    """A bug, and the invariant that it breaks."""

    invariant: str
    plant: Callable[[], AbstractContextManager[object]]


PLANTED: Final = (
    Planted("I1", answer_before_it_is_stored),
    Planted("I2", no_unique_key),
    Planted("I3", whatever_has_the_name_is_the_same),
    Planted("I4", rows_may_change),
    Planted("I5", a_fen_from_nowhere),
    Planted("I6", the_clock_may_step_back),
    Planted("I7", late_events_are_dropped),
    Planted("I8", a_published_price_may_change),
    Planted("I9", corrections_in_the_closed_month),
    Planted("I10", whole_yuan),
    Planted("I11", the_first_takes_the_rest),
    Planted("I12", decided_twice),
    Planted("I13", reservations_do_not_count),
    Planted("I14", one_service_is_not_shared),
    Planted("I15", nobody_looks),
)
