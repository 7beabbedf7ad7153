"""Release building and decisions share one disclosure profile per service and scenario."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest

from gateway.policy.profiles import merged_profiles, profile_key
from tests.policy_factory import DRUGS, POLICIES, PRICING, Json, ask, catalogue, embedded, scenarios

PROFILES = merged_profiles(POLICIES, catalogue())


@pytest.mark.parametrize("question", [PRICING, DRUGS], ids=["SC01", "SC05"])
def test_a_decision_names_the_profile_releases_were_built_by(question: Json) -> None:
    policy = embedded()
    decision = policy.decide(ask(question))
    policy.close()
    scenario = "SC01" if question is PRICING else "SC05"
    assert decision.obligations is not None
    assert decision.obligations.profile == PROFILES[question["service"], scenario]


def _named(listed: Sequence[str], service: str) -> Iterable[str]:
    """The scenarios a contract names; `*` are all that name the service."""
    if "*" not in listed:
        return listed
    return [name for name, scenario in scenarios().items() if service in scenario["services"]]


def test_every_pair_that_names_each_other_has_a_profile() -> None:
    expected = {
        (service, scenario)
        for service, contract in catalogue().items()
        for scenario in _named(contract["scenarios"], service)
    }
    assert set(PROFILES) == expected
    assert all(service in scenarios()[name]["services"] for service, name in PROFILES)


def test_a_drug_trend_is_protected_as_strictly_for_an_insurer_as_for_pharma() -> None:
    assert PROFILES["S09", "SC01"] == PROFILES["S09", "SC05"]
    assert PROFILES["S09", "SC01"]["sensitive_dx"] == "drop"


def test_no_scenario_is_looser_than_the_services_own_profile() -> None:
    for (service, _), profile in PROFILES.items():
        if catalogue()[service]["sdc"] == "DC7":  # no cells of ours: what leaves is reviewed
            assert profile["egress_review"]
            assert profile["egress_sdc"] == "DC2"
            continue
        own = PROFILES[service, "SC12"]
        if catalogue()[service].get("own") == "alone":  # no cells: what there is of peers is bound
            assert profile["peer_k_person"] >= own["peer_k_person"] >= 11
            assert profile["peer_min_institutions"] >= own["peer_min_institutions"] >= 5
            assert profile["peer_top1_share_max"] <= own["peer_top1_share_max"] <= 0.5
            continue
        if catalogue()[service]["sdc"] == "DC5":  # one person's own record: nothing is counted
            assert profile["persons_per_call"] <= own["persons_per_call"] == 1
            assert not profile["bulk"]
            continue
        assert profile["k_person"] >= own["k_person"]
        if "criteria_max" in own:  # counts of cohorts: no dims, no amounts
            assert profile["criteria_max"] <= own["criteria_max"]
            assert profile["differencing_min_delta"] >= own["differencing_min_delta"] >= 20
            assert profile["bands"] == own["bands"]
            continue
        if catalogue()[service]["sdc"] == "DC0":
            continue  # what is open to all has no limits that one could be looser than
        assert profile["max_dims"] <= own["max_dims"]
        assert profile["top1_share_max"] <= own["top1_share_max"]
        assert set(profile["percentile_min_n"]) <= set(own["percentile_min_n"])


def test_the_key_tells_profiles_apart_and_not_the_order_of_their_fields() -> None:
    profile = PROFILES["S02", "SC01"]
    assert profile_key(profile) == profile_key(dict(reversed(profile.items())))
    assert profile_key(profile) != profile_key(profile | {"k_person": 12})
    assert profile_key(profile).startswith("DC2-")
