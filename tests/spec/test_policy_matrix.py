"""SPEC §6.4, test matrix: per scenario one golden allow and one refusal per applicable code."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gateway.policy.embedded import EmbeddedPolicy
from tests.policy_factory import DRUGS, GOLDEN, PRICING, Json, ask, directory, embedded, scenarios


@pytest.fixture(scope="module")
def policy() -> Iterator[EmbeddedPolicy]:
    running = embedded()
    yield running
    running.close()


@pytest.fixture
def reload(policy: EmbeddedPolicy) -> Iterator[Callable[[Json], EmbeddedPolicy]]:
    """The same policy after a change of the directory, undone when the test ends."""

    def changed(documents: Json) -> EmbeddedPolicy:
        policy.load(documents)
        return policy

    yield changed
    policy.load(directory())


def usage(**counters: int) -> Json:
    return {"usage": counters}


BOTH = pytest.mark.parametrize("scenario", sorted(GOLDEN))

# Faults of the question itself, by the code they earn in either scenario.
FAULTS: dict[str, Json] = {
    "D301": {"purpose_code": "curiosity"},
    "D303": {"params": {"declared_use": "reidentification"}},
    "D401": {"version": "9.9"},
    "D402": {"dims": ["postcode"], "levels": {}},
    "D404": {"measures": ["profit"]},
    "D405": {"fields": ["psn_name"]},
    "D406": {"params": {"k_person": 1}},
    "D408": {"bulk": True},
    "D501": {"geo": ["990100", "990300"]},
    "D704": {"destination": "US"},
    "D705": {"format": "parquet"},
}
BUDGET: dict[str, Json] = {
    "D801": usage(rps=5),
    "D802": usage(calls_day=2000),
    "D803": usage(cells_day=10**6),
}
# Changes of the tenant and of the grant.
TENANT: dict[str, Json] = {
    "D101": {"source_ips": ["203.0.113.0/24"]},
    "D102": {"status": "suspended"},
    "D104": {"env": "sandbox"},
    "D203": {"qualifications": []},
    "D704": {"uscc": ""},
}
GRANT: dict[str, Json] = {
    "D201": {"status": "suspended"},
    "D202": {"valid_to": "2026-03-09"},
    "D205": {"agreement_hash": ""},
    "D806": {"price_plan": ""},
}
REGION: dict[str, Json] = {
    "D503": {"insured": 40000},
    "D506": {"blackout": ["2025"]},
    "D507": {"data_open": False},
}
PERIODS: dict[str, dict[str, Json]] = {
    "SC01": {
        "D502": {"from": "2025-01", "to": "2025-02", "grain": "month"},
        "D504": {"from": "2020Q1", "to": "2020Q1", "grain": "quarter"},
        "D505": {"from": "2025Q4", "to": "2026Q1", "grain": "quarter"},
    },
    "SC05": {
        "D502": {"from": "2025", "to": "2025", "grain": "year"},
        "D504": {"from": "2023-02", "to": "2023-02", "grain": "month"},
        "D505": {"from": "2026-01", "to": "2026-01", "grain": "month"},
    },
}


def of(scenario: str) -> tuple[str, str]:
    """Tenant and grant of a scenario's golden question."""
    golden = GOLDEN[scenario]
    return golden["tenant"]["id"], golden["grant_id"]


@BOTH
def test_the_golden_question_is_allowed(policy: EmbeddedPolicy, scenario: str) -> None:
    decision = policy.decide(ask(GOLDEN[scenario]))
    assert decision.deny == ()
    assert decision.allow
    assert decision.obligations is not None


@BOTH
@pytest.mark.parametrize("code", sorted(FAULTS | BUDGET))
def test_a_fault_of_the_question_earns_its_code(
    policy: EmbeddedPolicy, scenario: str, code: str
) -> None:
    decision = policy.decide(ask(GOLDEN[scenario], **(FAULTS | BUDGET)[code]))
    assert not decision.allow
    assert code in decision.deny
    assert {other[:2] for other in decision.deny} == {code[:2]}


@BOTH
@pytest.mark.parametrize("code", sorted(TENANT))
def test_a_fault_of_the_organisation_earns_its_code(
    reload: Callable[[Json], EmbeddedPolicy], scenario: str, code: str
) -> None:
    documents = directory()
    documents["tenants"][of(scenario)[0]] |= TENANT[code]
    assert reload(documents).decide(ask(GOLDEN[scenario])).deny == (code,)


@BOTH
@pytest.mark.parametrize("code", sorted(GRANT))
def test_a_fault_of_the_grant_earns_its_code(
    reload: Callable[[Json], EmbeddedPolicy], scenario: str, code: str
) -> None:
    documents = directory()
    tenant, grant = of(scenario)
    documents["grants"][tenant][grant] |= GRANT[code]
    assert reload(documents).decide(ask(GOLDEN[scenario])).deny == (code,)


@BOTH
@pytest.mark.parametrize("code", sorted(REGION))
def test_a_fault_of_the_region_earns_its_code(
    reload: Callable[[Json], EmbeddedPolicy], scenario: str, code: str
) -> None:
    documents = directory()
    documents["regions"]["990100"] = REGION[code]
    assert reload(documents).decide(ask(GOLDEN[scenario])).deny == (code,)


@BOTH
@pytest.mark.parametrize("code", ["D502", "D504", "D505"])
def test_a_fault_of_the_period_earns_its_code(
    policy: EmbeddedPolicy, scenario: str, code: str
) -> None:
    decision = policy.decide(ask(GOLDEN[scenario], period=PERIODS[scenario][code]))
    assert decision.deny == (code,)


STOPS = [
    ("tenant", None, "D102"),
    ("scenario", None, "D204"),
    ("service", None, "D204"),
    ("region", "990100", "D507"),
    ("region", "990000", "D507"),
]


@BOTH
@pytest.mark.parametrize(("kind", "stopped", "code"), STOPS)
def test_an_emergency_stop_earns_its_code(
    reload: Callable[[Json], EmbeddedPolicy],
    scenario: str,
    kind: str,
    stopped: str | None,
    code: str,
) -> None:
    tenant, _ = of(scenario)
    named = {"tenant": tenant, "scenario": scenario, "service": GOLDEN[scenario]["service"]}
    documents = directory()
    documents["stops"][kind][stopped or named[kind]] = {"since": "2026-03-01", "reason": "drill"}
    assert reload(documents).decide(ask(GOLDEN[scenario])).deny == (code,)


def test_a_consumer_of_another_kind_is_refused(reload: Callable[[Json], EmbeddedPolicy]) -> None:
    documents = directory()
    documents["tenants"]["insurer-1"]["type"] = "pharma"
    assert reload(documents).decide(ask(PRICING)).deny == ("D302",)


def test_a_person_without_a_second_factor_is_refused(
    policy: EmbeddedPolicy,
) -> None:
    person = {"id": "person-1", "role": "analyst", "mfa": False}
    assert policy.decide(ask(PRICING, user=person)).deny == ("D103",)
    assert policy.decide(ask(PRICING, user=person | {"mfa": True})).allow


def test_four_axes_are_too_many_for_cost_structure(policy: EmbeddedPolicy) -> None:
    four = ["insutype2", "gend", "age5", "benefit5"]
    assert policy.decide(ask(PRICING, dims=four)).deny == ("D403",)
    assert policy.decide(ask(PRICING, dims=four[:3])).allow


def test_levels_of_one_hierarchy_count_once(policy: EmbeddedPolicy) -> None:
    dims = ["insutype2", "psn_group6", "gend", "benefit5"]
    assert policy.decide(ask(PRICING, dims=dims)).allow


def test_an_insurer_sees_no_finer_than_adrg(policy: EmbeddedPolicy) -> None:
    """SPEC S06: insurer and pharma see ADRG level only."""
    groups: Json = {"service": "S06", "measures": ["stays"], "levels": {}}
    quarter = {"from": "2025Q1", "to": "2025Q2", "grain": "quarter"}
    assert policy.decide(ask(DRUGS, period=quarter, dims=["adrg"], **groups)).allow
    assert policy.decide(ask(DRUGS, period=quarter, dims=["drg"], **groups)).deny == ("D402",)


def test_diagnosis_and_adrg_do_not_meet(policy: EmbeddedPolicy) -> None:
    stays: Json = {"service": "S04", "measures": ["stays"]}
    assert policy.decide(ask(PRICING, dims=["dx_cat3"], **stays)).allow
    assert policy.decide(ask(PRICING, dims=["drg_adrg"], **stays)).allow
    both = ask(PRICING, dims=["dx_cat3"], where={"drg_adrg": "FM1"}, **stays)
    assert policy.decide(both).deny == ("D402",)


SENSITIVE = [
    (PRICING, {"service": "S04", "measures": ["stays"], "where": {"dx_cat3": "B20"}}),
    (PRICING, {"service": "S04", "measures": ["stays"], "where": {"drg_adrg": "TR1"}}),
    (DRUGS, {"where": {"atc": "J05AR"}}),
    (DRUGS, {"where": {"generic": "N07BC02.oral"}, "dims": ["gend"], "levels": {}}),
]


@pytest.mark.parametrize(("base", "change"), SENSITIVE)
def test_a_sensitive_diagnosis_is_not_singled_out(
    policy: EmbeddedPolicy, base: Json, change: Json
) -> None:
    assert policy.decide(ask(base, **change)).deny == ("D702",)


def test_a_withdrawn_release_is_refused(reload: Callable[[Json], EmbeddedPolicy]) -> None:
    policy = reload(directory() | {"releases": {"S02-old": {"withdrawn": True}}})
    assert policy.decide(ask(PRICING, release="S02-old")).deny == ("D407",)
    assert policy.decide(ask(PRICING, release="S02-new")).allow


def test_a_pilot_needs_a_region_that_takes_part(reload: Callable[[Json], EmbeddedPolicy]) -> None:
    documents = directory()
    documents["grants"]["insurer-1"]["g-pricing"]["scenario"] = "SC08"
    documents["tenants"]["insurer-1"]["qualifications"] += [
        {"code": code, "valid_to": "2026-12-31"} for code in scenarios()["SC08"]["qualification"]
    ]
    purpose = scenarios()["SC08"]["purpose"]
    assert reload(documents).decide(ask(PRICING, purpose_code=purpose)).deny == ("D204",)
    documents["regions"]["990100"] = {"pilot": ["SC08"]}
    assert reload(documents).decide(ask(PRICING, purpose_code=purpose)).deny[0] == "D401"


def test_groups_are_asked_in_order(policy: EmbeddedPolicy) -> None:
    """Identity, status, purpose, shape, region, level, budget: the first that refuses speaks."""
    faults: list[tuple[str, dict[str, Any]]] = [
        ("D1", {"tenant": PRICING["tenant"] | {"ip": "203.0.113.1"}}),
        ("D2", {"grant_id": "g-none"}),
        ("D3", {"purpose_code": "curiosity"}),
        ("D4", {"measures": ["profit"]}),
        ("D5", {"geo": ["990300"]}),
        ("D7", {"format": "parquet"}),
        ("D8", usage(rps=99)),
    ]
    for start, (group, _) in enumerate(faults):
        change: dict[str, Any] = {}
        for _, fault in faults[start:]:
            change |= fault
        deny = policy.decide(ask(PRICING, **change)).deny
        assert {code[:2] for code in deny} == {group}
