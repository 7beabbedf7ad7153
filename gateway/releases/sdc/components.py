"""Attack by linear algebra on small islands of hidden cells.

Groups one by one may all look safe while together they fix a hidden cell. For every connected
island of at most `ISLAND_CELLS` hidden cells the equations are solved as a whole: a primary cell
that is the same in all solutions could be computed exactly; one whose person count moves by less
than k over all non-negative solutions, or by less than 2k where something published is subtracted,
is too narrow. Larger islands are left to the shuttle
algorithm: with that many unknowns an exact solution is neither cheap to find nor likely to exist.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gateway.releases.sdc.bounds import relief
from gateway.releases.sdc.lattice import Bools, Floats, Ints, starts_of
from gateway.releases.sdc.problem import Problem
from gateway.releases.sdc.shuttle import intervals
from gateway.releases.sdc.territory import connect

ISLAND_CELLS = 64
_STEPS, _REACH, _EPS = 30, 0.9, 1e-7


def exposed(problem: Problem, hidden: Bools) -> Ints:
    """Published nodes to hide because a primary cell of a small island can be computed."""
    open_cells = [island.exposed() for island in islands(problem, hidden)]
    cells = np.unique(np.concatenate([*open_cells, np.zeros(0, np.int64)]))
    if not cells.size:
        return cells
    return relief(problem, hidden, cells, intervals(problem, hidden))


@dataclass(frozen=True)
class Island:
    """Hidden cells connected by groups: `system @ cells` is known for each group.

    `records` has all groups, `people` those in which persons add up, `remains` those of them with
    something published to subtract.
    """

    nodes: Ints
    persons: Floats
    least: Floats
    primary: Bools
    records: Floats
    people: Floats
    remains: Floats

    def exposed(self) -> Ints:
        """Primary cells that are fixed exactly or move by too little."""
        fixed: Bools = np.abs(_null_space(self.records)).max(axis=1, initial=0.0) < _EPS
        fixed &= self.primary
        for system, least in ((self.people, self.least / 2), (self.remains, self.least)):
            basis = _null_space(system)
            for at in np.flatnonzero(self.primary & ~fixed & ~self._wide_at_once(basis, least)):
                fixed[at] = not self._wide(basis, int(at), float(least[at]))
        exposed: Ints = self.nodes[fixed]
        return exposed

    def _wide_at_once(self, basis: Floats, least: Floats) -> Bools:
        """Cells whose first step both ways is far enough already: nearly all of them."""
        scaled = _directions(basis, self.persons) / self.persons[:, None]
        scaled[np.abs(scaled) < _EPS * _EPS] = 0.0
        up = _REACH / np.maximum(-scaled.min(axis=0, initial=0.0), _EPS)
        down = _REACH / np.maximum(scaled.max(axis=0, initial=0.0), _EPS)
        wide: Bools = np.diag(scaled) * self.persons * (up + down) >= least
        return wide

    def _wide(self, basis: Floats, at: int, least: float) -> bool:
        """Whether some solution is far enough from another, walking from the truth both ways."""
        need, width = least - 0.5, 0.0
        for sign in (1.0, -1.0):
            width += _walk(basis, self.persons, at, sign, need - width)
            if width >= need:
                return True
        return False


def islands(problem: Problem, hidden: Bools) -> Iterator[Island]:
    """Every small island with a primary cell, in order of its nodes."""
    member, group = _memberships(problem, hidden)
    label = connect(member, group, problem.persons.size, problem.parent.size)
    cells = np.flatnonzero(hidden & (problem.persons > 0))
    order = cells[np.argsort(label[cells], kind="stable")]
    _, first, size = np.unique(label[order], return_index=True, return_counts=True)
    by_node = np.argsort(member, kind="stable")
    open_groups = hidden[problem.parent] | problem.open_groups(hidden)
    starts = starts_of(member[by_node], problem.persons.size)
    for at, length in zip(first.tolist(), size.tolist(), strict=True):
        nodes = order[at : at + length]
        if length <= ISLAND_CELLS and problem.primary[nodes].any():
            rows = np.concatenate([by_node[starts[n] : starts[n + 1]] for n in nodes])
            yield _island(problem, nodes, member[rows], group[rows], open_groups)


def _island(problem: Problem, nodes: Ints, member: Ints, group: Ints, open_groups: Bools) -> Island:
    distinct, row = np.unique(group, return_inverse=True)
    column = np.searchsorted(nodes, member)
    system = np.zeros((distinct.size, nodes.size))
    system[row, column] = np.where(problem.parent[group] == member, -1.0, 1.0)
    return Island(
        nodes=nodes,
        persons=problem.persons[nodes].astype(np.float64),
        least=2.0 * problem.node_k[nodes].astype(np.float64),
        primary=problem.primary[nodes],
        records=system,
        people=system[problem.equal[distinct]],
        remains=system[problem.equal[distinct] & open_groups[distinct]],
    )


def _memberships(problem: Problem, hidden: Bools) -> tuple[Ints, Ints]:
    """(hidden node, group) for every group it is parent or child of."""
    edges = np.flatnonzero(hidden[problem.edge_child])
    own = np.flatnonzero(hidden[problem.parent])
    return (
        np.concatenate([problem.edge_child[edges], problem.parent[own]]),
        np.concatenate([problem.edge_group[edges], own]),
    )


def _null_space(system: Floats) -> Floats:
    """An orthonormal basis, one column per direction, of what the equations leave open."""
    size, vectors = np.linalg.eigh(system.T @ system)
    basis: Floats = vectors[:, size < _EPS * max(1.0, float(size.max(initial=0.0)))]
    return basis


def _directions(basis: Floats, point: Floats) -> Floats:
    """Column j: the way that moves unknown j while it avoids unknowns that are close to zero."""
    near = basis / point[:, None]
    moves: Floats = basis @ np.linalg.pinv(near.T @ near, hermitian=True) @ basis.T
    return moves


def _walk(basis: Floats, start: Floats, at: int, sign: float, need: float) -> float:
    """How far unknown `at` can certainly move one way while all stay non-negative.

    Affine scaling: steps along solutions of the equations, scaled by the distance to zero. Every
    point is a solution, so the distance walked is attainable; with the steps allowed it comes
    within a small part of the farthest solution.
    """
    point = start.copy()
    for _ in range(_STEPS):
        way = _directions(basis, point)[:, at] * sign
        falling = float((-way / point).max())
        if abs(way[at]) < _EPS:
            break
        if falling < _EPS * abs(float(way[at])):
            return need
        point = point + way * (_REACH / falling)
        if abs(float(point[at] - start[at])) >= need:
            break
    return abs(float(point[at] - start[at]))
