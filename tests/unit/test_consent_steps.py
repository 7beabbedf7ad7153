"""Which screen comes next: nobody is skipped past a question, nobody unmeant sees one."""

from dataclasses import replace
from pathlib import Path

import pytest

from gateway.consent.people import Ward
from gateway.consent.rules import load_rules
from gateway.consent.steps import given_scopes, next_step
from gateway.settings import Settings
from tests.consent_book import ADULT, CHILD, DRAFT, person

RULE = load_rules(Settings().policies).scenarios["SC03"]
AWAITING = replace(DRAFT, state="AWAITING_PERSON")
PLAIN = replace(AWAITING, scopes_asked=("SETL", "DX"))
WARD = Ward(CHILD, "测**小", 10, "mother")
TEEN = Ward(CHILD, "测**五", 15, "mother")


def test_an_adult_alone_goes_straight_to_the_consent_screen():
    assert next_step(AWAITING, person(), {}, RULE).screen == "consent"


def test_the_sensitive_scope_has_its_own_screen_after_the_first():
    assert next_step(AWAITING, person(), {"scopes": ["SETL"]}, RULE).screen == "sensitive"


def test_without_a_sensitive_scope_there_is_no_such_screen():
    assert next_step(PLAIN, person(), {"scopes": ["SETL"]}, RULE).screen == "ready"


def test_the_sensitive_scope_among_the_others_is_not_given_by_them():
    assert given_scopes({"scopes": ["SETL", "DX_SENSITIVE"]}) == ("SETL",)
    assert given_scopes({"scopes": ["SETL"], "sensitive": False}) == ("SETL",)
    assert given_scopes({"scopes": ["SETL"], "sensitive": True}) == ("SETL", "DX_SENSITIVE")


@pytest.mark.parametrize("said", ["true", 1, "yes", None])
def test_only_a_plain_yes_gives_the_sensitive_scope(said):
    assert given_scopes({"scopes": ["SETL"], "sensitive": said}) == ("SETL",)


def test_a_parent_without_a_hint_is_asked_whom_it_is_about():
    assert next_step(AWAITING, person(40, WARD), {}, RULE).screen == "whose"


def test_a_parent_asked_about_the_child_confirms_being_the_guardian():
    meant = replace(AWAITING, subject_hint=CHILD)
    step = next_step(meant, person(40, WARD), {}, RULE)
    assert (step.screen, step.subject) == ("guardian", CHILD)
    confirmed = next_step(meant, person(40, WARD), {"guardian_of": CHILD}, RULE)
    assert confirmed.screen == "consent"


def test_a_confirmation_for_one_child_does_not_count_for_another():
    meant = replace(AWAITING, subject_hint=CHILD)
    assert next_step(meant, person(40, WARD), {"guardian_of": "p-other"}, RULE).screen == "guardian"


def test_a_child_under_fourteen_cannot_answer():
    assert next_step(AWAITING, person(13), {}, RULE).screen == "minor"
    assert next_step(replace(AWAITING, subject_hint=ADULT), person(13), {}, RULE).screen == "minor"


def test_from_fourteen_on_one_answers_alone_and_no_parent_can():
    assert next_step(AWAITING, person(14), {}, RULE).screen == "consent"
    meant = replace(AWAITING, subject_hint=CHILD)
    assert next_step(meant, person(45, TEEN), {}, RULE).screen == "stranger"


def test_somebody_the_receiver_did_not_mean_is_a_stranger():
    meant = replace(AWAITING, subject_hint="p-somebody-else")
    assert next_step(meant, person(), {}, RULE).screen == "stranger"


def test_a_consent_in_force_is_shown_again_only_to_its_own_person():
    in_force = replace(DRAFT, state="AUTHORISED", subject_ref=ADULT)
    assert next_step(in_force, person(), {}, RULE).screen == "again"
    others = replace(in_force, subject_ref="p-other")
    assert next_step(others, person(), {}, RULE).screen == "stranger"


def test_the_policies_of_the_project_load():
    assert Path(Settings().policies / "person" / "services.yaml").is_file()
    assert set(RULE.scopes) >= {"SETL", "DX_SENSITIVE"}
