"""Complementary suppression group by group, until every group is safe.

SPEC 4.3.3. A group is safe when it does not have exactly one hidden member, and when the hidden
children beside a published one together hold enough persons (and, on axes where one person may be
in several children, one of them k by itself). Where no child is published there is nothing to
subtract, but the parent bounds them all: it is published only if it holds 2k persons. An unsafe
group hides its smallest published child, or its parent when no child is left; hiding only ever
grows, so the end is reached.
"""

from __future__ import annotations

import numpy as np

from gateway.releases.sdc.lattice import Bools, Ints, distinct, ragged
from gateway.releases.sdc.problem import Problem


class Pattern:
    """What is hidden so far, with running figures per group: a sweep costs what it changes."""

    def __init__(self, problem: Problem) -> None:
        groups = problem.parent.size
        self.problem = problem
        self.hidden: Bools = np.zeros(problem.persons.size, np.bool_)
        self.parent_hidden: Bools = np.zeros(groups, np.bool_)
        self.hidden_children: Ints = np.zeros(groups, np.int64)
        self.hidden_persons: Ints = np.zeros(groups, np.int64)
        self.hidden_largest: Ints = np.zeros(groups, np.int64)

    def hide(self, nodes: Ints) -> None:
        """Hide these nodes and whatever must follow."""
        while nodes.size:
            failing = self._failing(self.cover(nodes))
            nodes = distinct(self.next_published(failing), self.hidden.size)

    def next_published(self, groups: Ints) -> Ints:
        """The smallest published child of each group; its parent if no child is left."""
        problem = self.problem
        child = first_published(problem, self.hidden, groups)
        return np.where(child >= 0, child, problem.parent[groups])

    def cover(self, nodes: Ints) -> Ints:
        """Mark nodes hidden; the groups whose figures changed."""
        problem = self.problem
        fresh = nodes[~self.hidden[nodes] & (problem.persons[nodes] > 0)]
        nodes = distinct(fresh, self.hidden.size)
        self.hidden[nodes] = True
        edges = edges_of(problem, nodes)
        groups, persons = problem.edge_group[edges], problem.persons[problem.edge_child[edges]]
        np.add.at(self.hidden_children, groups, 1)
        np.add.at(self.hidden_persons, groups, persons)
        np.maximum.at(self.hidden_largest, groups, persons)
        own = groups_under(problem, nodes)
        self.parent_hidden[own] = True
        return distinct(np.concatenate([groups, own]), problem.parent.size)

    def _failing(self, groups: Ints) -> Ints:
        return groups[unsafe(self, groups)]


def unsafe(pattern: Pattern, groups: Ints) -> Bools:
    """Which of the groups let an attacker subtract."""
    problem = pattern.problem
    above, children = pattern.parent_hidden[groups], pattern.hidden_children[groups]
    k, persons = problem.group_k[groups], problem.persons[problem.parent[groups]]
    single = above + children == 1
    closed = children == problem.sizes[groups]
    too_few = pattern.hidden_persons[groups] < problem.hidden_sum[groups]
    spread_thin = ~problem.equal[groups] & (pattern.hidden_largest[groups] < k)
    beside_open = (children > 0) & ~closed & (too_few | spread_thin)
    failing: Bools = single | (~above & (beside_open | (closed & (persons < 2 * k))))
    return failing


def first_published(problem: Problem, hidden: Bools, groups: Ints) -> Ints:
    """The smallest published child of each group, -1 where all are hidden."""
    edges, owner = ragged(problem.starts, groups)
    children = problem.edge_child[edges]
    open_ = ~hidden[children]
    found = np.full(groups.size, -1, np.int64)
    # Edges run from the smallest child up; written backwards, the smallest is what stays.
    found[owner[open_][::-1]] = children[open_][::-1]
    return found


def edges_of(problem: Problem, nodes: Ints) -> Ints:
    """Edges in which these nodes are children."""
    order, starts = problem.by_child
    return order[ragged(starts, nodes)[0]]


def groups_under(problem: Problem, nodes: Ints) -> Ints:
    """Groups of which these nodes are the parent."""
    order, starts = problem.by_parent
    return order[ragged(starts, nodes)[0]]
