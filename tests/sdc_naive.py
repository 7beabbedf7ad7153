"""The suppression everybody writes first: the next smallest of every group around exposed cells.

All exposed cells at once, whatever one of them does for another. As safe as ours, since it goes on
until the same attacks find nothing; it is what our loss of information is measured against.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from gateway.releases.sdc import bounds, components
from gateway.releases.sdc.lattice import Bools, Ints
from gateway.releases.sdc.problem import Problem
from gateway.releases.sdc.settle import edges_of, first_published, groups_under
from gateway.releases.sdc.shuttle import Intervals


def next_smallest(problem: Problem, hidden: Bools, cells: Ints, found: Intervals) -> Ints:
    """The smallest published child of every group around the cells, or the group's parent.

    Where nothing is published around them, the neighbours are taken for the cells.
    """
    seen = np.zeros(hidden.size, np.bool_)
    while cells.size:
        seen[cells] = True
        groups = np.unique(
            np.concatenate(
                [problem.edge_group[edges_of(problem, cells)], groups_under(problem, cells)]
            )
        )
        child, parent = first_published(problem, hidden, groups), problem.parent[groups]
        chosen = np.where(child >= 0, child, np.where(hidden[parent], -1, parent))
        if (chosen >= 0).any():
            return np.unique(chosen[chosen >= 0])
        inside = np.isin(problem.edge_group, groups)
        near = np.unique(np.concatenate([problem.edge_child[inside], parent]))
        cells = near[~seen[near]]
    return cells


@contextmanager
def naively() -> Iterator[None]:
    """Within it, what an attack exposes is relieved as above."""
    ours = bounds.relief
    bounds.relief = components.relief = next_smallest
    try:
        yield
    finally:
        bounds.relief = components.relief = ours
