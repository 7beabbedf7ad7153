"""Who stands behind a pseudonym of the audit: never by one person, never for longer than said."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from gateway.consent.subjects import open_subjects
from tests.consent_book import given
from tests.journal_factory import opened, refused
from tests.staff_factory import Browser, Place, open_place

OFFICERS = {
    "asker": ("auditor",),
    "both": ("security_officer", "policy_officer"),
    "agreer": ("policy_officer",),
    "clerk": ("catalogue_owner",),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with open_place(tmp_path_factory.mktemp("subjects") / "home") as opened_place:
        yield opened_place


@pytest.fixture(scope="module")
def consent(place: Place) -> Any:
    return given(place.office.engine, now=place.clock())


@pytest.fixture(scope="module")
def token(place: Place, consent: Any) -> str:
    home = place.office.leaks.index.parent
    pseudonym = open_subjects(place.office.keys).audit_token(consent.subject_ref)
    journal = opened(home, place.clock())
    for number, subject in enumerate((pseudonym, f"a{'0' * 40}"), start=1):
        entry = refused(number)
        journal.record_now(replace(entry, audit={**entry.audit, "subject": subject}))
    journal.close()
    return pseudonym


@pytest.fixture(scope="module")
def officers(place: Place) -> dict[str, Browser]:
    return {name: place.signed_in(*roles, name=name) for name, roles in OFFICERS.items()}


@pytest.fixture
def officer(place: Place, officers: dict[str, Browser]) -> dict[str, Browser]:
    """All of them, signed in just now: agreeing and looking want that."""
    for name, browser in officers.items():
        place.pass_time(seconds=60)
        assert browser.sign_in(place.people[name]).status_code == 200
    return officers


def asked(browser: Browser, token: str) -> str:
    answer = browser.post("/audit/subjects", subject_token=token, reason="a complaint, case 7")
    assert answer.status_code == 201, answer.text
    question: str = answer.json()["question"]
    return question


def act(browser: Browser, question: str, what: str) -> Any:
    return browser.post(f"/audit/subjects/{question}/{what}", reason="case 7")


def refusal(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_two_people_find_out_and_every_step_is_break_glass(
    officer: dict[str, Browser], token: str, consent: Any
) -> None:
    question = asked(officer["asker"], token)
    assert refusal(act(officer["asker"], question, "look")) == (409, "subject.state")
    assert act(officer["agreer"], question, "agree").json()["state"] == "agreed"
    told = act(officer["asker"], question, "look").json()
    assert (told["subject_ref"], told["consents"]) == (consent.subject_ref, [consent.id])
    trail = officer["asker"].get("/audit/events?kind=break-glass").json()["entries"]
    steps = [one for one in trail if one["target"]["id"] == question]
    assert [(one["action"], one["actor"]["user"]) for one in steps] == [
        ("look", "asker"),
        ("agree", "agreer"),
        ("ask", "asker"),
    ]
    assert {one["subject_token"] for one in steps} == {token}
    assert consent.subject_ref not in str(trail)
    tried = officer["asker"].get("/audit/events?kind=decision&result=refused").json()["entries"]
    assert ("subject.look", ["subject.state"]) in [
        (one["operation"], one["deny_codes"]) for one in tried
    ]


def test_one_person_with_both_roles_does_not_agree_with_themself(
    officer: dict[str, Browser], token: str
) -> None:
    question = asked(officer["both"], token)
    assert refusal(act(officer["both"], question, "agree")) == (409, "subject.same_approver")
    assert refusal(act(officer["both"], question, "look")) == (409, "subject.state")


@pytest.mark.parametrize(
    ("name", "what"),
    [("agreer", "look"), ("asker", "agree"), ("asker", "refuse"), ("clerk", "look")],
)
def test_the_wrong_role_is_refused(
    officer: dict[str, Browser], token: str, name: str, what: str
) -> None:
    question = asked(officer["both"], token)
    assert refusal(act(officer[name], question, what)) == (403, "staff_role")


@pytest.mark.parametrize("name", ["agreer", "clerk"])
def test_the_wrong_role_does_not_ask(officer: dict[str, Browser], token: str, name: str) -> None:
    answer = officer[name].post("/audit/subjects", subject_token=token, reason="curious")
    assert refusal(answer) == (403, "staff_role")


def test_only_who_asked_looks(officer: dict[str, Browser], token: str) -> None:
    question = asked(officer["asker"], token)
    act(officer["agreer"], question, "agree")
    assert refusal(act(officer["both"], question, "look")) == (422, "subject.asker")


def test_an_hour_after_the_agreement_nobody_looks(
    place: Place, officer: dict[str, Browser], token: str
) -> None:
    question = asked(officer["asker"], token)
    act(officer["agreer"], question, "agree")
    place.pass_time(minutes=61)
    assert officer["asker"].sign_in(place.people["asker"]).status_code == 200
    assert refusal(act(officer["asker"], question, "look")) == (409, "subject.state")
    listed = officer["asker"].get("/audit/subjects").json()
    assert next(one["state"] for one in listed if one["question"] == question) == "ended"


def test_a_day_after_the_question_nobody_agrees(
    place: Place, officer: dict[str, Browser], token: str
) -> None:
    question = asked(officer["asker"], token)
    place.pass_time(hours=24)
    assert officer["agreer"].sign_in(place.people["agreer"]).status_code == 200
    assert refusal(act(officer["agreer"], question, "agree")) == (409, "subject.state")


def test_what_was_refused_stays_refused(officer: dict[str, Browser], token: str) -> None:
    question = asked(officer["asker"], token)
    act(officer["agreer"], question, "refuse")
    assert refusal(act(officer["agreer"], question, "agree")) == (409, "state.not_allowed")


def test_an_agreement_written_into_the_database_is_not_believed(
    place: Place, officer: dict[str, Browser], token: str
) -> None:
    question = asked(officer["asker"], token)
    forged = (
        "UPDATE subject_question SET state = 'agreed', decided_by = 'agreer', decided_at = asked_at"
        " WHERE question_id = :question"
    )
    with place.office.engine.begin() as connection:
        connection.execute(sa.text(forged), {"question": question})
    try:
        assert refusal(act(officer["asker"], question, "look")) == (422, "subject.tampered")
    finally:
        with place.office.engine.begin() as connection:
            connection.execute(
                sa.text("DELETE FROM subject_question WHERE question_id = :question"),
                {"question": question},
            )


def test_a_pseudonym_nobody_was_recorded_under_is_not_asked_about(
    officer: dict[str, Browser],
) -> None:
    body = {"subject_token": f"a{'1' * 40}", "reason": "case 7"}
    assert refusal(officer["asker"].post("/audit/subjects", **body)) == (404, "subject.unknown")


def test_somebody_not_on_record_is_nobody(officer: dict[str, Browser], token: str) -> None:
    question = asked(officer["asker"], f"a{'0' * 40}")
    act(officer["agreer"], question, "agree")
    told = act(officer["asker"], question, "look").json()
    assert (told["subject_ref"], told["consents"], token in str(told)) == (None, [], False)


def test_no_role_may_both_ask_and_agree(place: Place) -> None:
    table = place.office.operations.table
    assert not table["subject.ask"] & table["subject.agree"]
    assert table["subject.look"] <= table["subject.ask"]
    assert {"subject.agree", "subject.look"} <= place.office.operations.fresh
