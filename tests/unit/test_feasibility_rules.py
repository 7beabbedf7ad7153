"""The closed language, the bands and what may be told beside what was told before."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pytest
from pydantic import ValidationError

from gateway.cohorts.bands import Bands, BandsUnclear, Rules, quartiles
from gateway.cohorts.evaluate import Cohort, Counted
from gateway.cohorts.guard import FAR, distance, nearest, tellable
from gateway.cohorts.question import CohortAsk, CohortQuestion

DC4 = {
    "bands": ["<20", "20-49", "50-99", "100-199", "200-499", "500-999", "1000+ rounded to 10"],
    "differencing_min_delta": 20,
    "criteria_max": 8,
    "count_round": 10,
}
RULES = Rules.of(DC4)
MEN = {"kind": "gend", "values": ["1"]}
AGES = {"kind": "age10", "values": ["40-49", "30-39"]}
COLDS = {"kind": "dx_group", "codes": ["J00-J06"], "exclude": True}


def asked(*criteria: dict[str, Any], **more: Any) -> CohortQuestion:
    body = {
        "period": {"from": "2023", "to": "2024"},
        "geo": ["990200", "990100"],
        "index": {"kind": "atc", "codes": ["C08", "A10BA"]},
        "criteria": criteria,
        **more,
    }
    return CohortQuestion.model_validate_json(orjson.dumps(body))


def cohort(key: str, *members: range) -> Cohort:
    return Cohort(key, np.array(sorted({n for each in members for n in each}), np.int32))


def counted(*steps: Cohort, years: tuple[Cohort, ...] = ()) -> Counted:
    return Counted(steps, years, np.zeros(0, np.int64))


def test_codes_and_regions_are_sets_and_criteria_are_in_order() -> None:
    one = asked(AGES, MEN)
    other = asked(
        {**AGES, "values": ["30-39", "40-49", "30-39"]},
        MEN,
        geo=["990100", "990200"],
        index={"kind": "atc", "codes": ["A10BA", "C08"]},
    )
    assert one.digest == other.digest
    assert one.digest != asked(MEN, AGES).digest


def test_a_cohort_is_its_criteria_in_whatever_order() -> None:
    one, other = asked(AGES, MEN), asked(MEN, AGES)
    assert one.key(one.criteria) == other.key(other.criteria)
    assert one.key(one.criteria[:1]) != other.key(other.criteria[:1])


def test_a_year_of_entry_is_the_cohort_with_that_year_as_a_criterion() -> None:
    one = asked(MEN)
    asked_for = asked(MEN, {"kind": "index_year", "values": ["2023"]})
    assert one.key((*one.criteria, one.of_year("2023"))) == asked_for.key(asked_for.criteria)


def test_a_question_is_what_it_is_stored_as() -> None:
    body = {**orjson.loads(asked(AGES, COLDS).text), "purpose": "study_feasibility"}
    ask = CohortAsk.model_validate_json(orjson.dumps(body))
    again = CohortQuestion.model_validate_json(ask.text)
    assert again.digest == ask.digest == asked(AGES, COLDS).digest


@pytest.mark.parametrize(
    "criteria",
    [
        (MEN, MEN),
        ({**COLDS, "codes": []},),
        ({**COLDS, "like": "J%"},),
        ({"kind": "gend", "values": [1]},),
        ({"kind": ["gend"], "values": ["1"]},),
        ({"kind": "enrolled", "before": -1},),
        ({"kind": "enrolled", "before": True},),
        ({**COLDS, "within": {"relation": "around", "days": 3}},),
        ({**COLDS, "within": {"relation": "before", "days": 0}},),
        (
            {**COLDS, "within": {"relation": "before", "days": 9}},
            {**COLDS, "codes": ["I10-I15"], "within": {"relation": "after", "days": 9}},
        ),
    ],
    ids=[
        "twice",
        "no-code",
        "unknown",
        "number",
        "kinds",
        "negative",
        "flag",
        "relation",
        "days",
        "two",
    ],
)
def test_what_is_not_of_the_language_is_no_question(criteria: tuple[dict[str, Any], ...]) -> None:
    with pytest.raises(ValidationError):
        asked(*criteria)


@pytest.mark.parametrize(
    ("number", "told"),
    [
        *((0, "<20"), (19, "<20"), (20, "20-49"), (99, "50-99"), (999, "500-999")),
        *((1000, "1000"), (1004, "1000"), (1006, "1010"), (123456, "123460")),
    ],
)
def test_a_count_is_told_as_its_band(number: int, told: str) -> None:
    assert RULES.bands.tell(number) == told
    least, most = RULES.bands.meaning(told)
    assert least <= number
    assert most is None or number <= most


@pytest.mark.parametrize("told", ["<20", "200-499", "1000", "1010", "1020"])
def test_a_band_means_every_count_that_is_told_so_and_no_other(told: str) -> None:
    counts = [number for number in range(1100) if RULES.bands.tell(number) == told]
    assert RULES.bands.meaning(told) == (counts[0], counts[-1])


@pytest.mark.parametrize(
    "bands",
    [[], ["<20", "25-49", "50+ rounded to 10"], ["<20", "20-49"], ["few", "20+ rounded to 5"]],
)
def test_bands_that_leave_a_gap_tell_nothing(bands: list[str]) -> None:
    with pytest.raises(BandsUnclear):
        Bands.of(bands)


def test_a_profile_for_cells_has_no_rules_for_cohorts() -> None:
    with pytest.raises(BandsUnclear):
        Rules.of({"k_person": 11, "count_round": 5})


def test_the_distance_is_the_symmetric_difference() -> None:
    one, other = cohort("a", range(100)).members, cohort("b", range(5, 102)).members
    assert distance(one, other, 20) == 7
    assert distance(one, cohort("c").members, 20) >= 20
    assert distance(cohort("c").members, cohort("d").members, 20) == 0


def test_only_other_criteria_count_as_near() -> None:
    final = cohort("x", range(100))
    assert nearest(counted(final), [cohort("x", range(100))], RULES) == FAR
    assert nearest(counted(final), [cohort("y", range(100))], RULES) == 0
    assert nearest(counted(final), [cohort("y", range(3, 100))], RULES) == 3


def test_two_small_results_are_near_and_a_small_part_is_not() -> None:
    small = counted(cohort("x", range(3)))
    assert nearest(small, [cohort("y", range(5))], RULES) == FAR
    assert nearest(small, [Cohort("y", cohort("y", range(5)).members, result=True)], RULES) == 2
    assert nearest(small, [cohort("y", range(20))], RULES) == 17


def test_a_step_that_takes_few_away_is_withheld_but_not_the_result() -> None:
    steps = (cohort("a", range(100)), cohort("b", range(75)), cohort("c", range(70)))
    assert tellable(counted(*steps), [], RULES).steps == (0,)


def test_a_year_that_leaves_few_to_the_others_is_withheld() -> None:
    final = cohort("f", range(100))
    years = (cohort("y1", range(90)), cohort("y2", range(90, 100)))
    assert tellable(counted(final, years=years), [], RULES).years == (1,)


def test_a_step_near_to_what_was_told_before_is_withheld() -> None:
    steps = (cohort("a", range(100)), cohort("b", range(50)))
    before = [cohort("z", range(3, 100))]
    assert tellable(counted(*steps), before, RULES).steps == ()
    assert tellable(counted(*steps), [cohort("a", range(100))], RULES).steps == (0,)


def test_two_small_cohorts_are_told_alike_and_need_no_distance() -> None:
    final = cohort("f", range(100))
    years = (cohort("y1"), cohort("y2", range(3)), cohort("y3", range(3, 60)))
    assert tellable(counted(final, years=years), [], RULES).years == (0, 1, 2)


@pytest.mark.parametrize(
    ("total", "parts", "narrowed"),
    [
        ("50-99", ["<20", "50-99"], False),
        ("1000", ["<20", "1000"], True),
        ("20-49", ["<20", "<20"], False),
        ("100-199", ["<20", "50-99"], False),
        ("20-49", ["20-49", "20-49", "<20"], True),
        ("50-99", ["20-49", "<20"], False),
        ("1230", ["1230", "<20"], True),
        ("1240", ["1240", "<20"], False),
        ("50-99", [None, "<20"], False),
    ],
)
def test_years_that_add_up_too_well_are_told_apart(
    total: str, parts: list[str | None], narrowed: bool
) -> None:
    """49 at most less twice 20 at least leaves nine at most; 1000 to 1005 less as much, five;
    1226 to 1234 less as much, eight; 1235 to 1245, ten: as many as rounding leaves."""
    assert RULES.narrowed(total, parts) is narrowed


def test_a_quartile_is_a_mean_of_five_neighbours() -> None:
    assert quartiles(np.array([7] * 40 + [21] * 60)) == {"p25": 7, "p50": 21, "p75": 21}
    assert quartiles(np.array([0, 0, 0, 0, 10] * 20))["p75"] == 0
    assert quartiles(np.arange(101)) == {"p25": 25, "p50": 50, "p75": 75}
