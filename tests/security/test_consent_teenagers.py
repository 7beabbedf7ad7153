"""From fourteen on a consent is one's own: no parent sees it, answers for it or ends it (S21)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.api.person.login import Invented, Simulated
from tests.consent_factory import Browser, ConsentServer, answer_of, consenting

PARENT, TEEN, TURNING = "a-parent", "a-teen", "turning-14"
DAYS_TO_BIRTHDAY = 5


def invented(name: str, number: int, birthday: object, *wards: str) -> Invented:
    return Invented.model_validate(
        {
            "id": name,
            "name": f"测试{number}号",
            "certno": f"99010119700101{number:04}",
            "birthday": birthday,
            "note_zh": "",
            "note_en": "",
            "wards": [{"person": each, "relation": "mother"} for each in wards],
        }
    )


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsentServer]:
    with consenting(tmp_path_factory.mktemp("home")) as opened:
        today = opened.clock().date()
        people = (
            invented(PARENT, 1, "1985-01-01", TEEN, TURNING),
            invented(TEEN, 2, today.replace(year=today.year - 15)),
            invented(TURNING, 3, _fourteen_years_before(today + timedelta(DAYS_TO_BIRTHDAY))),
        )
        office = opened.app.state.persons
        login = Simulated(people, opened.consents.subjects)
        opened.app.state.persons = replace(office, login=login)
        yield opened


def _fourteen_years_before(day):
    """The same day then; the last of February where there was no 29th."""
    try:
        return day.replace(year=day.year - 14)
    except ValueError:
        return day.replace(year=day.year - 14, day=28)


def at_home(server: ConsentServer, person: str) -> Browser:
    browser = server.browser()
    browser.open("/person/sign-in")
    browser.sign_in(person)
    return browser


def seen_by(browser: Browser) -> list[str]:
    return [each["consent_id"] for each in browser.http.get("/me/consents").json()["consents"]]


def try_to_end(browser: Browser, consent_id: str) -> int:
    token = browser.http.get("/me/consents").json()["csrf_token"]
    path = f"/me/consents/{consent_id}/revoke"
    return browser.http.post(path, headers={"X-CSRF-Token": token}).status_code


def given_by(server: ConsentServer, person: str, number: int) -> str:
    """A consent about the person with this number, given by whoever signs in."""
    consent = server.asked(subject={"certno": f"99010119700101{number:04}"})
    browser = server.browser()
    browser.visit(server.push(consent), person)
    if "由监护人决定" in browser.page.text:
        browser.send("guardian")
    answer_of(browser.send("consent", decision="approve"))
    return str(consent["consent_id"])


def test_a_teenagers_own_consent_is_not_shown_to_a_parent_nor_ended_by_one(server):
    consent = given_by(server, TEEN, 2)
    parent = at_home(server, PARENT)
    assert seen_by(parent) == []
    assert try_to_end(parent, consent) == 404
    for page in (f"/person/consents/{consent}", f"/person/consents/{consent}/end"):
        assert parent.http.get(page).status_code == 404
    assert server.state({"consent_id": consent}) == "AUTHORISED"
    teen = at_home(server, TEEN)
    assert seen_by(teen) == [consent]
    assert try_to_end(teen, consent) == 200


def test_no_parent_answers_for_a_teenager(server):
    consent = server.asked(subject={"certno": "990101197001010002"})
    browser = server.browser()
    assert "error" in answer_of(browser.visit(server.push(consent), PARENT))
    assert server.state(consent) == "AWAITING_PERSON"


def test_what_a_guardian_agreed_to_passes_to_the_child_on_the_fourteenth_birthday(server):
    consent = given_by(server, PARENT, 3)
    assert seen_by(at_home(server, PARENT)) == [consent]
    server.clock.shift += timedelta(days=DAYS_TO_BIRTHDAY + 1)
    parent = at_home(server, PARENT)
    assert seen_by(parent) == []
    assert try_to_end(parent, consent) == 404
    assert try_to_end(at_home(server, TURNING), consent) == 200
