"""The mutants are what they say: one place wrong in a rule that the engine can still read."""

from __future__ import annotations

import pytest

from gateway.policy.documents import read_rego
from gateway.policy.engine import build_engine
from tests.mutation_survivors import EXPLAINED
from tests.policy_factory import POLICIES
from tests.rego_mutants import mutants

RULE = """package example

allow if {
	input.name == "a"
	not late
	count(input.items) + 1 <= 10
}

late if input.day > 3

else := true if input.closed == true
"""


def test_every_kind_of_slip_is_made() -> None:
    made = {mutant.what.split(" in column")[0] for mutant in mutants("example.rego", RULE)}
    assert made >= {
        "rule dropped",
        "branch dropped",
        'expression dropped: input.name == "a"',
        "expression dropped: not late",
        "negation dropped: not late",
        'not input.name == "a"',
        '== becomes !=: input.name == "a',
        "<= becomes <: count(input.items) + 1 <= 10",
        "+ becomes -: count(input.items) + 1",
        "10 becomes 11",
        "10 becomes 9",
        "> becomes >=: input.day > 3",
        "not true",
    }


def test_each_mutant_differs_from_the_rule_and_from_every_other() -> None:
    texts = [mutant.text for mutant in mutants("example.rego", RULE)]
    assert len({RULE, *texts}) == len(texts) + 1


@pytest.mark.parametrize("path", sorted(read_rego(POLICIES)))
def test_the_engine_can_read_every_mutant(path: str) -> None:
    made = list(mutants(path, read_rego(POLICIES)[path]))
    assert len(made) >= 10
    for mutant in made[:: max(1, len(made) // 10)]:
        build_engine({path: mutant.text}, {})


def test_an_explanation_is_for_a_mutant_there_is() -> None:
    rego = read_rego(POLICIES)
    for path, reasons in EXPLAINED.items():
        described = [mutant.what for mutant in mutants(path, rego[path])]
        for part in reasons:
            assert any(part in what for what in described), (path, part)
