"""SPEC §6.4, test matrix: per scenario a golden allow and a refusal for every code that applies.

The same table is asked of the embedded engine and of a real OPA server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import partial
from typing import Any, TypeAlias

import pytest

from gateway.policy.embedded import EmbeddedPolicy
from gateway.policy.port import NO_EARLIER
from tests.opa_server import Followed, opa_policy
from tests.policy_factory import POLICIES, Json, ask, scenarios
from tests.policy_faults import (
    CASES,
    CODES,
    SERVICES,
    STOPPED,
    SYNTHETIC,
    faulty_world,
    known_codes,
    question,
    raised_services,
    stopped_world,
)
from tests.policy_scenarios import PLANS, given, golden, services, world

Engine: TypeAlias = EmbeddedPolicy | Followed
Opening: TypeAlias = Callable[[Json, Json], Engine]

SPEC_CODES = {
    *(f"D10{n}" for n in range(1, 5)),
    *(f"D20{n}" for n in range(1, 6)),
    *(f"D30{n}" for n in range(1, 4)),
    *(f"D40{n}" for n in range(1, 9)),
    *(f"D50{n}" for n in range(1, 8)),
    *(f"D60{n}" for n in range(1, 10)),
    *(f"D70{n}" for n in range(1, 6)),
    *(f"D80{n}" for n in range(1, 8)),
}


@pytest.fixture(
    scope="module", params=["embedded", pytest.param("opa", marks=pytest.mark.services)]
)
def opening(request: pytest.FixtureRequest) -> Iterator[Opening]:
    """Opens the engine asked for, on this directory and catalogue; all are closed at the end."""
    with ExitStack() as stack:

        def start(documents: Json, offered: Json) -> Engine:
            if request.param == "opa":
                return stack.enter_context(opa_policy(documents, services=offered))
            return stack.enter_context(closing(EmbeddedPolicy(POLICIES, offered, documents)))

        yield start


@pytest.fixture(scope="module")
def faulty(opening: Opening) -> Engine:
    return opening(faulty_world(), services())


@pytest.fixture(scope="module")
def sound(opening: Opening) -> Callable[[Json], Engine]:
    """One policy, on whichever directory the test names."""
    policy = opening(world(), services())

    def on(documents: Json) -> Engine:
        policy.load(documents)
        return policy

    return on


@pytest.fixture(scope="module", params=SERVICES)
def raised(opening: Opening, request: pytest.FixtureRequest) -> tuple[str, Engine]:
    """The policy with a catalogue of another kind, and the code by which it refuses."""
    code: str = request.param
    return code, opening(world(), raised_services(code))


def told(policy: Engine, asked: Json) -> tuple[str, ...]:
    decision = policy.decide(ask(asked))
    assert decision.allow == (not decision.deny) == (decision.obligations is not None)
    return decision.deny


def test_the_table_holds_every_code_of_the_specification() -> None:
    assert {*CODES, *SERVICES, *STOPPED} == SPEC_CODES
    assert known_codes() == SPEC_CODES
    assert {code for _, code in CASES} == {*CODES}
    assert scenarios().keys() == PLANS.keys()


@pytest.mark.parametrize("scenario", PLANS)
def test_the_golden_question_is_allowed(faulty: Engine, scenario: str) -> None:
    assert told(faulty, golden(scenario)) == ()


@pytest.mark.parametrize(("scenario", "code"), CASES)
def test_a_fault_earns_its_code_and_no_other(faulty: Engine, scenario: str, code: str) -> None:
    # A parameter that names a disclosure rule is no service's parameter either.
    expected = ("D405", "D406") if code == "D406" else (code,)
    assert told(faulty, question(scenario, code)) == expected


@pytest.mark.parametrize("kind", ["scenario", "service"])
def test_what_is_stopped_is_refused_in_every_scenario(
    sound: Callable[[Json], Engine], kind: str
) -> None:
    policy = sound(stopped_world(kind))
    assert {name: told(policy, golden(name)) for name in PLANS} == dict.fromkeys(PLANS, ("D204",))


def test_a_stopped_organisation_is_refused_in_every_scenario(
    sound: Callable[[Json], Engine],
) -> None:
    documents = world()
    documents["stops"]["tenant"] = {name: {"reason": "drill"} for name in documents["tenants"]}
    policy = sound(documents)
    assert {name: told(policy, golden(name)) for name in PLANS} == dict.fromkeys(PLANS, ("D102",))


def test_a_stopped_region_is_refused_in_every_scenario(sound: Callable[[Json], Engine]) -> None:
    for stopped in ("990100", "990000"):
        documents = world()
        documents["stops"]["region"] = {stopped: {"reason": "drill"}}
        policy = sound(documents)
        assert {told(policy, golden(name)) for name in PLANS} == {("D507",)}


@pytest.mark.parametrize("scenario", PLANS)
def test_a_stopped_person_is_refused_as_if_nobody_had_consented(
    faulty: Engine, scenario: str
) -> None:
    assert told(faulty, golden(scenario) | {"subject_stopped": True}) == ("D601",)


def test_a_question_whose_service_counts_cohorts_says_how_close_it_is(faulty: Engine) -> None:
    close = [None, 0, 19, 20, NO_EARLIER]
    assert [
        told(faulty, golden("SC07") | {"usage": {"smallest_difference": known}}) for known in close
    ] == [("D804",), ("D804",), ("D804",), (), ()]


def test_a_job_spends_no_more_privacy_than_its_scenario_has(faulty: Engine) -> None:
    spending: list[tuple[int, int]] = [(0, 8_000_000), (7_999_999, 1), (8_000_000, 1)]
    assert [
        told(
            faulty, golden("SC08") | {"epsilon_micro": own, "usage": {"epsilon_spent_micro": spent}}
        )
        for spent, own in spending
    ] == [(), (), ("D805",)]


FIELDS: list[tuple[str, list[str], list[str], tuple[str, ...]]] = [
    ("SC03", ["SETL"], ["medfee_sumamt"], ()),
    ("SC03", ["SETL"], ["dscg_maindiag_name"], ("D603",)),
    ("SC03", ["SETL", "DX"], ["dscg_maindiag_name"], ()),
    ("SC03", ["SETL"], ["psn_name"], ("D405",)),
    ("SC04", ["ADJUDICATE"], ["decision", "payable_amt"], ()),
    ("SC04", ["ADJUDICATE"], ["medfee_sumamt"], ("D405",)),
    ("SC10", ["SELF"], ["own_record"], ()),
]


@pytest.mark.parametrize(("scenario", "scopes", "fields", "deny"), FIELDS)
def test_each_field_is_opened_by_the_scenario_and_a_scope(
    faulty: Engine, scenario: str, scopes: list[str], fields: list[str], deny: tuple[str, ...]
) -> None:
    consent = given(scenario) | {"scopes": scopes}
    assert told(faulty, golden(scenario) | {"consent": consent, "fields": fields}) == deny


def test_a_pilot_scenario_runs_only_where_the_region_takes_part(
    sound: Callable[[Json], Engine],
) -> None:
    documents = world()
    del documents["regions"]["990100"]
    assert told(sound(documents), golden("SC08")) == ("D204",)


@pytest.mark.parametrize("scenario", PLANS)
def test_what_is_too_sensitive_to_leave_or_not_offered_is_refused(
    raised: tuple[str, Engine], scenario: str
) -> None:
    code, policy = raised
    expected = () if code == "D701" and scenario in SYNTHETIC else (code,)
    assert told(policy, golden(scenario) | {"bulk": code == "D408"}) == expected


def test_groups_are_asked_in_order(faulty: Engine) -> None:
    """The first group that refuses speaks alone, whatever lies behind it."""
    order: list[tuple[str, dict[str, Any]]] = [
        ("D101", {"tenant": golden("SC03")["tenant"] | {"ip": "203.0.113.1"}}),
        ("D201", {"grant_id": "g-none"}),
        ("D301", {"purpose_code": "curiosity"}),
        ("D404", {"measures": ["profit"]}),
        ("D501", {"geo": ["980100"]}),
        ("D601", {"consent_id": None, "consent": None}),
        ("D705", {"format": "xlsx"}),
        ("D801", {"usage": {"rps": 10**6}}),
    ]
    decide = partial(told, faulty)
    for start, (code, _) in enumerate(order):
        change: dict[str, Any] = {}
        for _, fault in order[start:]:
            change |= fault
        assert decide(golden("SC03") | change) == (code,)
