"""Laws of Q and T: relative, bounded, blind to how providers are cut, worse when a KPI fails."""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metering.quality import LEAST, ONE, WEIGHT, Delivered, improved, standings
from metering.sharing import QUALITY_ONE
from tests.law_cases import LAW_CASES

NAMES = st.sampled_from([f"P{number:02d}" for number in range(8)])
MANY = settings(max_examples=LAW_CASES, deadline=None)
GOOD = Delivered(records=1000, expected=9000, urgent=500, in_time=500, booked=10**7, split=10**7)


@st.composite
def deliveries(draw):
    records, expected, urgent = (draw(st.integers(0, 10**6)) for _ in range(3))
    split = draw(st.integers(-(10**9), 10**9))
    return Delivered(
        records,
        draw(st.integers(0, records)),
        expected,
        draw(st.integers(0, expected)),
        draw(st.integers(0, records)),
        urgent,
        draw(st.integers(0, urgent)),
        split + draw(st.integers(-(10**6), 10**6)),
        split,
    )


BUREAUS = st.dictionaries(NAMES, deliveries(), max_size=8)


def score_of(one: Delivered, means: dict[str, Fraction]) -> Fraction:
    """SPEC §9.1 and §7.2 in exact fractions, for a delivery that lacks nothing or its mean."""
    own = {kpi: Fraction(value, ONE) for kpi, value in one.scores().items()}
    return sum(
        (Fraction(w, 10) * own.get(k, means.get(k, 0)) for k, w in WEIGHT.items()), Fraction()
    )


@MANY
@given(BUREAUS)
def test_quality_is_the_weighted_score_over_the_mean_clipped_and_halved_by_a_failure(bureau):
    found = standings(bureau)
    assert found.keys() == {name for name, one in bureau.items() if one.records}
    means = {}
    for kpi in WEIGHT:
        known = [
            (one.scores()[kpi], one.records)
            for one in bureau.values()
            if one.records and kpi in one.scores()
        ]
        if known:
            means[kpi] = Fraction(sum(s * n for s, n in known), ONE * sum(n for _, n in known))
    records = sum(bureau[name].records for name in found)
    mean = sum((score_of(bureau[n], means) * bureau[n].records for n in found), Fraction()) / max(
        1, records
    )
    for name, standing in found.items():
        exact = min(Fraction(6, 5), score_of(bureau[name], means) / mean) if mean else Fraction(1)
        halved = exact / 2 if standing.failed else exact
        assert abs(Fraction(standing.q, QUALITY_ONE) - halved) < Fraction(1, 1000)


@MANY
@given(BUREAUS, st.randoms())
def test_neither_order_nor_cutting_a_provider_moves_anybody(bureau, chance):
    whole = {name: one + one for name, one in bureau.items()}
    expected = standings(whole)
    shuffled = list(whole.items())
    chance.shuffle(shuffled)
    assert standings(dict(shuffled)) == expected
    for target in bureau:
        rest = {name: one for name, one in whole.items() if name != target}
        cut = standings({**rest, "half-1": bureau[target], "half-2": bureau[target]})
        for name, standing in expected.items():
            halves = [cut["half-1"], cut["half-2"]] if name == target else [cut[name]]
            assert all((h.q, h.timely) == (standing.q, standing.timely) for h in halves)


def test_everybody_alike_is_everybody_at_the_mean():
    poor = replace(GOOD, violating=30, missing=100)
    assert {one.q for one in standings({"a": poor, "b": poor + poor}).values()} == {QUALITY_ONE}


@pytest.mark.parametrize(
    ("change", "failed"),
    [
        ({"missing": 181}, "completeness"),
        ({"violating": 41}, "consistency"),
        ({"in_time": 474}, "timeliness"),
        ({"booked": 10**7 + 50_001}, "accuracy"),
    ],
)
def test_a_kpi_beyond_its_threshold_halves_the_quality(change, failed):
    found = standings({"a": replace(GOOD, **change), "b": GOOD + GOOD})
    assert found["a"].failed == (failed,)
    assert found["a"].q < QUALITY_ONE * 51 // 100
    assert found["a"].timely is (failed != "timeliness")
    assert found["b"].failed == ()
    assert QUALITY_ONE < found["b"].q <= 12_000


@pytest.mark.parametrize(
    "change", [{"missing": 180}, {"violating": 40}, {"in_time": 475}, {"booked": 10**7 + 50_000}]
)
def test_a_kpi_on_its_threshold_has_not_failed(change):
    assert standings({"a": replace(GOOD, **change)})["a"].failed == ()


def test_who_misses_the_monthly_cut_off_is_late_though_it_settles_in_time():
    found = standings({"a": replace(GOOD, overdue=21), "b": replace(GOOD, overdue=20)})
    assert (found["a"].timely, found["b"].timely) == (False, True)
    assert found["a"].q == found["b"].q == QUALITY_ONE


def test_what_cannot_be_measured_counts_as_the_mean_of_the_others():
    silent = replace(GOOD, urgent=0, in_time=0)
    slow = replace(GOOD, in_time=480)
    found = standings({"a": silent, "b": slow, "c": slow})
    assert "timeliness" not in found["a"].scores
    assert found["a"].q == found["b"].q == QUALITY_ONE
    assert standings({"a": Delivered()}) == {}


def test_a_single_record_is_its_own_mean():
    assert standings({"a": Delivered(records=1)})["a"].q == QUALITY_ONE


def test_what_can_be_measured_of_nobody_counts_for_nobody():
    bare = Delivered(records=100, violating=2)
    assert standings({"a": bare, "b": replace(bare, violating=2)})["a"].q == QUALITY_ONE
    better = standings({"a": replace(bare, violating=0), "b": bare})
    assert better["a"].q == QUALITY_ONE * 100 // 99


@MANY
@given(BUREAUS, st.sampled_from(list(WEIGHT)), st.integers(1, ONE))
def test_an_improvement_never_lowers_quality_and_lifts_a_failure_at_its_threshold(bureau, kpi, by):
    for standing in standings(bureau).values():
        more = improved(standing, kpi, by)
        if more is None:
            assert standing.scores.get(kpi, ONE) == ONE
            continue
        assert more.q >= standing.q
        assert more.timely >= standing.timely
        assert (kpi in more.failed) == (min(ONE, standing.scores[kpi] + by) < LEAST[kpi])
