"""A remembered decision is the decision the rules would make now: under any change of directory,
consents, clocks, counters and policies, asked in any order."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.policy.cache import REFUSED_SECONDS, CachedPolicy, DecisionCache
from gateway.policy.embedded import EmbeddedPolicy
from gateway.policy.port import Decision, Holds, PolicyInput, PolicyUnavailable
from tests.policy_factory import POLICIES, Json, ask
from tests.policy_scenarios import CONSENTED, PLANS, golden, grant, services, tenant, world
from tests.policy_scenarios import given as consented

MICRO = timedelta(microseconds=1)
NOW = datetime(2026, 3, 10, 4, tzinfo=UTC)
MOMENTS = [
    NOW,
    datetime(2025, 12, 31, 16, tzinfo=UTC),  # grants begin, a month and a year too
    datetime(2026, 1, 29, 16, tzinfo=UTC),  # November is settled for SC05
    datetime(2026, 2, 28, 16, tzinfo=UTC),  # consents begin
    datetime(2026, 3, 10, 15, 55, tzinfo=UTC),  # five minutes before the end of a short grant
    datetime(2026, 3, 10, 15, 59, 30, tzinfo=UTC),
    datetime(2026, 3, 10, 16, tzinfo=UTC),  # short grants, consents, qualifications end
    datetime(2026, 3, 31, 16, tzinfo=UTC),  # a month and the other consents end
    datetime(2026, 12, 31, 16, tzinfo=UTC),
]
STEPS = [-MICRO, 0 * MICRO, MICRO, timedelta(seconds=1), timedelta(seconds=REFUSED_SECONDS)]
USAGE: list[Json] = [
    {},
    {"rps": 4},
    {"rps": 5},
    {"calls_day": 1999},
    {"cells_day": 150_000},
    {"cells_day": 150_001},
    {"cells_month": 1_950_001},
    {"distinct_queries_day": 200},
    {"persons_day": 9999},
    {"persons_day": 10_000},
    {"calls_per_person_day": 5},
    {"queries_per_study": 60},
    {"epsilon_spent_micro": 7_500_000},
    {"epsilon_spent_micro": 7_500_001},
    {"spent_month_fen": 990},
    {"spent_month_fen": 991},
    {"tenant_spent_month_fen": 1991},
    {"revenue_year_fen": 2991},
    {"revenue_year_fen": None},
    {"smallest_difference": 19},
    {"smallest_difference": 20},
]
CONSENTS: list[Json] = [
    {},
    {},
    {"state": "REVOKED"},
    {"valid_to": datetime(2026, 3, 10, 16, tzinfo=UTC)},
    {"valid_from": datetime(2026, 3, 10, 16, tzinfo=UTC)},
    {"valid_to": None},
    {"uses": 5},
    {"uses": 4},
    {"scopes": []},
    {"minor": True},
]
FAULTS: list[Json] = [{}, {}, {"format": "parquet"}, {"dims": ["gend", "insutype2"]}]


def _grants(documents: Json, change: Json) -> None:
    for name in PLANS:
        documents["grants"][tenant(name)][grant(name)] |= change


def _tenants(documents: Json, change: Json) -> None:
    for name in PLANS:
        documents["tenants"][tenant(name)] |= change


def _qualified_until(documents: Json, day: str) -> None:
    for name in PLANS:
        for held in documents["tenants"][tenant(name)]["qualifications"]:
            held["valid_to"] = day


CHANGES: dict[str, Callable[[Json], None]] = {
    "none": lambda documents: None,
    "grants end today": lambda d: _grants(d, {"valid_to": "2026-03-10"}),
    "grants end at a moment": lambda d: _grants(d, {"valid_to": "2026-03-10T15:59:30.5Z"}),
    "grants begin at a moment": lambda d: _grants(d, {"valid_from": "2026-03-10T04:00:00Z"}),
    "grants are suspended": lambda d: _grants(d, {"status": "suspended"}),
    "grants have a credit": lambda d: _grants(d, {"credit_limit_fen": 1000}),
    "organisations have a credit": lambda d: _tenants(d, {"credit_limit_fen": 2000}),
    "qualifications end today": lambda d: _qualified_until(d, "2026-03-10"),
    "organisations end tomorrow": lambda d: _tenants(d, {"termination_date": "2026-03-11"}),
    "scenarios are stopped": lambda d: d["stops"]["scenario"].update({name: {} for name in PLANS}),
    "services are stopped": lambda d: d["stops"]["service"].update(
        {plan.service: {} for plan in PLANS.values()}
    ),
    "organisations are stopped": lambda d: d["stops"]["tenant"].update(
        {tenant(name): {} for name in PLANS}
    ),
    "the region is stopped": lambda d: d["stops"]["region"].update({"990100": {}}),
    "the region closes": lambda d: d["regions"]["990100"].update({"data_open": False}),
}


@pytest.fixture(scope="module")
def policies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[EmbeddedPolicy]]:
    """The shipped policy, and an edition of it with other limits."""
    folder = tmp_path_factory.mktemp("edition") / "policies"
    shutil.copytree(POLICIES, folder)
    limits = folder / "data" / "limits.yaml"
    text = limits.read_text(encoding="utf-8")
    changed = text.replace("answer_ttl_seconds: 300", "answer_ttl_seconds: 60")
    capped = changed.replace("revenue_caps_fen: {}", "revenue_caps_fen: {standard-2026: 3000}")
    assert len({text, changed, capped}) == 3
    limits.write_text(capped, encoding="utf-8")
    with ExitStack() as stack:
        yield [
            stack.enter_context(closing(EmbeddedPolicy(each, services(), world())))
            for each in (POLICIES, folder)
        ]


class Counting:
    """A policy that counts how often it is really asked."""

    def __init__(self, policy: EmbeddedPolicy) -> None:
        self._policy, self.asked = policy, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._policy, name)

    def decide(self, question: PolicyInput) -> Decision:
        self.asked += 1
        return self._policy.decide(question)


def said(decision: Decision) -> Decision:
    """All that a decision says, without its id and how long it holds."""
    return replace(decision, decision_id="", holds=None)


@st.composite
def questions(draw: st.DrawFn) -> PolicyInput:
    """One of few questions, at one of few moments around which rules change their mind."""
    name = draw(st.sampled_from(list(PLANS)[:8]))
    base = golden(name)
    change = dict(draw(st.sampled_from(FAULTS)))
    if name in CONSENTED:
        change["consent"] = consented(name) | draw(st.sampled_from(CONSENTS))
        change["subject_stopped"] = draw(st.sampled_from([False, False, True]))
    if name == "SC08":
        change["epsilon_micro"] = draw(st.sampled_from([0, 500_000]))
    spent = {"estimate_fen": draw(st.sampled_from([0, 10])), "revenue_year_fen": 0}
    spent |= draw(st.sampled_from(USAGE))
    return ask(
        base | change,
        time=draw(st.sampled_from(MOMENTS)) + draw(st.sampled_from(STEPS)),
        usage=base["usage"] | spent,
    )


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    directories=st.lists(st.sampled_from(sorted(CHANGES)), min_size=2, max_size=3),
    asked=st.lists(questions(), min_size=10, max_size=30),
)
def test_a_remembered_decision_is_what_the_rules_would_say_now(
    policies: list[EmbeddedPolicy], directories: list[str], asked: list[PolicyInput]
) -> None:
    cache = DecisionCache()
    for change in directories:
        documents = world()
        CHANGES[change](documents)
        for policy in policies:
            policy.load(documents)
            cached = CachedPolicy(policy, cache)
            for question in [*asked, *asked]:
                assert said(cached.decide(question)) == said(policy.decide(question))


@pytest.mark.slow
def test_a_long_life_of_changes_never_shows_a_wrong_decision(
    policies: list[EmbeddedPolicy],
) -> None:
    """Thousands of questions at microseconds around every edge, forwards and backwards."""
    cache, seen = DecisionCache(), 0
    counting = [Counting(policy) for policy in policies]
    for change in (*CHANGES, *reversed(CHANGES)):
        documents = world()
        CHANGES[change](documents)
        for each in counting:
            each.load(documents)
            cached = CachedPolicy(each, cache)  # type: ignore[arg-type]  # counts, and is one otherwise
            for scenario in ("SC01", "SC03", "SC05"):
                for moment in (*MOMENTS, *reversed(MOMENTS)):
                    for step in STEPS:
                        question = ask(golden(scenario), time=moment + step)
                        assert said(cached.decide(question)) == said(each._policy.decide(question))
                        seen += 1
    asked = sum(each.asked for each in counting)
    assert asked < seen * 0.9


@pytest.fixture
def cached(policies: list[EmbeddedPolicy]) -> tuple[CachedPolicy, Counting]:
    policies[0].load(world())
    counting = Counting(policies[0])
    return CachedPolicy(counting), counting  # type: ignore[arg-type]  # counts, and is one otherwise


def test_the_same_question_is_put_to_the_rules_once(
    cached: tuple[CachedPolicy, Counting],
) -> None:
    policy, counting = cached
    first = policy.decide(ask(golden("SC01")))
    again = policy.decide(
        ask(golden("SC01"), request_id="r-2", usage={"rps": 3}, time=NOW + timedelta(seconds=9))
    )
    assert counting.asked == 1
    assert said(again) == said(first)
    assert again.decision_id != first.decision_id


def test_lists_that_are_sets_are_one_question_in_any_order(
    cached: tuple[CachedPolicy, Counting],
) -> None:
    policy, counting = cached
    dims = ["gend", "insutype2"]
    policy.decide(ask(golden("SC01"), dims=dims))
    policy.decide(ask(golden("SC01"), dims=dims[::-1]))
    assert counting.asked == 1


def test_every_attribute_but_three_makes_another_question(
    cached: tuple[CachedPolicy, Counting],
) -> None:
    policy, counting = cached
    changes: list[Json] = [
        {"tenant": golden("SC01")["tenant"] | {"ip": "192.0.2.11"}},
        {"user": {"id": "client-2"}},
        {"grant_id": "g-other"},
        {"service": "S04"},
        {"version": "1.1"},
        {"op": "report"},
        {"period": {"from": "2025Q2", "to": "2025Q3", "grain": "quarter"}},
        {"geo": ["990101"]},
        {"dims": []},
        {"measures": ["medfee"]},
        {"levels": {"gend": 1}},
        {"where": {"gend": "1"}},
        {"fields": ["x"]},
        {"params": {"k": 1}},
        {"params": {"k": True}},
        {"params": {"k": "1"}},
        {"consent_id": "c-1"},
        {"consent": consented("SC03")},
        {"consent": consented("SC03") | {"uses": 1}},
        {"subject_ref": "s-1"},
        {"subject_stopped": True},
        {"purpose_code": "curiosity"},
        {"env": "sandbox"},
        {"format": "csv"},
        {"destination": "US"},
        {"bulk": True},
        {"release": "rel-1"},
        {"qty_estimate": 25},
        {"epsilon_micro": 1},
    ]
    named = {name for change in changes for name in change}
    assert named == PolicyInput.model_fields.keys() - {"request_id", "time", "usage"}
    about: list[Json] = [{"usage": {"smallest_difference": 1}}, {"usage": {"estimate_fen": 1}}]
    policy.decide(ask(golden("SC01")))
    for number, change in enumerate([*changes, *about], start=2):
        policy.decide(ask(golden("SC01"), **change))
        assert counting.asked == number, change


def test_fields_are_one_question_in_any_order(cached: tuple[CachedPolicy, Counting]) -> None:
    policy, counting = cached
    fields = ["setl_ref", "hosp_lv"]
    assert policy.decide(ask(golden("SC03"), fields=fields)).allow
    assert policy.decide(ask(golden("SC03"), fields=fields[::-1])).allow
    assert counting.asked == 1


def test_a_revoked_consent_is_noticed_with_the_next_question(
    cached: tuple[CachedPolicy, Counting],
) -> None:
    policy, _ = cached
    assert policy.decide(ask(golden("SC03"))).allow
    revoked = consented("SC03") | {"state": "REVOKED"}
    assert policy.decide(ask(golden("SC03"), consent=revoked)).deny == ("D602",)
    assert policy.decide(ask(golden("SC03"), subject_stopped=True)).deny == ("D601",)
    assert policy.decide(ask(golden("SC03"))).allow


@pytest.mark.parametrize("scenario", PLANS)
def test_every_usual_grant_is_answered_from_memory_until_a_counter_comes_near(
    cached: tuple[CachedPolicy, Counting], scenario: str
) -> None:
    """Also where the scenario's own quota of cells is smaller than the largest answer."""
    policy, counting = cached
    base = golden(scenario)
    assert policy.decide(ask(base)).allow
    for calls in (1, 3, 20):
        used = {"calls_day": calls, "cells_day": 24 * calls, "cells_month": 24 * calls}
        assert policy.decide(ask(base, usage=base["usage"] | used)).allow
    assert counting.asked == 1


def test_no_counter_passes_its_limit_from_memory(cached: tuple[CachedPolicy, Counting]) -> None:
    """One use at a time to the very limit: the answer from memory is the rules' own."""
    policy, _ = cached
    for scenario in PLANS:
        base = golden(scenario)
        first = policy.decide(ask(base))
        assert first.holds is not None
        for name, clear in first.holds.usage.items():
            for used in (clear, clear + 1):
                question = ask(base, usage=base["usage"] | {name: max(0, used)})
                expected = policy._policy._policy.decide(question)  # type: ignore[attr-defined] # past memory and count
                assert said(policy.decide(question)) == said(expected)
                assert expected.allow == (used == clear)


def test_a_refusal_by_a_counter_is_never_remembered(
    cached: tuple[CachedPolicy, Counting],
) -> None:
    policy, counting = cached
    for _ in range(2):
        assert policy.decide(ask(golden("SC01"), usage={"rps": 5})).deny == ("D801",)
    assert counting.asked == 2
    assert policy.decide(ask(golden("SC01"))).allow


def test_nothing_is_remembered_longer_than_it_may_be_relied_on(
    cached: tuple[CachedPolicy, Counting],
) -> None:
    policy, counting = cached
    for seconds, asked in ((0, 1), (299, 1), (300, 2), (599, 2), (600, 3), (200, 4)):
        policy.decide(ask(golden("SC01"), time=NOW + timedelta(seconds=seconds)))
        assert counting.asked == asked, seconds


def test_a_closed_policy_does_not_answer_from_memory() -> None:
    policy = CachedPolicy(EmbeddedPolicy(POLICIES, services(), world()))
    assert policy.decide(ask(golden("SC01"))).allow
    policy.close()
    with pytest.raises(PolicyUnavailable):
        policy.decide(ask(golden("SC01")))


def test_a_decision_of_another_revision_is_neither_kept_nor_found() -> None:
    question, cache = ask(golden("SC01")), DecisionCache()
    holds = Holds(0, 2**63, {})
    cache.keep("b", question, Decision(False, ("D201",), None, "a", "id", holds))
    assert cache.find("b", question) is None
    cache.keep("a", question, Decision(False, ("D201",), None, "a", "id", holds))
    assert cache.find("b", question) is None
    assert cache.find("a", question) is not None


def test_the_memory_has_a_limit() -> None:
    cache = DecisionCache(largest=3)
    for number in range(10):
        question = ask(golden("SC01"), grant_id=f"g-{number}")
        holds = Holds(0, 2**63, {})
        cache.keep("a", question, Decision(False, ("D201",), None, "a", "id", holds))
        assert len(cache._held) <= 3
        assert cache.find("a", question) is not None


def test_every_rule_that_looks_at_the_clock_has_its_edges() -> None:
    """A new reader of the clock must be entered here, and its edges in `policies/validity`."""
    readers = {
        path.parent.name
        for path in POLICIES.rglob("*.rego")
        if not path.name.endswith("_test.rego")
        if re.search(r"facts\.now|input\.time|time\.now", path.read_text(encoding="utf-8"))
    }
    known = {"consent", "facts", "identity", "intake", "obligations", "region_time", "status"}
    assert readers == known | {"validity"}
