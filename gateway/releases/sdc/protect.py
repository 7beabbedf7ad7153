"""Disclosure control of whole tables: which cells to publish, once, before anybody asks.

`protect` and `protect_linked` are the face of the package for the release build. The pattern is
settled group by group, then attacked: by subtraction across several levels, by interval bounds, by
linear programming, and by elimination. Whatever an attack finds hides more cells, until none finds
anything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from gateway.releases.sdc.bounds import Tight
from gateway.releases.sdc.components import Search
from gateway.releases.sdc.elimination import computed
from gateway.releases.sdc.lattice import (
    COMPLEMENTARY,
    PRIMARY,
    PUBLISHED,
    Bools,
    CellFacts,
    Flags,
    Ints,
    Lattice,
)
from gateway.releases.sdc.overlaps import NO_CONTENTS, NO_SETS, Contents, Overlaps, Sets
from gateway.releases.sdc.primary import primary
from gateway.releases.sdc.problem import Job, Link, Nodes, Problem, Union, build
from gateway.releases.sdc.profile import Profile
from gateway.releases.sdc.rest import Leaks
from gateway.releases.sdc.settle import Pattern
from gateway.releases.sdc.territory import territories

Attack: TypeAlias = Callable[[Problem, Bools], Ints]
"""Finds published nodes that must be hidden so that the attack fails; empty when it fails."""


def attacks(sets: Sets) -> tuple[Attack, ...]:
    """Cheapest first: each runs only against a pattern the ones before could not break."""
    return (Leaks(), Tight(), Overlaps(sets), Search(), computed)


def protect(
    lattice: Lattice, facts: CellFacts, profile: Profile, hidden: Bools | None = None
) -> Flags:
    """One flag per cell: 0 publish, 1 primary suppressed, 2 complementary suppressed.

    Cells in `hidden` stay hidden, so a stricter profile given a looser one's pattern never shows
    more. The flags do not depend on the order of the cells.
    """
    return protect_linked([Job(lattice, facts, profile, hidden)], [])[0]


def protect_linked(
    jobs: Sequence[Job],
    links: Sequence[Link],
    unions: Sequence[Union] = (),
    contents: Contents = NO_CONTENTS,
) -> list[Flags]:
    """Flags of several tables; linked cells, counting the same records, share their flag.

    A union is a group like any other: a cell of one table and its parts in another. With their
    contents given, cells that lie inside each other are safe though no roll-up relates them.
    """
    problem, nodes = build(jobs, links, unions)
    hidden = resist(problem, _hidden_at_first(jobs, nodes, problem), contents.sets(nodes))
    return [_flags(job, of, nodes, problem, hidden) for job, of in zip(jobs, nodes.of, strict=True)]


def resist(problem: Problem, first: Bools, sets: Sets = NO_SETS) -> Bools:
    """Hide more around what is hidden at first, until no attack finds anything."""
    hidden = first.copy()
    for nodes, part in territories(problem):
        hidden[nodes] |= _resist(part, first[nodes], sets.of(nodes, hidden.size))
    return hidden


def _resist(problem: Problem, first: Bools, sets: Sets) -> Bools:
    pattern = Pattern(problem)
    found, tried = np.flatnonzero(first), attacks(sets)
    while found.size:
        pattern.hide(found)
        found = _first_success(tried, problem, pattern.hidden)
    return pattern.hidden


def _first_success(tried: Sequence[Attack], problem: Problem, hidden: Bools) -> Ints:
    for attack in tried:
        found = attack(problem, hidden)
        if found.size:
            return found
    return np.zeros(0, np.int64)


def _hidden_at_first(jobs: Sequence[Job], nodes: Nodes, problem: Problem) -> Bools:
    first = problem.primary.copy()
    for job, of in zip(jobs, nodes.of, strict=True):
        if job.hidden is not None:
            first[of[job.hidden]] = True
    return first


def _flags(job: Job, of: Ints, nodes: Nodes, problem: Problem, hidden: Bools) -> Flags:
    own = problem.primary[of] | primary(job.facts, job.profile) | (problem.persons[of] == 0)
    covered = hidden[of] | (job.hidden if job.hidden is not None else False)
    return np.where(own, PRIMARY, np.where(covered, COMPLEMENTARY, PUBLISHED)).astype(np.uint8)
