"""The states of SPEC §8.1, as a table and as a diagram."""

import pytest

from gateway.consent.states import (
    ENDED,
    FIRST,
    STATES,
    TRANSITIONS,
    diagram,
    must_resume_first,
    transition,
)

SPEC = {
    ("DRAFT", "AWAITING_PERSON"),
    ("AWAITING_PERSON", "AUTHORISED"),
    ("AWAITING_PERSON", "REJECTED"),
    ("AUTHORISED", "CONSUMED"),
    ("AUTHORISED", "EXPIRED"),
    ("AUTHORISED", "REVOKED"),
    ("AUTHORISED", "SUSPENDED"),
    ("SUSPENDED", "AUTHORISED"),
}


def test_the_table_has_the_transitions_of_the_specification_and_no_other():
    assert {(each.before, each.after) for each in TRANSITIONS} == SPEC


def test_every_state_is_reached_and_only_ended_ones_are_final():
    reached = {FIRST} | {each.after for each in TRANSITIONS}
    left = {each.before for each in TRANSITIONS}
    assert reached == set(STATES)
    assert set(STATES) - left == ENDED


@pytest.mark.parametrize("kind", ["receiver", "bureau", "system"])
def test_nobody_but_the_person_or_a_guardian_can_authorise(kind):
    assert transition("authorise", "AWAITING_PERSON", kind) is None


def test_only_the_bureau_suspends():
    kinds = {each.by for each in TRANSITIONS if each.act == "suspend"}
    assert kinds == {frozenset({"bureau"})}


def test_a_suspended_consent_is_ended_through_authorised():
    assert must_resume_first("revoke", "SUSPENDED")
    assert must_resume_first("expire", "SUSPENDED")
    assert not must_resume_first("revoke", "AUTHORISED")


def test_the_diagram_shows_every_transition():
    drawn = diagram()
    assert all(f"{each.before} --> {each.after}: {each.act}" in drawn for each in TRANSITIONS)
