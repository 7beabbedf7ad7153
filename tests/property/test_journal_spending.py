"""What a month costs so far, against the bill of the same events; limits are never passed."""

from __future__ import annotations

import asyncio
import threading
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.journal.counters import Counters
from gateway.journal.spending import Payer, Spending, Spent
from metering.calendar import month_of
from metering.rating import rate
from metering.usage import UsageEvent
from tests.journal_factory import NOON, answered, opened, usage

PAYERS = [Payer("t-life", "g-life"), Payer("t-life", "g-travel"), Payer("t-drugs", "g-drugs")]


@dataclass(frozen=True)
class Step:
    """One call: who, after how long, how many billable cells, at which price, stored or not."""

    payer: Payer
    pause: timedelta
    billable: int
    price_micro: int
    stored: bool


steps = st.lists(
    st.builds(
        Step,
        st.sampled_from(PAYERS),
        st.sampled_from([timedelta(0), timedelta(hours=5), timedelta(days=9)]),
        st.integers(0, 2500),
        st.sampled_from([40_000_000, 12_345, 0]),
        st.booleans(),
    ),
    max_size=30,
)


def billed(events: list[UsageEvent], now: datetime) -> int:
    month = month_of(now)
    return sum(line.amount_fen for line in rate(e for e in events if e.month == month))


def owed(events: list[UsageEvent], payer: Payer, now: datetime) -> Spent:
    """The oracle: the bill of everything that was recorded in the month."""
    mine = [event for event in events if event.tenant == payer.tenant]
    return Spent(
        grant_fen=billed([event for event in mine if event.grant == payer.grant], now),
        tenant_fen=sum(
            billed([event for event in mine if event.grant == grant], now)
            for grant in {event.grant for event in mine}
        ),
    )


def event(number: int, step: Step, now: datetime) -> UsageEvent:
    return usage(
        number,
        tenant=step.payer.tenant,
        grant=step.payer.grant,
        qty=step.billable,
        billable_qty=step.billable,
        price_micro=step.price_micro,
        time=now,
    )


@settings(max_examples=120, deadline=None)
@given(steps)
def test_what_is_owed_is_the_bill_of_what_was_recorded(asked: list[Step]) -> None:
    counters, events, now = Counters(), [], NOON
    for number, step in enumerate(asked, start=1):
        now += step.pause
        tenant, grant = step.payer
        with counters.reserve(grant, "q", 2500, now, tenant=tenant, estimate_fen=12_000) as hold:
            assert hold.cost.spent == owed(events, step.payer, now)
            if step.stored:
                events.append(event(number, step, now))
            hold.hand_over(step.billable, events[-1] if step.stored else None)(step.stored)


def test_a_call_in_flight_holds_the_most_it_can_cost() -> None:
    spending = Spending()
    life, travel = PAYERS[:2]
    assert spending.hold(life, 700, NOON) == Spent(0, 0)
    assert spending.hold(travel, 50, NOON) == Spent(0, 700)
    assert spending.hold(life, 0, NOON) == Spent(700, 750)
    spending.settle(life, 700, NOON, None)
    assert spending.hold(life, 0, NOON) == Spent(0, 50)


def test_a_reservation_outlives_the_end_of_a_month() -> None:
    spending, later = Spending(), NOON + timedelta(days=20)
    spending.hold(PAYERS[0], 700, NOON)
    spending.settle(PAYERS[0], 0, NOON, usage(1, billable_qty=500))
    assert spending.hold(PAYERS[0], 0, NOON) == Spent(4700, 4700)
    assert spending.hold(PAYERS[0], 0, later) == Spent(700, 700)
    spending.settle(PAYERS[0], 700, NOON, None)
    assert spending.hold(PAYERS[0], 0, later) == Spent(0, 0)


def test_calls_at_the_same_time_do_not_pass_a_limit_together() -> None:
    """Each costs 100 fen, the limit is 1000: of forty at once ten may go."""
    counters, allowed = Counters(), []

    def call(number: int) -> None:
        hold = counters.reserve("g-life", f"q{number}", 1, NOON, tenant="t-life", estimate_fen=100)
        if hold.cost.spent.grant_fen + 100 <= 1000:
            allowed.append(number)
        else:
            hold.release()

    threads = [threading.Thread(target=call, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(allowed) <= 10


@pytest.mark.parametrize("later", [timedelta(0), timedelta(days=20)])
def test_a_restart_knows_what_was_owed(tmp_path: Path, later: timedelta) -> None:
    entries = [answered(number, billable_qty=300, qty=400) for number in range(1, 8)]
    with closing(opened(tmp_path)) as journal:
        for entry in entries:
            journal.record_now(entry)
    events = [entry.usage for entry in entries if entry.usage]
    now = NOON + later
    with closing(opened(tmp_path, now)) as journal:
        hold = journal.counters.reserve("g-life", "q", 1, now, tenant="t-life")
        assert hold.cost.spent == owed(events, PAYERS[0], now)
        assert (hold.cost.spent.grant_fen == 0) == (later > timedelta(0))
        hold.release()


def test_recording_an_answer_adds_its_price(tmp_path: Path) -> None:
    with closing(opened(tmp_path)) as journal:
        entry = answered(1, time=NOON)
        with journal.counters.reserve(
            "g-life", "q", 900, NOON, tenant="t-life", estimate_fen=4000
        ) as hold:
            asyncio.run(journal.record(entry, hold))
        seen = journal.counters.reserve("g-life", "q", 1, NOON, tenant="t-life")
        assert seen.cost.spent == Spent(4000, 4000)
        seen.release()
