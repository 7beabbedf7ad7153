"""SPEC §6.4, properties of every decision, over generated questions, grants and organisations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.policy.bundle import read_edition
from gateway.policy.embedded import EmbeddedPolicy
from gateway.policy.engine import build_engine
from tests.policy_factory import (
    POLICIES,
    PRICING,
    Json,
    ask,
    catalogue,
    directory,
    embedded,
    scenarios,
)
from tests.policy_scenarios import PLANS, embedded_world, golden, grant, services, tenant, world

LAW = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

WAIVED = ("email_or_none", "account")
DIMS = [*catalogue()["S02"]["dims"], "postcode"]
MEASURES = [*catalogue()["S02"]["measures"][:6], "profit"]


@pytest.fixture(scope="module")
def policy() -> Iterator[EmbeddedPolicy]:
    running = embedded()
    yield running
    running.close()


def some_of(names: list[str], most: int) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(names), max_size=most, unique=True)


@st.composite
def questions(draw: st.DrawFn) -> Json:
    """A pricing question, mostly sound, with any mixture of dims, measures, places and times."""
    quarter = st.sampled_from(["2020Q4", "2024Q1", "2025Q1", "2025Q3", "2026Q1"])
    change: dict[str, Any] = {
        "dims": draw(some_of(DIMS, 6)),
        "measures": draw(some_of(MEASURES, 4)),
        "geo": draw(some_of(["990100", "990101", "990104", "990200", "110000"], 2)),
        "period": {"from": draw(quarter), "to": draw(quarter), "grain": "quarter"},
        "format": draw(st.sampled_from(["json", "csv", "parquet"])),
        "usage": {"cells_day": draw(st.sampled_from([0, 199_990, 10**6]))},
        "where": draw(st.dictionaries(st.sampled_from(DIMS), st.just("1"), max_size=1)),
    }
    kept = draw(st.sets(st.sampled_from(sorted(change)), max_size=3))
    return PRICING | {name: change[name] for name in kept}


def decided(policy: EmbeddedPolicy, question: Json) -> tuple[bool, tuple[str, ...], Any]:
    """What matters of a decision: all but its id."""
    decision = policy.decide(ask(question))
    return decision.allow, decision.deny, decision.obligations


@LAW
@given(question=questions(), data=st.data())
def test_the_order_of_dims_measures_and_regions_changes_nothing(
    policy: EmbeddedPolicy, question: Json, data: st.DataObject
) -> None:
    shuffled = {
        name: data.draw(st.permutations(question[name])) for name in ("dims", "measures", "geo")
    }
    assert decided(policy, question | shuffled) == decided(policy, question)


@LAW
@given(question=questions())
def test_the_same_question_gets_the_same_answer(policy: EmbeddedPolicy, question: Json) -> None:
    assert decided(policy, question | {"request_id": "req-2"}) == decided(policy, question)


@LAW
@given(question=questions())
def test_allowed_means_no_reason_and_refused_means_reasons_of_one_group(
    policy: EmbeddedPolicy, question: Json
) -> None:
    allow, deny, obligations = decided(policy, question)
    assert allow == (not deny) == (obligations is not None)
    assert len({code[:2] for code in deny}) <= 1


@LAW
@given(question=questions(), more=st.sampled_from(DIMS))
def test_one_more_dim_never_loosens_the_profile(
    policy: EmbeddedPolicy, question: Json, more: str
) -> None:
    finer = question | {"dims": sorted({*question["dims"], more})}
    if decided(policy, finer)[0]:
        allow, _, obligations = decided(policy, question)
        assert allow
        assert obligations.profile == decided(policy, finer)[2].profile


@pytest.fixture(scope="module")
def everyone() -> Iterator[EmbeddedPolicy]:
    """The policy on one organisation and grant per scenario."""
    running = embedded_world()
    yield running
    running.close()


VARIANTS: list[Json] = [{}, {"dims": ["postcode"]}, {"format": "parquet"}, {"geo": ["990104"]}]


def test_removing_a_qualification_never_turns_a_refusal_into_an_allowance(
    everyone: EmbeddedPolicy,
) -> None:
    """Every scenario, every qualification it asks for, sound and faulty questions."""
    before = {
        (name, at): decided(everyone, golden(name) | variant)[0]
        for name in PLANS
        for at, variant in enumerate(VARIANTS)
    }
    assert all(before[name, 0] for name in PLANS)
    most = max(len(scenarios()[name]["qualification"]) for name in PLANS)
    for index in range(most):
        documents = world()
        for name in PLANS:
            held = documents["tenants"][tenant(name)]["qualifications"]
            documents["tenants"][tenant(name)]["qualifications"] = held[:index] + held[index + 1 :]
        everyone.load(documents)
        for name in PLANS:
            asked = scenarios()[name]["qualification"]
            missing = index < len(asked) and asked[index] not in WAIVED
            for at, variant in enumerate(VARIANTS):
                allow, deny, _ = decided(everyone, golden(name) | variant)
                assert before[name, at] or not allow
                assert not missing or "D203" in deny
    everyone.load(world())


@st.composite
def narrowings(draw: st.DrawFn) -> Json:
    """A grant that says less than the shipped one."""
    return {
        "regions": draw(st.sampled_from([["990100"], ["990101"], []])),
        "services": draw(st.sampled_from([["S02"], ["S04"], []])),
        "dims": draw(st.one_of(st.just(["*"]), some_of(DIMS, 4))),
        "measures": draw(st.one_of(st.just(["*"]), some_of(MEASURES, 3))),
        "valid_to": draw(st.sampled_from(["2026-12-31", "2026-03-10", "2026-03-09"])),
    }


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(narrower=narrowings(), asked=st.lists(questions(), min_size=3, max_size=3))
def test_a_narrower_grant_never_allows_more(
    policy: EmbeddedPolicy, narrower: Json, asked: list[Json]
) -> None:
    before = [decided(policy, question) for question in [PRICING, *asked]]
    documents = directory()
    documents["grants"]["insurer-1"]["g-pricing"] |= narrower
    policy.load(documents)
    try:
        after = [decided(policy, question) for question in [PRICING, *asked]]
    finally:
        policy.load(directory())
    for (wide, _, shown), (narrow, _, told) in zip(before, after, strict=True):
        assert wide or not narrow
        if narrow:
            assert {c.field for c in told.columns} <= {c.field for c in shown.columns}


class Bare:
    """The rules without the gate before them, to see that they refuse by themselves."""

    def __init__(self) -> None:
        bundle = read_edition(POLICIES, services()).bundle(world())
        self._engine = build_engine(bundle.rego, bundle.documents)

    def deny(self, question: Json) -> list[str]:
        self._engine.set_input_json(orjson.dumps(question).decode())
        answer = orjson.loads(self._engine.eval_rule_as_json("data.decision.answer"))
        assert answer["allow"] is (not answer["deny"])
        codes: list[str] = answer["deny"]
        return codes


@pytest.fixture(scope="module")
def bare() -> Bare:
    return Bare()


def leaves(document: Json) -> list[tuple[str, ...]]:
    """Every attribute of a question, nested ones by their path."""
    found: list[tuple[str, ...]] = [(name,) for name in document]
    for name in ("tenant", "user", "period", "usage", "consent"):
        found += [(name, inner) for inner in document[name] or ()]
    return found


@pytest.mark.parametrize("base", [golden(name) for name in PLANS], ids=list(PLANS))
def test_a_question_lacking_any_attribute_is_refused_by_the_rules_too(
    bare: Bare, base: Json
) -> None:
    whole = orjson.loads(ask(base).question())
    assert bare.deny(whole) == []
    for path in leaves(whole):
        lacking = orjson.loads(orjson.dumps(whole))
        place = lacking if len(path) == 1 else lacking[path[0]]
        del place[path[-1]]
        assert bare.deny(lacking) == ["D000"], path


@pytest.mark.parametrize("base", [golden(name) for name in PLANS], ids=list(PLANS))
def test_an_unknown_attribute_is_refused_by_the_rules_too(bare: Bare, base: Json) -> None:
    whole = orjson.loads(ask(base).question())
    assert bare.deny(whole | {"override": True}) == ["D000"]
    for part in ("tenant", "user", "period", "usage", "consent"):
        assert bare.deny(whole | {part: (whole[part] or {}) | {"override": True}}) == ["D000"]


NARROWER: list[Json] = [
    {"regions": ["990101"]},
    {"regions": []},
    {"services": []},
    {"dims": ["gend"]},
    {"dims": []},
    {"measures": []},
    {"valid_to": "2026-03-10"},
    {"valid_to": "2026-03-09"},
    {"valid_from": "2026-03-11"},
    {"approved_by": ["officer-a"]},
    {"status": "suspended"},
    {"price_plan": ""},
]


@pytest.mark.parametrize("narrower", NARROWER, ids=str)
def test_in_no_scenario_a_narrower_grant_allows_more(
    everyone: EmbeddedPolicy, narrower: Json
) -> None:
    questions_ = [golden(name) | variant for name in PLANS for variant in VARIANTS]
    before = [decided(everyone, question) for question in questions_]
    documents = world()
    for name in PLANS:
        documents["grants"][tenant(name)][grant(name)] |= narrower
    everyone.load(documents)
    after = [decided(everyone, question) for question in questions_]
    everyone.load(world())
    for (wide, _, shown), (narrow, _, told) in zip(before, after, strict=True):
        assert wide or not narrow
        if narrow:
            assert {c.field for c in told.columns} <= {c.field for c in shown.columns}
            assert told.max_cells <= shown.max_cells
            assert told.ttl <= shown.ttl


@pytest.mark.parametrize("scenario", PLANS)
def test_in_every_scenario_one_more_dim_never_loosens_the_profile(
    everyone: EmbeddedPolicy, scenario: str
) -> None:
    question = golden(scenario)
    _, _, alone = decided(everyone, question)
    for dim in services()[question["service"]]["dims"]:
        allow, _, obligations = decided(everyone, question | {"dims": [*question["dims"], dim]})
        assert not allow or obligations.profile == alone.profile
