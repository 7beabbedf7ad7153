"""AuthZEN evaluations: the gateway's own decisions, told to the bureau's other systems."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gateway.audit.reconcile import reconcile
from tests.authzen_factory import (
    ALLOWED,
    BUREAU,
    Json,
    changed,
    enter_bureau,
    evaluate,
    recorded,
)
from tests.gateway_factory import COST, Gateway

Start = Callable[..., Gateway]


@pytest.fixture(scope="module")
def point(gateway: Gateway) -> Gateway:
    """The shared gateway with a system of the bureau that may ask it."""
    if BUREAU not in gateway.machines:
        enter_bureau(gateway)
    return gateway


def told(point: Gateway, body: object, **how: Any) -> Json:
    reply = evaluate(point, body, **how)
    assert reply.status_code == 200, reply.text
    answer: Json = reply.json()
    return answer


def test_an_allowed_evaluation_names_its_obligations_decision_and_revision(point: Gateway) -> None:
    answer = told(point, ALLOWED)
    assert answer["decision"] is True
    obligations = answer["context"]["obligations"]
    assert [rule["field"] for rule in obligations["columns"]] == [
        "period", "geo", "benefit5", "insutype2", "medfee",
    ]  # fmt: skip
    assert all({"item", "level", "mask"} <= rule.keys() for rule in obligations["columns"])
    assert obligations["profile"]["name"] == "DC2"
    assert obligations["rows"] == []
    assert obligations["max_cells"] == 48
    assert obligations["ttl"] > 0
    assert answer["context"]["revision"] == point.app.state.desk.policy.version


def test_every_evaluation_is_on_record_under_its_decision_and_free(point: Gateway) -> None:
    yes, no = told(point, ALLOWED), told(point, changed(context={"purpose": "curiosity"}))
    allowed, refused = recorded(point)[-2:]
    assert allowed["audit"]["decision_id"] == yes["context"]["decision_id"]
    assert allowed["audit"]["tenant"] == "T-bureau-desk"
    assert allowed["audit"]["about"]["tenant"] == "T-INS"
    assert allowed["decision"]["input"]["grant_id"] == "G-T-INS"
    assert allowed["usage"] == ("free", 0, 0)
    assert refused["audit"]["decision_id"] == no["context"]["decision_id"]
    assert refused["audit"]["deny_codes"] == ["D301"]
    assert refused["usage"] == (None, None, None)
    assert not reconcile(point.settings.journal).differences


SAME: dict[str, tuple[Json, Json]] = {
    "allowed": ({}, {}),
    "another purpose": ({"purpose": "curiosity"}, {"context": {"purpose": "curiosity"}}),
    "a region not granted": ({"geo": ["990200"]}, {"context": {"geo": ["990200"]}}),
    "a dim not granted": ({"dims": ["mystery"]}, {"resource": {"dims": ["mystery"]}}),
    "a measure not offered": ({"measures": ["profit"]}, {"resource": {"measures": ["profit"]}}),
    "a grain too fine": (
        {"period": {"from": "2024-01", "to": "2024-02", "grain": "month"}},
        {"context": {"period": {"from": "2024-01", "to": "2024-02", "grain": "month"}}},
    ),
    "a grant of somebody else": ({"grant_id": "G-T-PHA"}, {"context": {"grant_id": "G-T-PHA"}}),
    "no such grant": ({"grant_id": "G-none"}, {"context": {"grant_id": "G-none"}}),
}  # fmt: skip


@pytest.mark.parametrize("why", SAME)
def test_an_evaluation_says_what_the_service_itself_would_say(point: Gateway, why: str) -> None:
    asked, evaluated = SAME[why]
    question = COST | {"measures": ["medfee"], "grant_id": "G-T-INS"} | asked
    service = point.ask("S02", question).json()
    answer = told(point, changed(**evaluated))
    assert answer["decision"] is ("deny" not in service)
    assert answer["context"].get("deny") == service.get("deny")
    assert answer["context"].get("reasons") == service.get("reasons")


def test_a_tenant_may_be_named_instead_of_its_client(point: Gateway) -> None:
    subject = {"type": "tenant", "id": "T-INS", "properties": {"ip": "127.0.0.1"}}
    assert told(point, ALLOWED | {"subject": subject})["decision"] is True


@pytest.mark.parametrize("kind", ["client", "tenant"])
def test_a_subject_nobody_knows_is_refused_and_its_name_not_kept(point: Gateway, kind: str) -> None:
    somebody = ALLOWED["subject"] | {"type": kind, "id": "somebodys-number-110101"}
    answer = told(point, ALLOWED | {"subject": somebody})
    assert answer["decision"] is False
    assert answer["context"]["deny"] == ["D101"]
    assert answer["context"]["reason"] == "unknown_subject"
    assert "somebodys-number" not in str(recorded(point)[-1])


def test_a_person_in_a_role_is_named_nowhere(point: Gateway) -> None:
    analyst = {"user": "somebody-by-name", "role": "analyst", "mfa": True}
    answer = told(point, changed(subject=analyst))
    assert answer["decision"] is True
    kept = recorded(point)[-1]
    assert "somebody-by-name" not in str(kept)
    assert kept["audit"]["about"]["client"] is None


def test_a_scenario_that_limits_what_nobody_counts_is_never_answered_yes(
    point: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = point.app.state.desk.editions.live.prepared.edition
    quota = said.documents["scenarios"]["SC01"]["quota"]
    monkeypatch.setitem(said.documents["scenarios"]["SC01"], "quota", quota | {"persons_day": 9})
    answer = told(point, ALLOWED)
    assert answer["decision"] is False
    assert answer["context"]["reason"] == "uncounted_quota"
    assert answer["context"]["attributes"] == ["persons_day"]
    monkeypatch.setitem(said.documents["scenarios"]["SC01"], "quota", quota)
    monkeypatch.setitem(said.profiles["S02"], "SC01", said.profiles["S02"]["SC01"] | {"dp": {}})
    assert told(point, ALLOWED)["context"]["attributes"] == ["dp"]


def test_the_address_the_subject_came_from_counts(point: Gateway) -> None:
    answer = told(point, changed(subject={"ip": "203.0.113.9"}))
    assert answer["context"]["deny"] == ["D101"]


def test_of_services_about_persons_only_the_group_of_a_reason_is_told(point: Gateway) -> None:
    resource = {"type": "data-service", "id": "S19", "properties": {}}
    answer = told(point, ALLOWED | {"resource": resource})
    assert answer["context"]["deny"] == ["D4xx"]
    assert "D401" in recorded(point)[-1]["audit"]["deny_codes"]


UNANSWERABLE: dict[str, tuple[Json, str, str]] = {
    "no purpose": (changed(context={"purpose": None}), "missing_attribute", "context.purpose"),
    "no grant": (changed(context={"grant_id": None}), "missing_attribute", "context.grant_id"),
    "no address": (changed(subject={"ip": None}), "missing_attribute", "subject.properties.ip"),
    "a person without a role": (
        changed(subject={"user": "u-1"}), "missing_attribute", "subject.properties.role",
    ),
    "a person in a program's role": (
        changed(subject={"user": "u-1", "role": "application"}),
        "missing_attribute",
        "subject.properties.role",
    ),
    "an unknown attribute": (changed(context={"mood": 1}), "unknown_attribute", "context.mood"),
    "an attribute of the action": (
        changed(action={"speed": 1}), "unknown_attribute", "action.properties.speed",
    ),
    "its own time": (changed(context={"time": "2020-01-01"}), "unknown_attribute", "context.time"),
    "its own consent": (
        changed(context={"consent": {"uses": 0}}), "unknown_attribute", "context.consent",
    ),
    "its own counters": (changed(context={"usage": {}}), "unknown_attribute", "context.usage"),
    "one dim for a list": (
        changed(resource={"dims": "gend"}), "invalid_attribute", "resource.properties.dims",
    ),
    "an object for a grant": (
        changed(context={"grant_id": {}}), "invalid_attribute", "context.grant_id",
    ),
    "a list for a consent": (
        changed(context={"consent_id": []}), "invalid_attribute", "context.consent_id",
    ),
    "a number as text": (changed(context={"cells": "48"}), "invalid_attribute", "context.cells"),
    "an address that is none": (
        changed(subject={"ip": "here"}), "invalid_attribute", "subject.properties.ip",
    ),
    "another kind of resource": (
        ALLOWED | {"resource": {"type": "file", "id": "S02"}}, "unknown_type", "resource.type",
    ),
    "another kind of subject": (
        ALLOWED | {"subject": {"type": "dog", "id": "x"}}, "unknown_type", "subject.type",
    ),
    "an operation that is none": (
        ALLOWED | {"action": {"name": "steal"}}, "invalid_attribute", "action.name",
    ),
}  # fmt: skip


@pytest.mark.parametrize("why", UNANSWERABLE)
def test_what_cannot_be_asked_is_answered_no_and_says_what_it_needs(
    point: Gateway, why: str
) -> None:
    body, reason, attribute = UNANSWERABLE[why]
    answer = told(point, body)
    assert answer["decision"] is False
    assert answer["context"]["reason"] == reason
    assert answer["context"]["attributes"] == [attribute]
    assert recorded(point)[-1]["audit"]["deny_codes"] == answer["context"]["deny"] == ["D000"]


def test_an_attempt_on_disclosure_control_has_its_own_code(point: Gateway) -> None:
    answer = told(point, changed(context={"min_persons": 1}))
    assert answer["context"]["deny"] == ["D406"]
    assert recorded(point)[-1]["audit"]["deny_codes"] == ["D406"]


def test_a_batch_takes_what_an_item_leaves_out_from_its_defaults(point: Gateway) -> None:
    items = [{}, {"context": changed(context={"geo": ["990200"]})["context"]}, {}]
    answer = told(point, ALLOWED | {"evaluations": items}, path="evaluations")
    assert [each["decision"] for each in answer["evaluations"]] == [True, False, True]
    ids = {each["context"]["decision_id"] for each in answer["evaluations"]}
    assert ids == {each["audit"]["decision_id"] for each in recorded(point)[-3:]}


YES: Json = {}
NO: Json = {"action": {"name": "report"}}


@pytest.mark.parametrize(
    ("semantic", "items", "decisions"),
    [
        (None, [NO, YES, NO], [False, True, False]),
        ("execute_all", [NO, YES, NO], [False, True, False]),
        ("deny_on_first_deny", [YES, NO, YES], [True, False]),
        ("deny_on_first_deny", [YES, {"subject": 7}, YES], [True, False]),
        ("permit_on_first_permit", [NO, YES, NO], [False, True]),
        ("permit_on_first_permit", [NO, NO], [False, False]),
    ],
)
def test_a_batch_ends_where_its_semantic_says(
    point: Gateway, semantic: str | None, items: list[Json], decisions: list[bool]
) -> None:
    options = {"options": {"evaluations_semantic": semantic}} if semantic else {}
    before = len(recorded(point))
    answer = told(point, ALLOWED | options | {"evaluations": items}, path="evaluations")
    assert [each["decision"] for each in answer["evaluations"]] == decisions
    evaluated = [each for each in answer["evaluations"] if "error" not in each["context"]]
    assert len(recorded(point)) - before == len(evaluated)


def test_an_item_that_is_no_evaluation_is_answered_in_its_place(point: Gateway) -> None:
    items: list[Json] = [{}, {"resource": {"type": "data-service"}}, {}]
    answer = told(point, ALLOWED | {"evaluations": items}, path="evaluations")
    assert [each["decision"] for each in answer["evaluations"]] == [True, False, True]
    assert answer["evaluations"][1]["context"]["error"]["status"] == 400


@pytest.mark.parametrize("items", [{}, {"evaluations": []}, {"evaluations": None}])
def test_a_batch_without_items_is_the_one_its_defaults_make(point: Gateway, items: Json) -> None:
    assert told(point, ALLOWED | items, path="evaluations")["decision"] is True


BAD: dict[str, object] = {
    "no subject": {key: value for key, value in ALLOWED.items() if key != "subject"},
    "a subject without a type": ALLOWED | {"subject": {"id": "ins-app"}},
    "an action that is a text": ALLOWED | {"action": "cells"},
    "a context that is a list": ALLOWED | {"context": []},
    "an unknown part": ALLOWED | {"mood": {}},
    "an empty body": {},
    "a list": [ALLOWED],
    "a number": 7,
}


@pytest.mark.parametrize("why", BAD)
@pytest.mark.parametrize("path", ["evaluation", "evaluations"])
def test_what_is_not_of_the_form_is_a_bad_request(point: Gateway, why: str, path: str) -> None:
    reply = evaluate(point, BAD[why], path=path)
    assert reply.status_code == 400
    assert reply.json()["code"] == "invalid_parameter"


@pytest.mark.parametrize(
    "change",
    [
        {"evaluations": [{}] * 51},
        {"evaluations": [7]},
        {"evaluations": [{}], "options": {"evaluations_semantic": "guess"}},
        {"evaluations": [{}], "options": {"speed": "high"}},
    ],
)
def test_a_batch_of_another_form_is_a_bad_request(point: Gateway, change: Json) -> None:
    assert evaluate(point, ALLOWED | change, path="evaluations").status_code == 400


def test_the_callers_own_request_id_comes_back_with_answers_and_errors(point: Gateway) -> None:
    own = {"X-Request-ID": "bfe9eb29-ab87-4ca3-be83-a1d5d8305716"}
    for reply in (
        evaluate(point, ALLOWED, headers=own),
        evaluate(point, {}, headers=own),
        evaluate(point, ALLOWED, client="ins-app", headers=own),
        point.http.post("/access/v1/evaluation", json=ALLOWED, headers=own),
    ):
        assert reply.headers["x-request-id"] == own["X-Request-ID"]
    assert "x-request-id" not in evaluate(point, ALLOWED).headers
    too_long = evaluate(point, ALLOWED, headers={"X-Request-ID": "x" * 129})
    assert too_long.status_code == 400
    assert "x-request-id" not in too_long.headers


def test_the_document_names_the_addresses_that_are_served(point: Gateway) -> None:
    found = point.http.get("/.well-known/authzen-configuration").json()
    base = point.settings.base_url
    assert found == {
        "policy_decision_point": base,
        "access_evaluation_endpoint": f"{base}/access/v1/evaluation",
        "access_evaluations_endpoint": f"{base}/access/v1/evaluations",
    }


def test_asking_uses_up_nothing_of_whom_it_is_about(own_gateway_with: Start) -> None:
    gateway = own_gateway_with(calls_day=3)
    enter_bureau(gateway)
    for _ in range(5):
        assert told(gateway, ALLOWED)["decision"] is True
    for quarter in ("2024Q1", "2024Q2", "2024Q3"):
        period = {"from": quarter, "to": quarter, "grain": "quarter"}
        assert gateway.ask("S02", COST | {"period": period}).status_code == 200
    assert told(gateway, ALLOWED)["context"]["deny"] == ["D802"]
