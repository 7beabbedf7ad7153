"""Audit of a protected table with the true counts: proves the pattern, or lists what breaks it.

Vectorised and complete over one lattice; run on every build and by `release verify`. The naive
second opinion, which sees published figures only, is `gateway.releases.sdc.differences`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gateway.releases.sdc.lattice import Bools, Figures, Flags, Ints, Lattice, ragged
from gateway.releases.sdc.persons import subtractions
from gateway.releases.sdc.problem import Problem, figures
from gateway.releases.sdc.profile import Profile
from gateway.releases.sdc.rest import leaks
from gateway.releases.sdc.settle import Pattern, unsafe


@dataclass(frozen=True)
class Finding:
    """A rule that does not hold and the cells (by index) that show it; never a count."""

    rule: str
    cells: tuple[int, ...]


def audit(
    lattice: Lattice,
    persons: Figures,
    flags: Flags,
    profile: Profile,
    *,
    persons_hidden: Bools | None = None,
    rounded: Figures | None = None,
) -> list[Finding]:
    """Everything wrong with this pattern; empty when the table may be published.

    The difference rules are checked where `rounded` person figures are given, on cells whose figure
    is not in `persons_hidden`. `incoherent` groups with something published (children do not cover
    their parent, or exceed it) are faults of the build, not of the pattern.
    """
    problem = figures(lattice, persons, profile)
    hidden = flags != 0
    found = [
        *_cells("few_persons", np.flatnonzero(~hidden & (problem.persons < profile.k))),
        *_groups("incoherent", problem, _incoherent(problem, hidden)),
        *_group_rules(problem, hidden),
        *_cells("rest_too_small", leaks(problem, hidden)),
    ]
    if rounded is not None:
        shown = ~hidden & (problem.persons > 0)
        if persons_hidden is not None:
            shown &= ~persons_hidden
        found += _differences(problem, shown, profile, np.asarray(rounded).astype(np.int64))
    return found


def _incoherent(problem: Problem, hidden: Bools) -> Ints:
    open_ = ~hidden[problem.parent]
    open_[problem.edge_group[~hidden[problem.edge_child]]] = True
    return np.flatnonzero(~problem.sound & open_)


def _group_rules(problem: Problem, hidden: Bools) -> list[Finding]:
    pattern = Pattern(problem)
    pattern.cover(np.flatnonzero(hidden))
    groups = np.arange(problem.parent.size)
    broken = groups[unsafe(pattern, groups)]
    alone = pattern.parent_hidden[broken] + pattern.hidden_children[broken] == 1
    return [
        *_groups("single_hidden", problem, broken[alone]),
        *_groups("hidden_too_small", problem, broken[~alone]),
    ]


def _differences(problem: Problem, shown: Bools, profile: Profile, rounded: Ints) -> list[Finding]:
    of = subtractions(problem, shown, profile, rounded)
    return [
        Finding("difference", tuple(cell for cell in cells if cell >= 0))
        for cells in zip(of.upper.tolist(), of.first.tolist(), of.second.tolist(), strict=True)
    ]


def _cells(rule: str, cells: Ints) -> list[Finding]:
    return [Finding(rule, (cell,)) for cell in cells.tolist()]


def _groups(rule: str, problem: Problem, groups: Ints) -> list[Finding]:
    """One finding per group: its parent, then its children."""
    edges, owner = ragged(problem.starts, groups)
    children = np.split(problem.edge_child[edges], np.flatnonzero(np.diff(owner)) + 1)
    parents = problem.parent[groups].tolist()
    return [
        Finding(rule, (parent, *kids.tolist()))
        for parent, kids in zip(parents, children, strict=bool(parents))
    ]
