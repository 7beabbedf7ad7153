"""Properties of the parts before they become tables: calendar, population, enrolment, policy."""

from __future__ import annotations

import numpy as np
import pytest

from synthetic.bureau import days
from synthetic.bureau.arrays import stream
from synthetic.bureau.enrolment import enrolments, units
from synthetic.bureau.people import NEVER, populate
from synthetic.bureau.policy import caps, critical_due, policy
from synthetic.bureau.prescribing import SWITCH_DOUBLES, switch_days
from synthetic.bureau.settings import RESIDENT, Run

RUN = Run("ci", 3)


def test_streams_differ_by_seed_concern_and_block() -> None:
    draws = {
        stream(*key).integers(0, 2**40)
        for key in ((1, "a", 0), (2, "a", 0), (1, "b", 0), (1, "a", 1))
    }
    assert len(draws) == 4
    assert stream(1, "a", 0).random() == stream(1, "a", 0).random()


def test_months_and_years_of_the_window() -> None:
    assert days.day_of("2025-12-31") == days.DAYS - 1
    assert days.MONTH_OF[days.day_of("2024-02-29")] == 25
    assert days.month_starts()[24] == days.day_of("2024-01-01")


def test_a_year_of_activity_weighs_a_year() -> None:
    for calendar in (days.OUTPATIENT, days.INPATIENT, days.PHARMACY):
        yearly = np.diff(calendar[days.YEAR_START])
        assert yearly == pytest.approx([365, 365, 366, 365])


def test_scheme_shares_follow_the_bulletin() -> None:
    people = populate(RUN)
    assert (people.group[0] == RESIDENT).mean() == pytest.approx(0.714, abs=0.01)
    assert (people.death < NEVER).mean() == pytest.approx(0.048, abs=0.012)


def test_enrolment_rows_of_a_person_never_overlap() -> None:
    people = populate(RUN)
    found = enrolments(people, units(people))
    same = found.person[1:] == found.person[:-1]
    assert (found.start[1:][same] >= found.end[:-1][same]).all()
    assert (found.end > found.start).all()


def test_nobody_is_insured_after_death() -> None:
    people = populate(RUN)
    found = enrolments(people, units(people))
    dead = people.death[found.person] < NEVER
    assert (found.end[dead] <= people.death[found.person][dead] + 1).all()


def test_pt6_switch_hazard_doubles_in_july_2024() -> None:
    day = switch_days(Run("demo", 1))

    def hazard(low: int, high: int) -> float:
        return float(((day >= low) & (day < high)).sum() / (day >= low).sum())

    before = hazard(SWITCH_DOUBLES - 365, SWITCH_DOUBLES)
    after = hazard(SWITCH_DOUBLES, SWITCH_DOUBLES + 365)
    assert np.log(1 - after) / np.log(1 - before) == pytest.approx(2.0, rel=0.05)


def test_critical_illness_pays_by_bands() -> None:
    basis = np.array([1_600_000, 1_600_100, 5_000_000, 10_000_000, 10_000_100])
    assert critical_due(policy(), basis).tolist() == [0, 60, 2_040_000, 5_290_000, 5_290_070]


def test_caps_of_a_year_follow_the_policy() -> None:
    found = {(c["insutype"], c["field"]): c["cap"] for c in caps()}
    assert found["310", "hifp_pay"] == "404000.00"
    assert found["390", "hifp_pay"] == "201300.00"
    assert found["310", "act_pay_dedc"] == "1650.00"
