"""What a caller sees of a refusal: every reason about aggregates, only groups about a person."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gateway.policy.port import Decision
from gateway.serving.reasons import reasons
from gateway.serving.refusals import refusal, shown

NOON = datetime(2026, 3, 10, 4, tzinfo=UTC)
CONSENT = [f"D60{number}" for number in range(1, 10)]
CODES = sorted(code for code in reasons() if code[0] == "D" and code[1:].isdecimal())


def refused(*codes: str) -> Decision:
    return Decision(False, codes, None, "1-a+b", "decision-1")


def test_a_caller_of_an_aggregate_service_sees_every_code() -> None:
    told = refusal(refused("D601", "D603"), NOON)
    assert told.deny == ("D601", "D603")


@pytest.mark.parametrize("code", CONSENT)
def test_about_a_person_every_refusal_of_the_consent_group_looks_alike(code: str) -> None:
    missing, other = refused("D601"), refused(code)
    assert refusal(other, NOON, grain="person") == refusal(missing, NOON, grain="person")


def test_about_a_person_several_reasons_look_like_one() -> None:
    assert shown(("D602", "D605", "D607"), "person") == ("D6xx",)
    assert shown(("D401", "D405"), "person") == ("D4xx",)


@pytest.mark.parametrize("code", [code for code in CODES if code != "D000"])
def test_every_group_has_one_status_and_its_sentences(code: str) -> None:
    told = refusal(refused(code), NOON, grain="person")
    assert told.deny == (f"{code[:2]}xx",)
    assert told.code == "refused"
    assert reasons()[told.deny[0]].status == told.status


def test_within_the_budget_group_the_time_to_wait_gives_no_reason_away() -> None:
    waits = {refusal(refused(f"D80{n}"), NOON, grain="person").retry_after for n in range(1, 8)}
    assert waits == {12 * 3600}


def test_an_engine_that_cannot_answer_is_said_so_everywhere() -> None:
    told = refusal(refused("D000"), NOON, grain="person")
    assert (told.deny, told.status, told.code) == (("D000",), 503, "policy_unavailable")
