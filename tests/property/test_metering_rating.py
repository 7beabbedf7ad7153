"""Laws of money: order and cutting of the input change nothing, and a plain oracle agrees."""

from collections import defaultdict
from dataclasses import replace
from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metering.rating import LineKey, accrue, charge, merge, rate
from metering.summary import CallKey, summarise, yuan
from metering.tariff import Free, Graduated, PerUnit, TariffError, Tier, Volume, units_of
from metering.usage import UsageConflictError, distinct, from_record
from tests.journal_factory import NOON, event_id, usage
from tests.law_cases import cases


@st.composite
def events(draw, first=1):
    """Answers of two grants and services over two months, some repeats, some free."""
    made = []
    for number in range(first, first + draw(st.integers(0, 12))):
        qty = draw(st.integers(0, 2500))
        free = draw(st.booleans())
        price = 0 if free else draw(st.sampled_from([40_000_000, 12_345, 7]))
        repeat = draw(st.booleans())
        made.append(
            usage(
                number,
                grant=draw(st.sampled_from(["g1", "g2"])),
                service=draw(st.sampled_from(["S02", "S09"])),
                unit="free" if free else "per_1000_cells",
                qty=qty,
                billable_qty=0 if repeat else qty,
                repeat_of=event_id(9999) if repeat else None,
                price_micro=price,
                price_ref=f"p{price}",
                time=NOON + timedelta(hours=draw(st.integers(-700, 700))),
            )
        )
    return made


def charged_the_plain_way(made) -> dict[tuple[str, ...], Decimal]:
    """Per month, grant, service and price: add cells, count begun thousands, round to fen."""
    cells: dict[tuple[str, ...], int] = defaultdict(int)
    prices: dict[tuple[str, ...], Decimal] = {}
    for event in made:
        month = f"{event.time + timedelta(hours=8):%Y-%m}"
        key = (month, event.grant, event.service, event.unit, event.price_ref)
        cells[key] += event.billable_qty
        prices[key] = Decimal(event.price_micro) / 10_000
    return {
        key: (Decimal(-(-count // 1000)) * prices[key]).quantize(Decimal(1), ROUND_HALF_UP)
        for key, count in cells.items()
    }


@settings(max_examples=cases(200), deadline=None)
@given(events())
def test_lines_agree_with_counting_the_plain_way(made):
    lines = {
        (k.month, k.grant, k.service, k.unit, k.price_ref): Decimal(line.amount_fen)
        for line in rate(made)
        for k in [line.key]
    }
    assert lines == charged_the_plain_way(made)


@settings(max_examples=cases(100), deadline=None)
@given(events(), st.randoms(use_true_random=False))
def test_the_order_of_events_does_not_matter(made, chance):
    shuffled = list(made)
    chance.shuffle(shuffled)
    assert rate(shuffled) == rate(made)


@settings(max_examples=cases(100), deadline=None)
@given(events(), events(first=100))
def test_rating_parts_together_is_rating_the_whole(first, second):
    assert charge(merge(accrue(first), accrue(second))) == rate(first + second)


@settings(max_examples=cases(100), deadline=None)
@given(events(), st.lists(st.integers(0, 11), max_size=10))
def test_an_event_delivered_again_is_counted_once(made, again):
    doubled = made + [made[i] for i in again if i < len(made)]
    assert rate(distinct(doubled)) == rate(made)


def test_one_event_id_with_two_contents_stops_the_books():
    with pytest.raises(UsageConflictError):
        distinct([usage(1), usage(1, qty=501)])


@settings(max_examples=cases(100), deadline=None)
@given(events())
def test_an_event_survives_being_written_and_read(made):
    assert [from_record(event.record()) for event in made] == made


@settings(max_examples=cases(50), deadline=None)
@given(events())
def test_no_float_comes_near_money(made):
    for line in rate(made):
        numbers = (line.units, line.amount_fen, line.used.billable, line.key.price_micro)
        assert all(type(number) is int for number in numbers)


def test_line_ids_are_stable_and_differ_when_anything_differs():
    key = LineKey("2026-11", "t", "g", "S02", "per_1000_cells", "p", 1)
    changes = {
        "month": "2026-12",
        "tenant": "u",
        "grant": "h",
        "service": "S09",
        "unit": "free",
        "price_ref": "q",
        "price_micro": 2,
    }
    ids = {replace(key, **{name: value}).line_id for name, value in changes.items()}
    assert len(ids | {key.line_id}) == 8
    assert key.line_id == "2026-11-S02-07cc3dfddb15ee90"


prices = st.integers(0, 10**9)
rising = st.lists(st.integers(1, 50), max_size=4, unique=True).map(sorted)
tiers = rising.flatmap(
    lambda ends: st.tuples(*(prices for _ in range(len(ends) + 1))).map(
        lambda cost: tuple(Tier(e, p) for e, p in zip([*ends, None], cost, strict=True))
    )
)


@settings(max_examples=cases(200), deadline=None)
@given(tiers, st.integers(0, 80))
def test_a_graduated_charge_agrees_with_pricing_unit_by_unit(steps, units):
    def price_of(unit):
        return next(t.price_micro for t in steps if t.up_to is None or unit <= t.up_to)

    assert Graduated(steps).charge(units) == sum(price_of(unit) for unit in range(1, units + 1))


@settings(max_examples=cases(200), deadline=None)
@given(tiers, st.integers(0, 80))
def test_a_volume_charge_prices_every_unit_like_the_last(steps, units):
    last = next(t.price_micro for t in steps if t.up_to is None or units <= t.up_to)
    assert Volume(steps).charge(units) == units * last


@given(prices, st.integers(0, 10**6))
def test_one_open_tier_is_a_price_per_unit(price, units):
    one = (Tier(None, price),)
    assert Graduated(one).charge(units) == Volume(one).charge(units) == PerUnit(price).charge(units)


@pytest.mark.parametrize(
    "wrong",
    [
        (),
        (Tier(10, 1),),
        (Tier(None, 1), Tier(10, 1)),
        (Tier(10, 1), Tier(10, 1), Tier(None, 1)),
        (Tier(0, 1), Tier(None, 1)),
        (Tier(None, -1),),
        (Tier(None, 1.5),),
    ],
)
def test_tiers_that_do_not_price_every_number_of_units_are_refused(wrong):
    for tariff in (Graduated, Volume):
        with pytest.raises(TariffError):
            tariff(wrong)


def test_units_are_counted_when_begun_and_never_downwards():
    assert [units_of("per_1000_cells", n) for n in (0, 1, 1000, 1001)] == [0, 1, 1, 2]
    for tariff in (Free(), PerUnit(1), Graduated((Tier(None, 1),)), Volume((Tier(None, 1),))):
        with pytest.raises(ValueError, match="upwards"):
            tariff.charge(-1)


def test_an_amount_of_half_a_fen_is_rounded_up_once_per_line():
    cheap = [usage(n, price_micro=2_500, qty=1, billable_qty=1) for n in (1, 2)]
    assert [line.amount_fen for line in rate(cheap)] == [0]
    assert [line.amount_fen for line in rate([usage(1, price_micro=5_000)])] == [1]


def test_refusals_are_shown_even_where_nothing_was_answered():
    rows = summarise(accrue([usage(1)]), {CallKey("2026-11", "t-life", "g-none", "S04"): 3})
    assert [(r.grant, r.calls, r.refusals, r.amount_fen) for r in rows] == [
        ("g-life", 1, 0, 4000),
        ("g-none", 3, 3, 0),
    ]


@pytest.mark.parametrize(
    ("micro", "text"), [(40_000_000, "40.00"), (300_000, "0.30"), (1, "0.000001"), (0, "0.00")]
)
def test_prices_are_written_exactly(micro, text):
    assert yuan(micro) == text
