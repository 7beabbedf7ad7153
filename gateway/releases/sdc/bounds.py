"""Attack by interval bounds: a primary cell must be uncertain by at least 2k persons."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from gateway.releases.sdc.lattice import Bools, Ints, ragged
from gateway.releases.sdc.problem import Problem
from gateway.releases.sdc.remembered import Remembered
from gateway.releases.sdc.settle import first_published
from gateway.releases.sdc.shuttle import Intervals

_Walk: TypeAlias = Callable[[Problem, Ints, Ints, Ints], Ints]
"""From stuck cells on: (problem, neighbours, whose, all widths) to the next cells to relieve."""


class Tight:
    """The attack on one problem; bounds are remembered from one pattern to the next."""

    def __init__(self) -> None:
        self._bounds = Remembered()

    def __call__(self, problem: Problem, hidden: Bools) -> Ints:
        """Published nodes to hide: a primary cell's interval is narrower than 2k persons."""
        found = self._bounds.intervals(problem, hidden)
        narrow = problem.primary & hidden & (found.width < 2 * problem.node_k)
        return relief(problem, hidden, np.flatnonzero(narrow), found)


def relief(problem: Problem, hidden: Bools, cells: Ints, found: Intervals) -> Ints:
    """For cells beside each other the narrowest first: the smallest published child of its tightest
    group, else a published parent.

    What one hides may relieve those beside it, so they wait for the next attack. Only where all
    around every cell is hidden already are their narrowest hidden neighbours relieved instead;
    should such a walk end nowhere, every neighbour is.
    """
    chosen = _relief(problem, hidden, cells, found, _narrowest)
    return chosen if chosen.size else _relief(problem, hidden, cells, found, _all_around)


def _relief(problem: Problem, hidden: Bools, cells: Ints, found: Intervals, walk: _Walk) -> Ints:
    seen = np.zeros(hidden.size, np.bool_)
    while cells.size:
        seen[cells] = True
        owner, group = _groups_of(problem, cells)
        nodes, served = _pick(problem, hidden, owner, group, found)
        if nodes.size:
            return np.unique(nodes[_apart(problem, cells[served], nodes, found.width)])
        near, of = _members(problem, group)
        fresh = ~seen[near]
        cells = walk(problem, near[fresh], owner[of][fresh], found.width)
    return cells


def _apart(problem: Problem, cells: Ints, nodes: Ints, width: Ints) -> Bools:
    """Cells that share no group, by themselves or by their nodes, with a narrower one."""
    rank = np.empty(cells.size, np.int64)
    rank[np.lexsort((problem.place[cells], width[cells]))] = np.arange(cells.size)
    whose = np.concatenate([rank, rank])
    at, group = _groups_of(problem, np.concatenate([cells, nodes]))
    first = np.full(problem.parent.size, cells.size, np.int64)
    np.minimum.at(first, group, whose[at])
    waits = np.zeros(cells.size, np.bool_)
    waits[whose[at][first[group] < whose[at]]] = True
    alone: Bools = ~waits[rank]
    return alone


def _narrowest(problem: Problem, near: Ints, owner: Ints, width: Ints) -> Ints:
    order = np.lexsort((problem.place[near], width[near], owner))
    _, first = np.unique(owner[order], return_index=True)
    return np.unique(near[order][first])


def _all_around(problem: Problem, near: Ints, owner: Ints, width: Ints) -> Ints:
    return np.unique(near)


def _members(problem: Problem, groups: Ints) -> tuple[Ints, Ints]:
    """Children and parents of the groups and, for each, the position of its group."""
    edges, of = ragged(problem.starts, groups)
    nodes = np.concatenate([problem.edge_child[edges], problem.parent[groups]])
    return nodes, np.concatenate([of, np.arange(groups.size)])


def _pick(
    problem: Problem, hidden: Bools, owner: Ints, group: Ints, found: Intervals
) -> tuple[Ints, Ints]:
    """The best published member per owner, and the owners that have one."""
    child, parent = first_published(problem, hidden, group), problem.parent[group]
    open_parent = (child < 0) & ~hidden[parent]
    node = np.where(child >= 0, child, np.where(open_parent, parent, -1))
    have = node >= 0
    owner, group, node, last = owner[have], group[have], node[have], open_parent[have]
    slack = _slack(problem, hidden, found, group)
    order = np.lexsort((problem.place[node], problem.persons[node], slack, last, owner))
    served, first = np.unique(owner[order], return_index=True)
    return node[order][first], served


def _slack(problem: Problem, hidden: Bools, found: Intervals, groups: Ints) -> Ints:
    """Room in each group: how far its hidden members can move together."""
    edges, of = ragged(problem.starts, groups)
    child, parent = problem.edge_child[edges], problem.parent[groups]
    room, width = np.zeros(groups.size, np.int64), found.width
    np.add.at(room, of, np.where(hidden[child], width[child], 0))
    return np.where(hidden[parent], np.minimum(room, width[parent]), room)


def _groups_of(problem: Problem, cells: Ints) -> tuple[Ints, Ints]:
    """(position in cells, group) for every group a cell is a member of."""
    order, starts = problem.by_child
    edges, as_child = ragged(starts, cells)
    above, parents = problem.by_parent
    under, as_parent = ragged(parents, cells)
    return (
        np.concatenate([as_child, as_parent]),
        np.concatenate([problem.edge_group[order[edges]], above[under]]),
    )
