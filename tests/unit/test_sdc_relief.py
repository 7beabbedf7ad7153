"""What is hidden around a cell that is known too well, and that either rule leaves a safe table."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from gateway.releases.sdc import Job, Lattice, Relief, audit, next_smallest, protect_linked, relief
from gateway.releases.sdc.problem import build
from gateway.releases.sdc.shuttle import intervals
from tests.sdc_factory import axis, facts, profile, world

CELLS = list(product(range(4), range(3)))
PERSONS = [800, 390, 410, 100, 60, 40, 100, 30, 70, 600, 300, 300]


@pytest.mark.parametrize(("rule", "hides"), [(relief, {(3, 1)}), (next_smallest, {(3, 1), (1, 0)})])
def test_the_naive_rule_hides_in_every_group_where_one_would_do(
    rule: Relief, hides: set[tuple[int, int]]
) -> None:
    table = Lattice((axis("x", [0] * 3), axis("y", [0, 0])), np.array(CELLS, np.int32))
    problem, _ = build([Job(table, facts(PERSONS), profile())], [])
    unseen = np.array([cell in {(1, 1), (1, 2), (2, 1), (2, 2)} for cell in CELLS])
    cell = np.array([CELLS.index((1, 1))])
    found = rule(problem, unseen, cell, intervals(problem, unseen))
    assert {CELLS[i] for i in found.tolist()} == hides


@pytest.mark.parametrize("rule", [relief, next_smallest])
def test_both_rules_end_in_a_table_without_findings(rule: Relief) -> None:
    for seed in range(6):
        of = world(seed, 350, (4, 4), 3)
        (flags,) = protect_linked([Job(of.lattice, of.facts, profile())], [], relieve=rule)
        assert audit(of.lattice, np.asarray(of.facts.persons), flags, profile()) == []
