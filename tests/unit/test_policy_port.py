"""Two gates around any engine: only a complete question goes in, only a whole answer comes out."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.policy.answer import read_answer
from gateway.policy.cache import DecisionCache
from gateway.policy.port import ConsentFacts, Decision, Holds, PolicyInput, PolicyUnavailable
from tests.policy_factory import PRICING, ask
from tests.policy_scenarios import given

CONSENT = given("SC03")
REQUIRED = sorted(name for name, field in PolicyInput.model_fields.items() if field.is_required())

WRONG: list[dict[str, Any]] = [
    {"role": "admin"},
    {"service": "S2"},
    {"service": "S02; drop"},
    {"geo": ["99010"]},
    {"geo": ["990100"] * 501},
    {"dims": ["Age5"]},
    {"dims": ["a"] * 65},
    {"dims": "gend"},
    {"where": {"gend": 1}},
    {"where": {"gend": ""}},
    {"levels": {"atc": 0}},
    {"levels": {"atc": True}},
    {"params": {"k": [1]}},
    {"period": {"from": "2025Q5", "to": "2025Q4", "grain": "quarter"}},
    {"period": {"from": "2025Q1", "to": "2025Q4", "grain": "week"}},
    {"tenant": {"id": "insurer-1", "ip": "localhost"}},
    {"tenant": {"id": "insurer-1", "ip": "192.0.2.10", "role": "admin"}},
    {"env": "test"},
    {"bulk": "yes"},
    {"bulk": 1},
    {"qty_estimate": -1},
    {"qty_estimate": "24"},
    {"usage": {"rps": -1}},
    {"usage": {"rps": 1.5}},
    {"time": "yesterday"},
    {"purpose_code": "a" * 65},
    {"destination": "China"},
    {"grant_id": ""},
    {"subject_stopped": None},
    {"subject_stopped": 0},
    {"epsilon_micro": -1},
    {"epsilon_micro": 0.5},
    {"usage": {"smallest_difference": "none"}},
    {"usage": {"spent_month_fen": 1.5}},
    {"usage": {"lifetime": 1}},
    {"consent": {}},
    {"consent": "c-1"},
    {"consent": CONSENT | {"novel": 1}},
    {"consent": CONSENT | {"state": "GIVEN"}},
    {"consent": CONSENT | {"minor": None}},
    {"consent": CONSENT | {"uses": -1}},
    {"consent": CONSENT | {"scopes": ["everything"]}},
    {"consent": CONSENT | {"services": ["S1"]}},
    {"consent": CONSENT | {"window_to": "soon"}},
    {"consent": CONSENT | {"valid_to": datetime(2026, 3, 31)}},  # noqa: DTZ001 - a moment without a zone
    *({"consent": {k: v for k, v in CONSENT.items() if k != name}} for name in CONSENT),
]


@pytest.mark.parametrize("change", WRONG, ids=lambda change: str(change)[:40])
def test_a_question_not_of_the_agreed_form_does_not_reach_a_rule(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ask(PRICING, **change)


@pytest.mark.parametrize("name", REQUIRED)
def test_a_question_lacking_a_required_attribute_does_not_reach_a_rule(name: str) -> None:
    given = {"from" if key == "start" else key: value for key, value in PRICING.items()}
    with pytest.raises(ValidationError):
        PolicyInput.model_validate({key: value for key, value in given.items() if key != name})


def test_rules_see_every_attribute_spelled_out() -> None:
    seen = json.loads(ask(PRICING).question())
    assert set(seen) == set(PolicyInput.model_fields)
    assert seen["period"] == {"from": "2025Q1", "to": "2025Q3", "grain": "quarter"}
    assert seen["time"] == "2026-03-10T04:00:00Z"
    assert (seen["consent_id"], seen["consent"], seen["subject_stopped"]) == (None, None, False)
    assert seen["usage"]["smallest_difference"] is None


def test_what_nobody_counts_keeps_a_remembered_decision_from_being_used() -> None:
    cache, holds = DecisionCache(), Holds(0, 2**63, {"revenue_year_fen": 700})
    known, unknown = ask(PRICING, usage={"revenue_year_fen": 700}), ask(PRICING)
    cache.keep("a", known, Decision(False, ("D201",), None, "a", "id", holds))
    assert cache.find("a", known) is not None
    assert cache.find("a", unknown) is None


def test_rules_see_a_consent_spelled_out() -> None:
    seen = json.loads(ask(PRICING, consent=CONSENT).question())["consent"]
    assert set(seen) == set(ConsentFacts.model_fields)
    assert (seen["window_from"], seen["valid_from"]) == ("2025-01-01", "2026-02-28T16:00:00Z")


ALLOWED: dict[str, Any] = {
    "allow": True,
    "deny": [],
    "obligations": {
        "profile": {"name": "DC2", "k_person": 11},
        "columns": [{"field": "medfee", "item": "C06-02", "level": "L2", "mask": "none"}],
        "sensitive_dx": "roll_up_chapter",
        "rows": [{"column": "setl_d.psn_no", "op": "is", "value": "subject"}],
        "max_cells": 10,
        "quota": {"rps": 5},
        "watermark": "none",
        "log_level": "full",
        "notify_person": False,
        "tariff": {
            "unit": "per_1000_cells",
            "qty_estimate": 1,
            "price_ref": "p",
            "price_plan": "s",
            "free": False,
        },
        "ttl": 300,
    },
}


def test_a_whole_answer_becomes_a_decision() -> None:
    decision = read_answer(json.dumps(ALLOWED), "1+a")
    assert decision.allow
    assert decision.obligations is not None
    assert decision.obligations.columns[0].mask == "none"
    assert decision.policy_version == "1+a"


def test_a_refusal_becomes_a_decision_with_its_codes_and_an_id_of_its_own() -> None:
    text = json.dumps({"allow": False, "deny": ["D101", "D103"]})
    first, second = read_answer(text, "1+a"), read_answer(text, "1+a")
    assert first.deny == ("D101", "D103")
    assert first.obligations is None
    assert first.decision_id != second.decision_id


def without(*path: str) -> dict[str, Any]:
    """The allowed answer lacking one part."""
    answer: dict[str, Any] = json.loads(json.dumps(ALLOWED))
    place = answer
    for step in path[:-1]:
        place = place[step]
    del place[path[-1]]
    return answer


NO_CODES = ("", "D1", "D1011", "d101", "X101", "D101\n", "D\u0661\u0662\u0663", "D101 990100")
GARBAGE = [
    "",
    "<undefined>",
    '"<undefined>"',
    "null",
    "{}",
    "[]",
    "true",
    '{"allow": true}',
    '{"allow": true, "deny": []}',
    '{"allow": true, "deny": [], "obligations": null}',
    '{"allow": true, "deny": [], "obligations": {}}',
    '{"allow": true, "deny": ["D101"], "obligations": {}}',
    '{"allow": false, "deny": []}',
    '{"allow": false, "deny": "D101"}',
    '{"allow": false, "deny": [101]}',
    *(json.dumps({"allow": False, "deny": ["D101", code]}) for code in NO_CODES),
    '{"allow": "true", "deny": [], "obligations": {}}',
    '{"allow": 1, "deny": []}',
    '{"allow": "<undefined>", "deny": "<undefined>"}',
]


@pytest.mark.parametrize("text", GARBAGE)
def test_anything_else_an_engine_says_is_no_decision(text: str) -> None:
    with pytest.raises(PolicyUnavailable):
        read_answer(text, "1+a")


PARTS = [("obligations", name) for name in ALLOWED["obligations"]] + [
    ("obligations", "tariff", "free"),
    ("obligations", "tariff", "unit"),
]


@pytest.mark.parametrize("path", PARTS, ids=lambda path: path[-1])
def test_an_allowance_lacking_an_obligation_is_no_decision(path: tuple[str, ...]) -> None:
    with pytest.raises(PolicyUnavailable):
        read_answer(json.dumps(without(*path)), "1+a")


def test_an_allowance_without_columns_is_no_decision() -> None:
    answer = ALLOWED | {"obligations": ALLOWED["obligations"] | {"columns": []}}
    with pytest.raises(PolicyUnavailable):
        read_answer(json.dumps(answer), "1+a")
