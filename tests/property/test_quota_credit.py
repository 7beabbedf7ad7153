"""No price takes a grant over its credit: a call is reserved at the most it adds to the month."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import partial
from itertools import accumulate
from typing import Any, NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.catalogue.tariff import Published, Tariff, charged_by
from gateway.journal.counters import Counters, Hold
from gateway.journal.spending import Payer
from gateway.quota.pricing import of_one, of_parts
from gateway.serving.asking import commitment_of, most_fen
from metering.calendar import month_of
from metering.rating import LineKey, Pricing
from tests.journal_factory import NOON, usage

PACK = 1000
PAYER = Payer("t-life", "g-life")
MONTH_END = timedelta(days=9)


class Asked(NamedTuple):
    """A call: the cells it reserves, how many of those are billed (None: it fails), how many later
    calls begin before it ends, and how long after the one before it comes."""

    cells: int
    billed: int | None
    open_for: int = 0
    pause: timedelta = timedelta(minutes=1)


def published(kind: str, **more: Any) -> Tariff:
    price = Published(ref="2026-1", valid_from=date(2026, 1, 1), kind=kind, **more)  # type: ignore[arg-type]  # checked there
    return Tariff(unit="per_1000_cells", prices=(price,))


@st.composite
def tariffs(draw: st.DrawFn) -> Tariff:
    fen, kind = (
        st.integers(0, 50),
        draw(st.sampled_from(["per_unit", "package", "graduated", "volume"])),
    )
    more: dict[str, Any] = {"price_fen": draw(fen)}
    if kind == "package":
        more["size"] = draw(st.integers(1, 6))
    if kind in {"graduated", "volume"}:
        ends = [*accumulate(draw(st.lists(st.integers(1, 6), max_size=3))), None]
        more = {"tiers": [{"up_to": end, "price_fen": draw(fen)} for end in ends]}
    least, above = draw(st.integers(0, 120)), draw(st.none() | st.integers(0, 200))
    cap = None if above is None else least + above
    return published(kind, minimum_fen=least, cap_fen=cap, **more)


@st.composite
def calls(draw: st.DrawFn) -> Asked:
    cells = draw(st.integers(1, 4 * PACK))
    pause = draw(st.sampled_from([timedelta(minutes=1)] * 6 + [MONTH_END]))
    billed = draw(st.none() | st.integers(0, cells))
    return Asked(cells, billed, draw(st.integers(0, 3)), pause)


class Node:
    """One process, and the bill that will be written for what it answered."""

    def __init__(self, tariff: Tariff, fit: Any, limit: int) -> None:
        self.tariff, self.limit, self.counters = tariff, limit, Counters()
        self.price: Pricing = partial(charged_by, {"S02": tariff})
        self.counters.spending.price_by(fit(self.price))
        self.billed: dict[str, int] = {}

    def begin(self, asked: Asked, now: datetime) -> Hold | None:
        """The call's hold, if the rules let it go."""
        hold = self.counters.reserve(
            PAYER.grant,
            "q",
            asked.cells,
            now,
            tenant=PAYER.tenant,
            estimate_fen=most_fen(self.tariff, asked.cells),
            commitment=commitment_of("S02", self.tariff, now),
        )
        if hold.cost.spent.grant_fen + hold.cost.estimate_fen <= self.limit:
            return hold
        hold.release()
        return None

    def end(self, asked: Asked, hold: Hold) -> None:
        if asked.billed is None:
            hold.release()
            return
        month = month_of(hold.time)
        self.billed[month] = self.billed.get(month, 0) + asked.billed
        event = usage(qty=asked.cells, billable_qty=asked.billed, time=hold.time)
        hold.hand_over(asked.billed, event)(True)

    def bill(self, month: str) -> int:
        """Fen of the month by the published price, begun thousands whole."""
        key = LineKey(month, *PAYER, "S02", "per_1000_cells", "2026-1", 0)
        return self.price(key).charge(-(-self.billed[month] // PACK)) // 10_000


RISING = published("volume", tiers=[{"up_to": 3, "price_fen": 1}, {"price_fen": 20}])
COMMITTED = published("per_unit", price_fen=1, minimum_fen=50)


@settings(max_examples=200, deadline=None)
@given(tariffs(), st.lists(calls(), min_size=1, max_size=12), st.integers(0, 300))
@example(RISING, [Asked(PACK, PACK)] * 4, 70)
@example(COMMITTED, [Asked(PACK, PACK)], 49)
@example(COMMITTED, [Asked(PACK, PACK), Asked(PACK, PACK, pause=MONTH_END)], 49)
@pytest.mark.parametrize("fit", [of_one, of_parts])
def test_no_month_costs_more_than_the_credit(
    fit: Any, tariff: Tariff, asked: list[Asked], limit: int
) -> None:
    node, now = Node(tariff, fit, limit), NOON
    running: list[tuple[int, Asked, Hold]] = []
    for number, each in enumerate(asked):
        now += each.pause
        for over in [one for one in running if one[0] <= number]:
            running.remove(over)
            node.end(*over[1:])
        hold = node.begin(each, now)
        if hold is not None:
            running.append((number + 1 + each.open_for, each, hold))
    for _, each, hold in running:
        node.end(each, hold)
    owed = node.counters.spending.standing(PAYER, now)
    assert owed.used.grant_fen <= limit
    assert all(node.bill(month) <= limit for month in node.billed)
    assert owed.taken == owed.used


def test_a_commitment_is_reserved_until_the_month_has_it() -> None:
    node = Node(COMMITTED, of_one, 100)
    first = node.begin(Asked(PACK, PACK), NOON)
    assert first is not None
    assert first.cost.estimate_fen == 50
    node.end(Asked(PACK, PACK), first)
    again = node.begin(Asked(PACK, PACK), NOON)
    assert again is not None
    assert (again.cost.spent.grant_fen, again.cost.estimate_fen) == (50, 1)
    again.release()
    later = node.begin(Asked(PACK, PACK), NOON + MONTH_END)
    assert later is not None
    assert (later.cost.spent.grant_fen, later.cost.estimate_fen) == (0, 50)


def test_free_answers_bring_no_commitment_and_do_not_pay_it() -> None:
    node = Node(COMMITTED, of_one, 100)
    hold = node.begin(Asked(PACK, PACK), NOON)
    assert hold is not None
    hold.hand_over(0, usage(qty=1, billable_qty=0, unit="free", price_micro=0, time=NOON))(True)
    again = node.begin(Asked(PACK, PACK), NOON)
    assert again is not None
    assert (again.cost.spent.grant_fen, again.cost.estimate_fen) == (0, 50)


def test_a_price_of_another_day_commits_nobody() -> None:
    prices = [
        Published(ref="old", valid_from=date(2026, 1, 1), valid_to=date(2026, 11, 30), price_fen=1),
        Published(ref="new", valid_from=date(2026, 12, 1), price_fen=1, minimum_fen=50),
    ]
    tariff = Tariff(unit="per_1000_cells", prices=tuple(prices))
    assert commitment_of("S02", tariff, NOON) is None
    later = commitment_of("S02", tariff, NOON + MONTH_END)
    assert later == ("S02", "new", 50)
