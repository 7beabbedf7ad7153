"""The mapping of AuthZEN evaluations: closed, total, and blind to the order of attributes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api.authzen_form import Batch, Evaluation, read_evaluation, read_evaluations
from gateway.api.authzen_mapping import (
    NEEDED,
    PLACES,
    Surroundings,
    Unanswerable,
    map_question,
)
from gateway.errors import BadRequest
from gateway.policy.port import PolicyInput, Usage
from tests.authzen_factory import ALLOWED, Json, changed

AROUND = Surroundings(
    tenant="T-INS",
    versions={"S02": "1.0"},
    own={
        "request_id": "r-1",
        "time": datetime(2025, 6, 2, 4, tzinfo=UTC),
        "env": "prod",
        "usage": Usage(),
        "consent": None,
        "subject_stopped": False,
    },
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
NAMES = st.sampled_from(sorted({name.rpartition(".")[2] for name in PLACES})) | st.text(max_size=12)
ATTRIBUTES = st.dictionaries(NAMES, JSON, max_size=6)


def asked(body: Json) -> Evaluation:
    return msgspec.convert(body, Evaluation)


@given(subject=ATTRIBUTES, resource=ATTRIBUTES, action=ATTRIBUTES, context=ATTRIBUTES)
def test_whatever_is_sent_becomes_a_question_or_a_reasoned_no(**parts: Any) -> None:
    found = map_question(asked(changed(**parts)), AROUND)
    assert isinstance(found, PolicyInput) or found.attributes


@given(body=JSON)
def test_whatever_the_body_is_it_is_an_evaluation_or_a_bad_request(body: Any) -> None:
    try:
        text = msgspec.json.encode(body)
    except msgspec.MsgspecError:  # what is no JSON cannot be sent as such
        return
    for read in (read_evaluation, lambda sent: read_evaluations(sent, 50)):
        assert _outcome(read, text) in ("an evaluation", "invalid_parameter", "malformed_json")


def _outcome(read: Callable[[bytes], Evaluation | Batch], text: bytes) -> str:
    try:
        read(text)
    except BadRequest as error:
        return error.code
    return "an evaluation"


@given(st.binary(max_size=200))
def test_bytes_that_are_no_json_are_a_bad_request(body: bytes) -> None:
    with pytest.raises(BadRequest):
        read_evaluation(body)


@given(st.permutations(sorted(ALLOWED["context"])), st.permutations(["dims", "measures"]))
def test_the_order_of_attributes_changes_nothing(context: list[str], resource: list[str]) -> None:
    turned = changed()
    turned["context"] = {name: turned["context"][name] for name in context}
    properties = turned["resource"]["properties"]
    turned["resource"]["properties"] = {name: properties[name] for name in resource}
    assert map_question(asked(turned), AROUND) == map_question(asked(ALLOWED), AROUND)


OTHER: Json = {
    "subject.properties.ip": "192.0.2.7",
    "subject.properties.cert_thumbprint": "thumb",
    "subject.properties.user": "u-7",
    "subject.properties.role": "analyst",
    "subject.properties.mfa": True,
    "resource.id": "S09",
    "resource.properties.version": "7.1",
    "resource.properties.release": "rel-7",
    "resource.properties.dims": ["gend"],
    "resource.properties.measures": ["stays"],
    "resource.properties.levels": {"atc": 2},
    "resource.properties.where": {"gend": "1"},
    "resource.properties.fields": ["setl_ref"],
    "resource.properties.params": {"claim_ref": "c-7"},
    "resource.properties.bulk": True,
    "action.name": "verify",
    "context.purpose": "claim_verification",
    "context.period": {"from": "2024", "to": "2024", "grain": "year"},
    "context.geo": ["990101"],
    "context.grant_id": "G-7",
    "context.consent_id": "c-7",
    "context.subject_ref": "s-7",
    "context.format": "csv",
    "context.destination": "US",
    "context.cells": 7,
}


def with_one(attribute: str) -> Json:
    part, _, name = attribute.rpartition(".")
    if attribute in ("resource.id", "action.name"):
        body = changed()
        body[part] = body[part] | {name: OTHER[attribute]}
        return body
    with_it = {"role": "analyst"} if attribute == "subject.properties.user" else {}
    return changed(**{part.partition(".")[0]: {name: OTHER[attribute], **with_it}})


def test_the_examples_speak_of_every_attribute() -> None:
    assert OTHER.keys() == PLACES.keys()


@pytest.mark.parametrize("attribute", sorted(PLACES))
def test_each_attribute_reaches_its_place_in_the_question_and_no_other(attribute: str) -> None:
    base, found = (map_question(asked(body), AROUND) for body in (ALLOWED, with_one(attribute)))
    assert isinstance(base, PolicyInput)
    assert isinstance(found, PolicyInput)
    before, after = base.model_dump(by_alias=True), found.model_dump(by_alias=True)
    place = PLACES[attribute]
    differing = {name for name in before if before[name] != after[name]}
    assert differing - {"version"} <= {place[0]}  # the version on offer follows the service
    told: Any = after
    for part in place:
        told = told[part]
    expected = OTHER[attribute]
    assert (list(told) if isinstance(expected, list) else told) == expected


@pytest.mark.parametrize("attribute", sorted(PLACES))
@pytest.mark.parametrize("odd", [{}, {"a": {"b": 1}}, [[]], [{}], 1.5])
def test_a_value_of_another_kind_never_passes_unread(attribute: str, odd: Any) -> None:
    part, _, name = attribute.rpartition(".")
    body = with_one(attribute)
    holder = body["context"] if part == "context" else body[part.partition(".")[0]]
    (holder["properties"] if part.endswith("properties") else holder)[name] = odd
    try:
        found = map_question(asked(body), AROUND)
    except msgspec.ValidationError:
        return  # not of the standard's form: a bad request
    if odd == {} and name in ("levels", "where", "params"):
        assert isinstance(found, PolicyInput)
    else:
        assert isinstance(found, Unanswerable)
        assert found.attributes == (attribute,)


@pytest.mark.parametrize("attribute", NEEDED)
@pytest.mark.parametrize("gone", [None, "null"])
def test_without_a_needed_attribute_there_is_no_question(attribute: str, gone: object) -> None:
    part, _, name = attribute.rpartition(".")
    body = changed(**{part.partition(".")[0]: {name: None}})
    if gone == "null":
        holder = body["context"] if part == "context" else body["subject"]["properties"]
        holder[name] = None
    found = map_question(asked(body), AROUND)
    assert isinstance(found, Unanswerable)
    assert found.attributes == (attribute,)
