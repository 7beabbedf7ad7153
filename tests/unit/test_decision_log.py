"""The decision log: OPA's event shape, nobody in it, and still the same question to the rules."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import UTC, date, datetime
from typing import Any

import orjson
import pytest

from gateway.journal.entry import canonical
from gateway.policy.decision_log import LARGEST, NAMES_SOMEBODY, brief, event, read_event
from gateway.policy.port import (
    ColumnRule,
    ConsentFacts,
    Decision,
    Obligations,
    PolicyInput,
    RowRule,
    TariffRule,
)
from tests.policy_factory import PRICING, ask

REFUSED = Decision(False, ("D501",), None, "2026.1+0123456789abcdef", "d-1")
SUBJECT = "sub-invented-7"
CONSENT: dict[str, Any] = {
    "id": "c-1",
    "state": "AUTHORISED",
    "receiver": "insurer-1",
    "scenario": "SC03",
    "purpose_code": "claim_verification",
    "services": ["S19"],
    "scopes": ["SETL"],
    "subject_ref": SUBJECT,
    "claim_ref": "CLAIM-INVENTED-1",
    "policy_ref": "",
    "window_from": date(2025, 1, 1),
    "window_to": date(2025, 2, 1),
    "valid_from": datetime(2026, 3, 1, tzinfo=UTC),
    "valid_to": None,
    "uses": 0,
    "uses_max": 5,
    "minor": False,
    "guardian_relation": "",
}


def about_somebody(**change: Any) -> PolicyInput:
    """A question about one person, with the consent on file."""
    params = {"claim_ref": "CLAIM-INVENTED-1"}
    told = {"subject_ref": SUBJECT, "consent_id": "c-1", "consent": CONSENT, "params": params}
    return ask(PRICING, **(told | change))


def test_an_event_has_the_shape_of_an_opa_decision_log() -> None:
    told = event(ask(PRICING), REFUSED)
    assert told["decision_id"] == "d-1"
    assert told["bundles"] == {"sluice": {"revision": "2026.1+0123456789abcdef"}}
    assert told["path"] == "decision/answer"
    assert told["timestamp"] == "2026-03-10T04:00:00Z"
    assert told["result"] == {"allow": False, "deny": ["D501"]}
    assert told["input"] == orjson.loads(ask(PRICING).question())
    assert not {"erased", "masked"} & told.keys()


def test_a_recorded_question_is_read_back_as_it_was_asked() -> None:
    question = ask(PRICING, where={"gend": "1"}, geo=["990101", "990100"])
    logged = read_event(canonical(event(question, REFUSED, {"gend": ("1", "2")})))
    assert logged.whole
    assert logged.question() == question
    assert (logged.allow, logged.deny, logged.revision) == (
        False,
        ("D501",),
        REFUSED.policy_version,
    )


def test_whoever_is_named_has_a_stand_in_and_equals_stay_equal() -> None:
    told = event(about_somebody(), REFUSED)
    assert told["masked"] == [
        "/input/subject_ref",
        "/input/params/claim_ref",
        "/input/consent/subject_ref",
        "/input/consent/claim_ref",
    ]
    text = canonical(told)
    assert b"INVENTED" not in text.upper()
    logged = read_event(text)
    question = logged.question()
    assert logged.whole
    assert question.consent is not None
    assert question.subject_ref == question.consent.subject_ref
    assert question.params["claim_ref"] == question.consent.claim_ref != question.subject_ref


def test_different_persons_stay_different() -> None:
    other = CONSENT | {"subject_ref": "sub-invented-8", "claim_ref": ""}
    question = read_event(canonical(event(about_somebody(consent=other), REFUSED))).question()
    assert question.consent is not None
    assert question.subject_ref != question.consent.subject_ref
    assert question.consent.claim_ref == ""


def test_stand_ins_of_two_events_do_not_tell_whether_it_was_the_same_person() -> None:
    ours, theirs = about_somebody(), about_somebody(subject_ref="sub-invented-9")
    told = [event(each, REFUSED)["input"]["subject_ref"] for each in (ours, theirs)]
    assert told[0] == told[1]


def test_a_person_who_asks_is_masked_and_a_program_is_not() -> None:
    person = ask(PRICING, user={"id": "zhang.invented", "role": "analyst", "mfa": True})
    told = event(person, REFUSED)
    assert told["masked"] == ["/input/user/id"]
    assert "zhang.invented" not in str(told)
    assert event(ask(PRICING), REFUSED)["input"]["user"]["id"] == "client-1"


@pytest.mark.parametrize("value", ["B20", "J05AR", "J05AR10", "FR11", "I25.1"])
def test_a_code_of_a_classification_is_kept(value: str) -> None:
    told = event(ask(PRICING, where={"dx_cat3": value}), REFUSED)
    assert told["input"]["where"] == {"dx_cat3": value}


@pytest.mark.parametrize(
    "value",
    [
        "990100190001010011",
        "13900000000",
        "测试甲一",
        "Zhang San",
        "G12345678",
        "A123456",
        "\u2028",
    ],
)
def test_a_value_that_may_be_anything_is_erased_and_the_question_not_asked_again(
    value: str,
) -> None:
    told = event(ask(PRICING, where={"gend": value, "benefit5": "2"}), REFUSED, {"benefit5": ["2"]})
    assert told["erased"] == ["/input/where/gend"]
    assert told["input"]["where"] == {"benefit5": "2"}
    assert value not in canonical(told).decode()
    assert not read_event(canonical(told)).whole


def test_free_texts_and_long_figures_of_parameters_are_erased() -> None:
    params = {"note": "测试", "certno": 990100190001010011, "k": 1, "declared_use": "marketing"}
    told = event(ask(PRICING, params=params), REFUSED)
    assert told["erased"] == ["/input/params/note", "/input/params/certno"]
    assert told["input"]["params"] == {"k": 1, "declared_use": "marketing"}


def allowed(rows: tuple[RowRule, ...] = ()) -> Decision:
    """An allowance with every obligation."""
    obligations = Obligations(
        profile={"name": "DC5", "persons_per_call": 1},
        columns=(ColumnRule("medfee", "C06-02", "L2", "none"),),
        sensitive_dx="show",
        max_cells=10,
        quota={"rps": 1},
        watermark="per_response",
        log_level="full",
        notify_person=True,
        tariff=TariffRule("per_verified_claim", 1, "x/2026", "standard", False),
        ttl=300,
        rows=rows,
    )
    return Decision(True, (), obligations, "2026.1+0", "d-2")


def test_obligations_are_kept_but_for_what_stands_elsewhere() -> None:
    told = event(ask(PRICING), allowed())["result"]["obligations"]
    names = {each.name for each in fields(Obligations)}
    assert set(told) == names - {"columns", "quota"}
    assert told["profile"] == "DC5"
    assert told["tariff"]["unit"] == "per_verified_claim"


def test_a_row_filter_that_repeats_a_name_repeats_its_stand_in() -> None:
    told = event(about_somebody(), allowed((RowRule("settlement.subject", "eq", SUBJECT),)))
    assert told["result"]["obligations"]["rows"][0]["value"] == "masked-1"
    assert "/result/obligations/rows/0/value" in told["masked"]


def test_an_event_is_written_as_every_reader_would_write_it() -> None:
    """Sorted at every depth, so that an auditor's own JSON gives the hash in the chain."""
    body = canonical(event(about_somebody(), allowed((RowRule("a.b", "eq", 1),))))
    told = json.loads(body)
    again = json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert again.encode() == body


def test_an_event_is_bounded_whatever_is_asked() -> None:
    names = [f"d{number:062d}" for number in range(64)]
    geo = [f"{number:06d}" for number in range(500)]
    told = event(ask(PRICING, geo=geo, dims=names, measures=names, fields=names), REFUSED)
    assert len(canonical(told)) < LARGEST + 1024
    assert set(told["erased"]) <= {"/input/geo", "/input/dims", "/input/measures", "/input/fields"}
    assert not read_event(canonical(told)).whole


def test_the_short_form_of_old_journals_and_of_attempts_is_read() -> None:
    logged = read_event(canonical(brief(REFUSED)))
    assert (logged.decision_id, logged.revision, logged.input) == (
        "d-1",
        "2026.1+0123456789abcdef",
        None,
    )
    assert not logged.whole
    with pytest.raises(ValueError, match="short form"):
        logged.question()


KEPT = {
    "id", "state", "receiver", "scenario", "purpose_code", "services", "scopes", "window_from",
    "window_to", "valid_from", "valid_to", "uses", "uses_max", "minor", "guardian_relation",
}  # fmt: skip
KEPT_OF_QUESTION = {
    "request_id", "time", "tenant", "user", "grant_id", "service", "version", "op", "period", "geo",
    "dims", "measures", "levels", "where", "fields", "params", "consent_id", "consent",
    "subject_stopped", "purpose_code", "env", "format", "destination", "bulk", "release",
    "qty_estimate", "epsilon_micro", "usage",
}  # fmt: skip


def test_somebody_has_thought_about_every_attribute_of_a_question() -> None:
    """A new attribute goes to `NAMES_SOMEBODY`, or here once it is sure that it names nobody."""
    named = {place[-1] for place in NAMES_SOMEBODY if place[0] == "consent"}
    assert set(ConsentFacts.model_fields) == KEPT | named
    top = {place[0] for place in NAMES_SOMEBODY if len(place) == 1}
    assert set(PolicyInput.model_fields) == KEPT_OF_QUESTION | top
