"""Disclosure control of whole tables: which cells to publish, once, before anybody asks.

`protect` and `protect_linked` are the face of the package for the release build. The pattern is
settled group by group, then attacked: by subtraction across several levels, by interval bounds of
persons, by linear programming, by elimination, and by sums of amounts. Whatever an attack finds
hides more cells, until none finds anything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias

import numpy as np

from gateway.releases.sdc.amounts import Amounts, amounts_of
from gateway.releases.sdc.bounds import Relief, Tight, relief
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


def attacks(sets: Sets, relieve: Relief = relief) -> tuple[Attack, ...]:
    """Cheapest first: each runs only against a pattern the ones before could not break."""
    return (
        Leaks(),
        Tight(relieve),
        Overlaps(sets),
        Search(relieve=relieve),
        partial(computed, relieve=relieve),
    )


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
    relieve: Relief = relief,
) -> list[Flags]:
    """Flags of several tables; linked cells, counting the same records, share their flag.

    A union is a group like any other: a cell of one table and its parts in another. With their
    contents given, cells that lie inside each other are safe though no roll-up relates them.
    """
    problem, nodes = build(jobs, links, unions)
    sums = amounts_of(jobs, nodes, problem, unions)
    first = _hidden_at_first(jobs, nodes, problem)
    hidden = resist(problem, first, contents.sets(nodes), sums, relieve)
    return [_flags(job, of, nodes, problem, hidden) for job, of in zip(jobs, nodes.of, strict=True)]


def resist(
    problem: Problem,
    first: Bools,
    sets: Sets = NO_SETS,
    sums: Amounts | None = None,
    relieve: Relief = relief,
) -> Bools:
    """Hide more around what is hidden at first, until no attack finds anything.

    Amounts are attacked across all parts at a time: a reader knows sums that persons do not share.
    """
    parts = [
        _Part(nodes, part, attacks(sets.of(nodes, first.size), relieve))
        for nodes, part in territories(problem)
    ]
    hidden, fresh = first.copy(), first
    while fresh.any():
        for part in parts:
            part.hide(fresh[part.nodes])
            hidden[part.nodes] |= part.pattern.hidden
        fresh = np.zeros_like(hidden)
        if sums is not None:
            fresh[sums.known(problem, hidden, relieve)] = True
    return hidden


class _Part:
    """A territory with what is hidden in it so far, and the attacks on it, which remember."""

    def __init__(self, nodes: Ints, problem: Problem, tried: Sequence[Attack]) -> None:
        self.nodes, self._problem, self._tried = nodes, problem, tried
        self.pattern = Pattern(problem)

    def hide(self, more: Bools) -> None:
        """Hide these, and more around them until no attack finds anything."""
        found = np.flatnonzero(more)
        while found.size:
            self.pattern.hide(found)
            found = _first_success(self._tried, self._problem, self.pattern.hidden)


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
