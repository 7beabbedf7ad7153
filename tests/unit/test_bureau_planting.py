"""Properties of the parts before they become tables: calendar, population, enrolment, policy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from synthetic.bureau import days
from synthetic.bureau.arrays import Flags, Reals, stream
from synthetic.bureau.enrolment import Units, enrolments, units
from synthetic.bureau.institutions import found
from synthetic.bureau.negotiated import users
from synthetic.bureau.people import CONDITIONS, NEVER, People, counties, populate
from synthetic.bureau.policy import caps, critical_due, policy
from synthetic.bureau.prescribing import SWITCH_DOUBLES, switch_days
from synthetic.bureau.programme import COUNTY, members, without_avoided
from synthetic.bureau.rates import expected
from synthetic.bureau.settings import RESIDENT, Run
from synthetic.bureau.stays import Stays, admit, drawn
from synthetic.bureau.therapy import refills

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


def test_a_few_of_a_hundred_die_in_the_window() -> None:
    people = populate(RUN)
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


@dataclass(frozen=True)
class Plan:
    """A city of `demo` size up to its stays, with and without the programme of PT5."""

    people: People
    units: Units
    visits: Reals
    wanted: Stays
    happened: Stays
    priced: Stays


@pytest.fixture(scope="module")
def plan() -> Plan:
    run = Run("demo", 1)
    people = populate(run)
    insured = units(people)
    rates = expected(run, people, insured, refills(run, people, insured))
    places = found(run)
    wanted = drawn(run, people, insured, rates.stay, places)
    happened = without_avoided(people, insured, wanted)
    priced = admit(run, people, insured, happened, places)
    return Plan(people, insured, rates.visit, wanted, happened, priced)


def yearly(plan: Plan, person: Flags, first: int, last: int, stays: Stays | None) -> float:
    """Stays (or expected visits) per year of the persons under the mask in these years."""
    counted = person[plan.units.person] & (plan.units.year >= first) & (plan.units.year <= last)
    years = (plan.units.end - plan.units.start)[counted].sum() / 365.25
    events = plan.visits[counted].sum() if stays is None else counted[stays.unit].sum()
    return float(events / years)


def changes(plan: Plan, stays: Stays) -> Reals:
    """Stays a year of each person in 2024–2025 less those in 2023; NaN if not insured in both."""
    rate = []
    for first, last in ((2, 3), (1, 1)):
        counted = (plan.units.year >= first) & (plan.units.year <= last)
        length = np.where(counted, plan.units.end - plan.units.start, 0) / 365.25
        years = np.bincount(plan.units.person, weights=length, minlength=len(plan.people))
        number = np.bincount(stays.person[counted[stays.unit]], minlength=len(plan.people))
        rate.append(np.where(years > 0.9, number / np.maximum(years, 0.1), np.nan))
    return np.asarray(rate[0] - rate[1])


def test_pt5_programme_saves_a_stay_in_ten_years_and_adds_visits(plan: Plan) -> None:
    treated = members(plan.people)
    hypertensive = plan.people.condition[:, CONDITIONS.index("htn")]
    elsewhere = hypertensive & ~treated & (plan.people.county < len(counties()) - 1)
    assert (plan.people.county[treated] == counties().index(COUNTY)).all()

    change = changes(plan, plan.happened)
    here, there = change[treated], change[elsewhere]
    here, there = here[np.isfinite(here)], there[np.isfinite(there)]
    effect = here.mean() - there.mean()
    error = np.hypot(here.std() / np.sqrt(len(here)), there.std() / np.sqrt(len(there)))
    assert abs(effect + 0.10) < 1.96 * error < 0.10
    more = yearly(plan, treated, 2, 3, None) - yearly(plan, treated, 1, 1, None)
    more -= yearly(plan, elsewhere, 2, 3, None) - yearly(plan, elsewhere, 1, 1, None)
    assert more == pytest.approx(0.6, abs=0.15)


def test_pt5_what_the_programme_avoids_is_exact_and_cheap_and_nothing_elsewhere(
    plan: Plan,
) -> None:
    treated, placebo = members(plan.people), ~members(plan.people)
    saved = yearly(plan, treated, 2, 3, plan.wanted) - yearly(plan, treated, 2, 3, plan.happened)
    assert saved == pytest.approx(0.10, abs=0.0005)
    for person, first, last in ((treated, 0, 1), (placebo, 0, 3)):
        before = yearly(plan, person, first, last, plan.wanted)
        assert yearly(plan, person, first, last, plan.happened) == before
    kept = set(zip(plan.happened.person.tolist(), plan.happened.begin.tolist(), strict=True))
    pairs = zip(plan.wanted.person.tolist(), plan.wanted.begin.tolist(), strict=True)
    gone = np.array([pair not in kept for pair in pairs])
    mine = treated[plan.wanted.person] & (plan.wanted.begin >= days.day_of("2024-01-01"))
    level = np.array([1.0, 0.65, 0.4])[plan.wanted.level] * plan.wanted.cost
    assert level[gone].mean() < 0.9 * level[mine].mean()


def test_pt8_the_dearest_stays_of_a_level_follow_a_pareto_law(plan: Plan) -> None:
    """Hill's estimate over the dearest 0.4 % of tertiary stays of residents and of employees."""
    resident = plan.units.group[plan.priced.unit] == RESIDENT
    found_in = []
    for scheme in (resident, ~resident):
        cost = np.sort(plan.priced.cost[scheme & (plan.priced.level == 0)])[::-1]
        top = cost[: len(cost) * 4 // 1000]
        found_in.append(1 / np.log(top[:-1] / top[-1]).mean())
    assert np.mean(found_in) == pytest.approx(2.3, abs=0.4)


def test_pt2_users_of_the_negotiated_drug_grow_to_1_8_per_10_000() -> None:
    run = Run("demo", 1)
    cohort = users(run, populate(run))
    assert len(cohort.person) == 36
    reached = np.array([(cohort.month <= month).sum() for month in range(24, 48)])
    assert reached[-1] == 36
    assert reached[0] <= 3
    assert reached[2] < 18 < reached[5]  # slow at first, then half of them within half a year
