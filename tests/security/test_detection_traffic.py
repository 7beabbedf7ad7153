"""Detection on labelled traffic: attacks are found before they have learnt anything, work is left
alone. `make bench` prints precision and recall of every rule."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.detection_attacks import (
    ATTACKS,
    ELSEWHERE,
    Attack,
    consent_farm,
    differencing,
    enumeration,
    enumeration_slow,
    lattice,
    night_with_own_key,
    probing,
    taken_key_by_day,
    volume,
)
from tests.detection_traffic import SEEN, UNSEEN, Event, Tenant, growth, month_end, steady_insurer
from tests.detection_trial import RULES, Outcome, attacked, normal, source


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """Every attack once, each on an organisation that worked for a week."""
    return attacked(tmp_path_factory.mktemp("attacks"), 7, 5, base=growth, goes_on=2)


def test_every_attack_is_found_before_it_has_learnt_anything(small: Outcome) -> None:
    assert small.missed == ()
    assert len(small.found) == len(ATTACKS) + 2


MEANT = {
    "enumeration": "enumeration",
    "enumeration_slow": "enumeration_slow",
    "night_with_own_key": "off_hours_burst",
    "night_slow": "off_hours_long",
    "quota_edge": "quota_edge",
    "consent_farm": "consent_farming",
    "consent_farm_slow": "consent_farming_slow",
    "consent_script": "consent_burst",
    "differencing": "near_duplicates",
    "lattice": "lattice_walk",
    "lattice_slow": "lattice_walk_slow",
    "canary": "canary_hit",
    "taken_key_by_day": "two_places",
    "taken_key_by_night": "strange_network",
    "probing": "scope_probing",
    "replayed_proofs": "proof_replay",
    "volume": "volume_spike",
    "sweep": "person_sweep",
    "new_tenant": "new_tenant_ramp",
    "policy_mistake": "suppression_fall",
}


def test_every_rule_finds_in_time_what_it_is_there_for(small: Outcome) -> None:
    """Other rules may find it too; none may rest on that."""
    found = {attack.partition(" of ")[0]: rules for attack, rules in small.found.items()}
    assert {attack: rule for attack, rule in MEANT.items() if rule in found[attack]} == MEANT
    assert set(MEANT.values()) == {rule.id for rule in RULES}


def test_alarms_about_attacks_are_about_them_alone(small: Outcome) -> None:
    assert small.false.total() == 0
    for alarm in small.alarms:
        assert 1 <= len(alarm.evidence) <= 20
        assert all(len(name) == 9 for name in alarm.evidence)  # ids of events, nothing else
        assert alarm.effects == ()  # what happened a month ago is told and not acted on


def test_work_is_left_alone(tmp_path: Path) -> None:
    outcome = normal(tmp_path, (growth, month_end), 31, 11)
    assert outcome.false.total() <= 2  # one for each organisation and month


def composed(seed: int) -> Attack:
    """Parts and rates that are not in the list: several at once, some from elsewhere."""

    def attack(t: Tenant, day: int) -> Iterator[Event]:
        rng = source(f"composed {seed}")
        parts = (
            lambda: enumeration(
                t, day, number=rng.randrange(110, 400), minutes=rng.uniform(2, 600)
            ),
            lambda: enumeration_slow(t, day, a_day=rng.randrange(5, 15)),
            lambda: consent_farm(
                t, day, persons=rng.randrange(12, 40), minutes=rng.uniform(5, 300)
            ),
            lambda: differencing(t, day, number=14, a_day=rng.randrange(2, 14)),
            lambda: lattice(t, day, number=rng.randrange(210, 255), hours=rng.uniform(0.5, 14)),
            lambda: night_with_own_key(t, day, number=rng.randrange(210, 500)),
            lambda: taken_key_by_day(t, day, every=rng.uniform(0.3, 6)),
            lambda: probing(t, day, number=rng.randrange(41, 90)),
            lambda: volume(t, day, times=rng.uniform(16, 60)),
        )
        elsewhere = rng.random() < 0.3
        for part in rng.sample(parts, rng.randrange(1, 4)):
            for event in part():
                if elsewhere and event.attack and event.audit["kind"] == "read":
                    actor = {**event.audit["actor"], "ip": f"{ELSEWHERE}.3.{rng.randrange(9)}"}
                    event = replace(event, audit={**event.audit, "actor": actor})  # noqa: PLW2901 - as it is sent then
                yield event

    attack.__name__ = f"composed_{seed}"
    return attack


def test_attacks_of_other_parts_and_rates_are_found(tmp_path: Path) -> None:
    outcome = attacked(tmp_path, 7, 21, [composed(seed) for seed in range(2)], growth, goes_on=1)
    assert outcome.missed == ()


@pytest.mark.slow  # 75 composed attacks: two minutes
def test_many_attacks_of_other_parts_and_rates_are_found(tmp_path: Path) -> None:
    for base in (growth, steady_insurer, month_end):
        seeds = range(100, 125)
        folder = tmp_path / base.__name__
        attacks = [composed(seed) for seed in seeds]
        outcome = attacked(folder, 14, 22, attacks, base, goes_on=4)
        assert outcome.missed == ()


@pytest.mark.slow  # three months of ten organisations, all attacks on two kinds: two minutes
def test_whole_months_keep_both_goals(tmp_path: Path) -> None:
    seed = 301
    for profiles in (SEEN, UNSEEN):
        outcome = normal(tmp_path, profiles, 90, seed)
        assert outcome.false.total() <= len(profiles) * 3, outcome.false
    for base in (steady_insurer, month_end):
        assert attacked(tmp_path / base.__name__, 28, seed, base=base).missed == ()
