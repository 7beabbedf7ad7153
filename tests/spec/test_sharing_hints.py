"""Worked examples of the quality hints on a provider's statement (SPEC §7.2)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from metering.allotment import allot
from metering.hints import FEWEST, own_quality
from metering.quality import Delivered, Standing, improved, standings
from metering.sharing import SHARE_ONE, Contribution, Quality, weigh

GOOD = Delivered(1000, 10, 10_000, 50, 0, 500, 490, 10**7, 10**7)
WEAK = replace(GOOD, missing=250)  # 97.5 % complete: failed
BUREAU = {"a": WEAK, "b": GOOD, "c": GOOD, "d": GOOD}


def parts(bureau: dict[str, Delivered], shares: dict[str, int]) -> list[Contribution]:
    found = standings(bureau)
    return [Contribution(name, share, quality=found[name]) for name, share in shares.items()]


QUARTERS = dict.fromkeys(BUREAU, SHARE_ONE // 4)


def test_one_point_that_lifts_a_failed_kpi_is_worth_the_most() -> None:
    told = own_quality(parts(BUREAU, QUARTERS), "contribution")
    assert told["a"].failed == ("completeness",)
    assert told["a"].scores["completeness"] == 975_000
    hints = {hint.kpi: hint.gain_bp for hint in told["a"].hints}
    assert hints["completeness"] > 1000  # half of Q comes back: about 13 %
    assert all(hints[kpi] < 50 for kpi in hints if kpi != "completeness")
    assert told["b"].failed == ()


def test_a_hint_tells_what_the_pool_would_have_paid() -> None:
    given = parts(BUREAU, QUARTERS)
    before = allot(10**9, weigh(given))
    hint = next(h for h in own_quality(given, "contribution")["a"].hints if h.kpi == "completeness")
    standing = given[0].quality
    assert isinstance(standing, Standing)
    better = improved(standing, "completeness", 10_000)
    assert better is not None
    after = allot(10**9, weigh([replace(given[0], quality=better), *given[1:]]))
    gain = (after["a"] / before["a"] - 1) * 10_000
    assert abs(hint.gain_bp - gain) <= 5


def test_hints_come_in_tenths_of_a_per_cent() -> None:
    told = own_quality(parts(BUREAU, QUARTERS), "contribution")
    hints = [hint for own in told.values() for hint in own.hints]
    assert hints
    assert all(hint.gain_bp % 10 == 0 and hint.gain_bp > 0 for hint in hints)


@pytest.mark.parametrize("count", [1, 2])
def test_between_two_there_is_no_hint_because_it_would_tell_the_neighbours_quality(
    count: int,
) -> None:
    few = dict(list(BUREAU.items())[:count])
    told = own_quality(parts(few, dict.fromkeys(few, SHARE_ONE // 2)), "contribution")
    assert count < FEWEST
    assert told.keys() == few.keys()
    assert all(own.hints == () for own in told.values())
    assert told["a"].failed == ("completeness",)


@pytest.mark.parametrize("strategy", ["rows_only", "equal", "shapley", "shapley_joint"])
def test_where_quality_does_not_decide_there_is_no_hint(strategy: str) -> None:
    told = own_quality(parts(BUREAU, QUARTERS), strategy)  # type: ignore[arg-type]  # by name
    assert all(own.hints == () for own in told.values())


def test_who_has_nothing_to_improve_is_given_no_hint() -> None:
    perfect = replace(GOOD, violating=0, missing=0, in_time=500)
    told = own_quality(
        parts(dict.fromkeys("abc", perfect), dict.fromkeys("abc", 9)), "contribution"
    )
    assert {own.hints for own in told.values()} == {()}


def test_of_several_periods_the_lowest_scores_are_told_and_every_failure() -> None:
    bad, late = (
        standings({"a": one, "b": GOOD})["a"] for one in (WEAK, replace(GOOD, in_time=400))
    )
    given = [
        Contribution("a", 10, quality=bad),
        Contribution("a", 10, quality=late),
        *parts(BUREAU, {"b": 10, "c": 10}),
    ]
    told = own_quality(given, "contribution")["a"]
    assert told.failed == ("completeness", "timeliness")
    assert (told.scores["completeness"], told.scores["timeliness"]) == (975_000, 800_000)
    assert told.timely is False


def test_a_pooled_region_and_old_releases_have_no_quality_of_their_own() -> None:
    given = [*parts(BUREAU, QUARTERS), Contribution("others(990104)", SHARE_ONE // 9)]
    assert own_quality(given, "contribution").keys() == BUREAU.keys()
    assert own_quality([Contribution("a", 5, quality=Quality())], "contribution") == {}
    assert own_quality([], "contribution") == {}
