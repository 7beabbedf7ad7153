"""Laws of decisions about persons, budgets and fields, over questions of all scenarios."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.policy.embedded import EmbeddedPolicy
from gateway.policy.engine import build_engine
from gateway.policy.port import Decision, PolicyInput, Usage
from tests.policy_factory import Json, ask
from tests.policy_questions import CONSENTS, well_formed
from tests.policy_scenarios import CONSENTED, PLANS, embedded_world, golden, services
from tests.policy_scenarios import given as consented

LAW = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
COUNTERS = sorted(Usage.model_fields.keys() - {"smallest_difference", "revenue_year_fen"})
PARTS = ("tenant", "user", "period", "usage", "consent")


@pytest.fixture(scope="module")
def policy() -> Iterator[EmbeddedPolicy]:
    with closing(embedded_world()) as running:
        yield running


@pytest.fixture(scope="module")
def rules(policy: EmbeddedPolicy) -> Any:  # regorus has no types
    """The rules without the gate before them."""
    return build_engine(policy.bundle.rego, policy.bundle.documents)


def generated() -> st.SearchStrategy[Json]:
    """A question as the rules read it: sound or faulty in up to three attributes."""
    return st.integers(0, 10**6).map(lambda seed: next(well_formed(random.Random(seed), 1)))  # noqa: S311 - a sample


def asked(question: Json) -> PolicyInput:
    return PolicyInput.model_validate_json(orjson.dumps(question))


def consenting() -> st.SearchStrategy[Json]:
    """A question about a person, on a sound or faulty consent, with some of the fields."""
    return st.builds(
        lambda name, change, usage: (
            golden(name) | {"consent": consented(name) | change, "usage": usage}
        ),
        st.sampled_from(CONSENTED),
        st.sampled_from([{}, {}, *CONSENTS]),
        st.sampled_from([{}, {"calls_day": 50}, {"persons_day": 9_999}]),
    )


def fields_told(decision: Decision) -> set[str]:
    told = decision.obligations
    return {column.field for column in told.columns if column.mask != "suppress"} if told else set()


def places(question: Json) -> list[tuple[Json, str]]:
    """Every attribute of a question, with the part it lies in."""
    parts = [question, *(question[part] for part in PARTS if question[part] is not None)]
    return [(part, name) for part in parts for name in part]


@LAW
@given(question=generated(), data=st.data())
def test_dropping_any_attribute_is_refused_by_the_rules_themselves(
    rules: Any, question: Json, data: st.DataObject
) -> None:
    part, name = data.draw(st.sampled_from(places(question)), label="place")
    del part[name]
    rules.set_input_json(orjson.dumps(question).decode())
    assert orjson.loads(rules.eval_rule_as_json("data.decision.answer")) == {
        "allow": False,
        "deny": ["D000"],
    }


WORSE: list[Json] = [
    {"state": "REVOKED"},
    {"state": "SUSPENDED"},
    {"scopes": []},
    {"services": []},
    {"valid_to": datetime(2026, 3, 10, 4, tzinfo=UTC)},
    {"valid_to": None},
    {"window_to": date(2024, 1, 1)},
    {"uses": 10**6},
    {"uses_max": 0},
    {"subject_ref": None},
    {"minor": True},
]


@LAW
@given(question=consenting(), worse=st.sampled_from(WORSE))
def test_a_consent_that_says_less_never_allows_more(
    policy: EmbeddedPolicy, question: Json, worse: Json
) -> None:
    before = policy.decide(ask(question))
    after = policy.decide(ask(question, consent=question["consent"] | worse))
    assert before.allow or not after.allow
    assert not after.allow


@LAW
@given(question=consenting(), kept=st.sets(st.sampled_from(["SETL", "DX", "FEE", "HIST"])))
def test_fewer_scopes_never_open_more_fields(
    policy: EmbeddedPolicy, question: Json, kept: set[str]
) -> None:
    scopes = question["consent"]["scopes"]
    wide = question["consent"] | {"scopes": sorted({*scopes, *kept})}
    before = policy.decide(ask(question, consent=wide))
    after = policy.decide(ask(question))
    assert before.allow or not after.allow
    assert fields_told(after) <= fields_told(before)


@LAW
@given(question=consenting())
def test_a_stopped_person_looks_like_one_who_never_consented(
    policy: EmbeddedPolicy, question: Json
) -> None:
    stopped = policy.decide(ask(question, subject_stopped=True))
    unknown = policy.decide(ask(question, consent=None))
    assert not stopped.allow
    assert stopped.deny == unknown.deny


@LAW
@given(question=generated())
def test_a_stop_on_the_person_never_opens_anything(policy: EmbeddedPolicy, question: Json) -> None:
    stopped = policy.decide(asked(question | {"subject_stopped": True}))
    assert not stopped.allow
    assert {code[:2] for code in stopped.deny} <= {"D0", "D1", "D2", "D3", "D4", "D5", "D6"}


@LAW
@given(question=generated(), name=st.sampled_from(COUNTERS), more=st.integers(1, 10**9))
def test_more_use_never_opens_anything(
    policy: EmbeddedPolicy, question: Json, name: str, more: int
) -> None:
    usage = question["usage"]
    before = policy.decide(asked(question))
    after = policy.decide(asked(question | {"usage": usage | {name: usage[name] + more}}))
    assert before.allow or not after.allow
    assert before.obligations == after.obligations or not after.allow


@LAW
@given(question=generated(), spent=st.integers(0, 10**7), near=st.integers(0, 40))
def test_a_closer_question_or_one_that_spends_privacy_never_opens_anything(
    policy: EmbeddedPolicy, question: Json, spent: int, near: int
) -> None:
    before = policy.decide(asked(question))
    dear = policy.decide(asked(question | {"epsilon_micro": question["epsilon_micro"] + spent}))
    assert before.allow or not dear.allow
    known = question["usage"]["smallest_difference"]
    if known is not None:
        closer = question["usage"] | {"smallest_difference": min(known, near)}
        assert before.allow or not policy.decide(asked(question | {"usage": closer})).allow


@LAW
@given(question=generated(), data=st.data())
def test_no_list_has_an_order(policy: EmbeddedPolicy, question: Json, data: st.DataObject) -> None:
    shuffled = {
        name: data.draw(st.permutations(question[name]))
        for name in ("dims", "measures", "geo", "fields")
    }
    if question["consent"]:
        lists = {
            name: data.draw(st.permutations(question["consent"][name]))
            for name in ("scopes", "services")
        }
        shuffled["consent"] = question["consent"] | lists
    one, other = policy.decide(asked(question)), policy.decide(asked(question | shuffled))
    assert (one.deny, one.obligations) == (other.deny, other.obligations)


@LAW
@given(question=generated(), data=st.data())
def test_in_no_scenario_one_more_dim_or_field_loosens_anything(
    policy: EmbeddedPolicy, question: Json, data: st.DataObject
) -> None:
    more = data.draw(st.sampled_from(services()["S04"]["dims"]))
    finer = policy.decide(asked(question | {"dims": sorted({*question["dims"], more})}))
    if finer.obligations is None:
        return
    coarser = policy.decide(asked(question | {"dims": [d for d in question["dims"] if d != more]}))
    assert coarser.obligations is not None
    assert coarser.obligations.profile == finer.obligations.profile
    masks = {column.field: column.mask for column in finer.obligations.columns}
    assert all(masks[column.field] == column.mask for column in coarser.obligations.columns)
    assert coarser.obligations.rows == finer.obligations.rows


@pytest.mark.parametrize("scenario", PLANS)
def test_an_answer_never_holds_more_than_was_asked_for(
    policy: EmbeddedPolicy, scenario: str
) -> None:
    for cells in (0, 1, 49_999, 50_000):
        told = policy.decide(ask(golden(scenario), qty_estimate=cells)).obligations
        assert told is None or told.max_cells == cells
