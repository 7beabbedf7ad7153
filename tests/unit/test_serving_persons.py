"""The part of a question that is about a person: which consent, whose, and is it stopped."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from gateway.consent.tokens import ConsentView
from gateway.serving.persons import NOBODY, person_part
from tests.policy_factory import PRICING, ask

SUBJECT, OTHER = f"p{'1' * 40}", f"p{'2' * 40}"
NOON = datetime(2026, 3, 10, 4, tzinfo=UTC)
VIEW = ConsentView(
    id="c-1",
    tenant_id="T-INS",
    client_id="app",
    state="AUTHORISED",
    scenario="SC03",
    purpose_code="claim_verification",
    services=("S19",),
    scopes=("SETL", "DX"),
    subject_ref=SUBJECT,
    answer_by=NOON,
    valid_from=NOON,
    valid_to=NOON,
    uses=1,
    uses_max=5,
    claim_ref="CLM-1",
    policy_ref=None,
    window_from=date(2025, 1, 1),
    window_to=date(2025, 12, 31),
    guardian_relation=None,
)


def test_a_question_carries_the_consent_as_it_stands() -> None:
    asked = ask(PRICING, **person_part("c-1", VIEW, SUBJECT, frozenset()).asked())
    assert asked.consent is not None
    assert (asked.consent_id, asked.consent.id, asked.subject_ref) == ("c-1", "c-1", SUBJECT)
    assert (asked.consent.claim_ref, asked.consent.policy_ref) == ("CLM-1", "")
    assert (asked.consent.receiver, asked.consent.scopes) == ("T-INS", ("SETL", "DX"))
    assert (asked.consent.minor, asked.consent.guardian_relation) == (False, "")


def test_a_child_is_told_by_its_guardian() -> None:
    told = replace(VIEW, guardian_relation="mother").facts()
    assert (told.minor, told.guardian_relation) == (True, "mother")


def test_a_consent_that_is_not_found_stays_named() -> None:
    asked = person_part("c-9", None, SUBJECT, frozenset()).asked()
    assert asked["consent_id"] == "c-9"
    assert asked["consent"] is None


@pytest.mark.parametrize(
    ("view", "subject", "stopped"),
    [
        (VIEW, SUBJECT, {SUBJECT}),
        (VIEW, None, {SUBJECT}),
        (VIEW, OTHER, {SUBJECT}),
        (VIEW, OTHER, {OTHER}),
        (None, OTHER, {OTHER}),
    ],
)
def test_a_stop_counts_on_whoever_is_asked_about_or_consented(
    view: ConsentView | None, subject: str | None, stopped: set[str]
) -> None:
    assert person_part("c-1", view, subject, stopped).subject_stopped


def test_a_stop_on_somebody_else_does_not_count() -> None:
    assert not person_part("c-1", VIEW, SUBJECT, {OTHER}).subject_stopped
    assert not NOBODY.subject_stopped


def test_nobody_is_named_where_a_part_is_printed() -> None:
    assert SUBJECT not in repr(person_part("c-1", VIEW, SUBJECT, frozenset()))
