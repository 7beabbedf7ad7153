"""Attack by sums of amounts: a hidden amount must be uncertain by a part of itself.

Amounts add up in every group of cells, so what is published bounds what is hidden, as it bounds
persons. A cell that failed a test of its own is protected by a *sliding protection level* (the
field's word: only the width of the feasibility interval counts, not where in it the truth lies):
its interval is at least 1 − `top1_share_max` of its upper end, which is what the dominance rule
leaves to all others of a shown cell. An interval that begins at nought satisfies it by itself, for
nobody can tell that there is an amount at all.

Published amounts are known as their figures are rounded, hidden ones are not negative, and which
cells are empty is not known. What is hidden has a part in the intervals through what is published
alone, so the pattern tells no more than its figures do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gateway.releases.sdc.bounds import Relief, relief
from gateway.releases.sdc.lattice import Bools, Ints, ragged, starts_of
from gateway.releases.sdc.possible import Layout
from gateway.releases.sdc.problem import Job, Nodes, Problem, Union
from gateway.releases.sdc.shuttle import SWEEPS, Intervals

UNBOUNDED = np.int64(2**48)
"""Fen; thousands of unknown amounts can still be added up in 64 bits."""


@dataclass(frozen=True)
class Amounts:
    """The sums of linked tables: the nodes of their problem, then cells without records.

    In `whole` groups the children are all there is of the parent, in others some of it.
    """

    count: int
    parent: Ints
    edge_group: Ints
    edge_child: Ints
    whole: Bools

    def known(self, problem: Problem, hidden: Bools, relieve: Relief = relief) -> Ints:
        """Published nodes to hide because a primary cell's amount is known too closely."""
        found = self.feasible(problem, hidden)
        cells = np.flatnonzero(narrow(problem, hidden, found))
        return relieve(problem, hidden, cells, found) if cells.size else cells

    def feasible(self, problem: Problem, hidden: Bools) -> Intervals:
        """The least and the greatest amount of each node, in fen, by propagation."""
        nodes = hidden.size
        low, high = np.zeros(self.count, np.int64), np.full(self.count, UNBOUNDED)
        shown = np.flatnonzero(~hidden & (problem.persons > 0))
        low[shown] = problem.told[shown] - problem.spread[shown]
        high[shown] = problem.told[shown] + problem.spread[shown]
        _settle(self, low, high)
        return Intervals(low[:nodes], high[:nodes])


def narrow(problem: Problem, hidden: Bools, found: Intervals) -> Bools:
    """Primary cells whose intervals begin above nought and are smaller than their protection level.

    What no amounts fit (something hidden is negative) tells nothing.
    """
    below: Bools = found.width < problem.node_level * found.high
    return problem.primary & hidden & (found.low > 0) & (found.width >= 0) & below


def amounts_of(
    jobs: Sequence[Job], nodes: Nodes, problem: Problem, unions: Sequence[Union]
) -> Amounts:
    """Every sum of amounts among the cells of these tables, as a reader can write them down."""
    parts, count = [], nodes.count
    for job, of in zip(jobs, nodes.of, strict=True):
        part, count = _own(job, of, problem, count)
        parts.append(part)
    parts += [_united(nodes, problem, union) for union in unions]
    at = np.cumsum([0, *(part.parent.size for part in parts)])
    return Amounts(
        count,
        np.concatenate([part.parent for part in parts]),
        np.concatenate([part.edge_group + n for part, n in zip(parts, at, strict=False)]),
        np.concatenate([part.edge_child for part in parts]),
        np.concatenate([part.whole for part in parts]),
    )


def _own(job: Job, of: Ints, problem: Problem, count: int) -> tuple[Amounts, int]:
    """The families of one table; cells without a row are numbered from `count` on."""
    index = job.lattice.index
    layout = Layout(job.lattice, job.counted(), job.zeros)
    found = layout.families((problem.persons[of] > 0) & ~problem.primary[of])
    cell = index.find(found.key)
    bare = cell < 0
    number = np.where(bare, count + np.cumsum(bare) - 1, of[cell])
    part = Amounts(
        count + int(bare.sum()),
        number[found.parent],
        found.edge_family,
        number[found.edge_child],
        found.whole,
    )
    return part, part.count


def _united(nodes: Nodes, problem: Problem, union: Union) -> Amounts:
    """Cells of one table as sums of cells of another; whole where their records add up."""
    parent = nodes.of[union.left][union.pairs[:, 0]].astype(np.int64)
    child = nodes.of[union.right][union.pairs[:, 1]].astype(np.int64)
    edges = np.unique(np.stack([parent, child], axis=1), axis=0)
    parents, group = np.unique(edges[:, 0], return_inverse=True)
    group = group.reshape(-1)
    total = np.zeros(parents.size, np.int64)
    np.add.at(total, group, problem.amount[edges[:, 1]])
    fits = total <= problem.amount[parents]
    kept = fits[group]
    renumber = np.cumsum(fits) - 1
    whole = (total == problem.amount[parents])[fits]
    return Amounts(nodes.count, parents[fits], renumber[group[kept]], edges[kept, 1], whole)


def _settle(sums: Amounts, low: Ints, high: Ints) -> None:
    """Tighten over all groups until nothing moves, in place."""
    starts = starts_of(sums.edge_group, sums.parent.size)
    member = np.concatenate([sums.edge_child, sums.parent])
    group = np.concatenate([sums.edge_group, np.arange(sums.parent.size)])
    order = np.argsort(member, kind="stable")
    group, of = group[order], starts_of(member[order], sums.count)
    groups = np.arange(sums.parent.size)
    for _ in range(SWEEPS):
        if not groups.size:
            break
        moved = _sweep(sums, starts, groups, low, high)
        groups = np.unique(group[ragged(of, moved)[0]])


def _sweep(sums: Amounts, starts: Ints, groups: Ints, low: Ints, high: Ints) -> Ints:
    """Bound the members of each group by those of the others, in place; which nodes moved."""
    edges, _ = ragged(starts, groups)
    child, parent, whole = sums.edge_child[edges], sums.parent[groups], sums.whole[groups]
    sizes = starts[groups + 1] - starts[groups]
    first = np.cumsum(sizes) - sizes
    low_c, high_c = low[child], high[child]
    least, most = np.add.reduceat(low_c, first), np.add.reduceat(high_c, first)
    ceiling = np.repeat(high[parent] - least, sizes) + low_c
    floor = np.where(np.repeat(whole, sizes), np.repeat(low[parent] - most, sizes) + high_c, 0)
    moved = np.zeros(low.size, np.bool_)
    for nodes, bound in ((child, ceiling), (parent, np.where(whole, most, UNBOUNDED))):
        at = np.flatnonzero(bound < high[nodes])
        np.minimum.at(high, nodes[at], bound[at])
        moved[nodes[at]] = True
    for nodes, bound in ((child, floor), (parent, least)):
        at = np.flatnonzero(bound > low[nodes])
        np.maximum.at(low, nodes[at], bound[at])
        moved[nodes[at]] = True
    return np.flatnonzero(moved)
