"""Connected parts of a suppression problem: unconnected cells need not wait for each other.

Without a total over periods, every quarter is a country of its own. Each is settled alone, so a
sweep costs the quarter that still moves and not all of them.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gateway.releases.sdc.lattice import Ints, starts_of
from gateway.releases.sdc.problem import Problem

PARTS = 64
"""At most so many parts: tiny territories share one, to keep the loop over parts short."""


def territories(problem: Problem) -> Iterator[tuple[Ints, Problem]]:
    """Parts that together are the problem: their nodes, and the problem among those nodes alone."""
    edges = np.arange(problem.parent.size)
    label = connect(
        np.concatenate([problem.edge_child, problem.parent]),
        np.concatenate([problem.edge_group, edges]),
        problem.persons.size,
        problem.parent.size,
    )
    part = _number(problem, label)
    for number in range(int(part.max(initial=-1)) + 1):
        nodes = np.flatnonzero(part == number)
        yield nodes, _within(problem, nodes)


def connect(member: Ints, group: Ints, nodes: int, groups: int) -> Ints:
    """The smallest node of each node's connected part, given (node, group) memberships."""
    label = np.arange(nodes)
    while True:
        least = np.full(groups, nodes, np.int64)
        np.minimum.at(least, group, label[member])
        joined = label.copy()
        np.minimum.at(joined, member, least[group])
        joined = joined[joined]
        if (joined == label).all():
            return label
        label = joined


def _number(problem: Problem, label: Ints) -> Ints:
    """Part of each node; territories in order of their first cell, -1 for cells in no equation."""
    first = np.full(label.size, np.iinfo(np.int64).max)
    np.minimum.at(first, label, problem.place)
    linked = np.zeros(label.size, np.bool_)
    linked[problem.edge_child] = True
    linked[problem.parent] = True
    part = np.full(label.size, -1, np.int64)
    distinct, rank = np.unique(first[label[linked]], return_inverse=True)
    part[linked] = rank * min(PARTS, distinct.size) // max(1, distinct.size)
    return part


def _within(problem: Problem, nodes: Ints) -> Problem:
    number = np.full(problem.persons.size, -1, np.int64)
    number[nodes] = np.arange(nodes.size)
    groups = number[problem.parent] >= 0
    renumber = np.cumsum(groups) - 1
    edges = groups[problem.edge_group]
    edge_group = renumber[problem.edge_group[edges]]
    return Problem(
        persons=problem.persons[nodes],
        place=problem.place[nodes],
        primary=problem.primary[nodes],
        node_k=problem.node_k[nodes],
        parent=number[problem.parent[groups]],
        edge_group=edge_group,
        edge_child=number[problem.edge_child[edges]],
        starts=starts_of(edge_group, int(groups.sum())),
        equal=problem.equal[groups],
        sound=problem.sound[groups],
        group_k=problem.group_k[groups],
        hidden_sum=problem.hidden_sum[groups],
    )
