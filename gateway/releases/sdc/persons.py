"""Differences of published person figures: hide the figure alone, keep the cell's other measures.

Person counts are distinct counts, so on some axes they do not add up and their differences say how
many persons are *not* in a cell, or in two cells at once. SPEC 4.3.9: no subtraction of up to three
published cells may give a person count of 1 … k−1, neither truly nor in the rounded figures (where
the difference may be nothing but rounding; an attacker and an auditor cannot tell).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gateway.releases.sdc.cover import cover
from gateway.releases.sdc.lattice import Bools, Figures, Flags, Ints, Lattice, ragged
from gateway.releases.sdc.problem import Problem, figures
from gateway.releases.sdc.profile import Profile
from gateway.releases.sdc.rest import close_pairs


@dataclass(frozen=True)
class Subtractions:
    """`upper − first`, or `upper − first − second` where `second` is not -1, is too small."""

    upper: Ints
    first: Ints
    second: Ints


def guard_persons(
    lattice: Lattice,
    persons: Figures,
    flags: Flags,
    profile: Profile,
    rounded: Figures,
    *,
    withheld: Bools | None = None,
    problem: Problem | None = None,
) -> Bools:
    """Where the person figure must be withheld (flag c) although the cell is published.

    Of a pair the smaller cell loses its figure; of two children subtracted together the one that
    breaks most subtractions, then the smaller. `withheld` figures (of a looser profile) stay so.
    `problem` are the table's figures, if they have been put together before.
    """
    if problem is None:
        problem = figures(lattice, persons, profile)
    hidden = np.zeros(len(lattice), np.bool_) if withheld is None else withheld.copy()
    shown = (flags == 0) & (problem.persons > 0) & ~hidden
    found = subtractions(problem, shown, profile, np.asarray(rounded).astype(np.int64))
    hidden[found.first[found.second < 0]] = True
    pairs = np.stack([found.first, found.second], axis=1)[found.second >= 0]
    cover(pairs, hidden, problem.persons, problem.place)
    return hidden


def subtractions(problem: Problem, shown: Bools, profile: Profile, rounded: Ints) -> Subtractions:
    """Every subtraction of two or three shown figures that gives 1 … k−1."""
    reach = profile.k + 3 * profile.count("count_round")
    pairs = close_pairs(problem, np.flatnonzero(shown), np.full(shown.shape, reach))
    none = np.full(pairs.lower.shape, -1, np.int64)
    two = Subtractions(pairs.upper, pairs.lower, none)
    three = _triples(problem, shown, reach)
    both = Subtractions(
        np.concatenate([two.upper, three.upper]),
        np.concatenate([two.first, three.first]),
        np.concatenate([two.second, three.second]),
    )
    few = shown[both.upper] & (
        _few(problem.persons, both, profile.k) | _few(rounded, both, profile.k)
    )
    return Subtractions(both.upper[few], both.first[few], both.second[few])


def _few(count: Ints, of: Subtractions, k: int) -> Bools:
    second = np.where(of.second >= 0, count[of.second], 0)
    left = np.abs(count[of.upper] - count[of.first] - second)
    few: Bools = (left >= 1) & (left < k)
    return few


def _triples(problem: Problem, shown: Bools, reach: int) -> Subtractions:
    """Two shown children of one group whose sum is within `reach` of the parent.

    Edges are sorted by group and persons, so the partners of a child are one range.
    """
    keep = shown[problem.edge_child] & shown[problem.parent[problem.edge_group]]
    group, child = problem.edge_group[keep], problem.edge_child[keep]
    span = int(problem.persons.max(initial=0)) * 2 + 4 * reach
    upper = problem.persons[problem.parent[group]]
    base = group * span + span // 4
    wanted = upper - problem.persons[child]
    keys = base + problem.persons[child]
    low = np.searchsorted(keys, base + np.maximum(wanted - reach, -reach), side="left")
    high = np.searchsorted(keys, base + np.maximum(wanted + reach, -reach), side="right")
    low = np.maximum(low, np.arange(child.size) + 1)
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.maximum(high - low, 0))])
    position, owner = ragged(starts, np.arange(child.size))
    second = position - starts[owner] + low[owner]
    return Subtractions(problem.parent[group[owner]], child[owner], child[second])
