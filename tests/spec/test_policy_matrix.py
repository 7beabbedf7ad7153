"""Worked examples of SPEC §6.4 beside the table of all codes (test_policy_codes)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from gateway.policy.embedded import EmbeddedPolicy
from tests.policy_factory import DRUGS, PRICING, Json, ask, directory, embedded


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


def test_five_axes_are_too_many_for_cost_structure(policy: EmbeddedPolicy) -> None:
    five = ["insutype2", "gend", "age5", "benefit5", "hosp_lv4"]
    assert policy.decide(ask(PRICING, dims=five)).deny == ("D403",)
    assert policy.decide(ask(PRICING, dims=five[:4])).allow


def test_levels_of_one_hierarchy_count_once(policy: EmbeddedPolicy) -> None:
    dims = ["insutype2", "psn_group6", "gend", "age5", "benefit5"]
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
