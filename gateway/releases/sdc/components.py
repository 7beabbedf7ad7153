"""Attack by linear programming on what persons add up to.

Groups one by one may all look safe while together they bound a hidden cell. Hidden cells that are
connected by groups in which persons add up form an island; what is outside says nothing of what is
in it. On an island without a cycle the shuttle algorithm is exact. On every other one that has
something published beside, all solutions in non-negative counts are searched for one that moves
each primary cell by 2k persons; where none is found the cell counts as exposed. On an island of
more than `ISLAND_CELLS` hidden cells the search around each cell moves its nearest ones alone and
leaves the others at their counts: what it finds is a solution of the whole island too, so a cell
may count as exposed that is not, never the other way round.
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

ISLAND_CELLS = 512
"""The search costs the cube of what it moves."""

_STEPS, _REACH, _EPS = 30, 0.9, 1e-7
_FAR = 1e-4  # where nothing stops a first step, it ends after the inverse of this
_SIDE_BY_SIDE = 1_000_000  # numbers held while several cells walk at a time
_ALIKE = 64  # cells of an island so small that others may be built like it
_GLANCE = 4  # sweeps enough to tell which neighbour to hide


class Search:
    """The attack on one problem; islands once found safe are not searched again.

    Hiding more elsewhere changes nothing on an island, hiding more beside it makes it another one.
    """

    def __init__(self, most: int = ISLAND_CELLS) -> None:
        self._most = most
        self._safe: set[bytes] = set()
        self._bases: dict[bytes, Floats] = {}

    def __call__(self, problem: Problem, hidden: Bools) -> Ints:
        """Published nodes to hide because sums of persons bound a primary cell to less than 2k."""
        found = [np.zeros(0, np.int64)]
        for nodes, members, groups in islands(problem, hidden):
            if nodes.tobytes() not in self._safe:
                cells = self.exposed(problem, nodes, members, groups)
                found.append(cells)
                if not cells.size:
                    self._safe.add(nodes.tobytes())
        cells = np.unique(np.concatenate(found))
        if not cells.size:
            return cells
        return relief(problem, hidden, cells, intervals(problem, hidden, _GLANCE))

    def exposed(self, problem: Problem, nodes: Ints, member: Ints, group: Ints) -> Ints:
        """Primary cells of an island that are not seen to move far enough."""
        if nodes.size <= self._most:
            return self._judged(Island.of(problem, nodes, member, group))
        found, open_ = [], set(nodes[problem.primary[nodes]].tolist())
        while open_:
            centre = min(open_)
            near = _nearest(centre, self._most, member, group)
            inside = np.isin(member, near)
            part = Island.of(problem, near, member[inside], group[inside])
            exposed = set(self._judged(part).tolist())
            open_ -= set(near.tolist()) - exposed
            if centre in exposed:
                found.append(centre)
            open_.discard(centre)
        return np.array(found, np.int64)

    def _judged(self, island: Island) -> Ints:
        """Its exposed cells; many small islands are built alike and differ in their counts only."""
        if island.nodes.size > _ALIKE:
            return island.exposed(_null_space(island.system))
        built = np.append(island.system.shape, island.system.ravel()).astype(np.int8).tobytes()
        if built not in self._bases:
            self._bases[built] = _null_space(island.system)
        return island.exposed(self._bases[built])


def _nearest(centre: int, most: int, member: Ints, group: Ints) -> Ints:
    """Up to so many nodes, by the number of groups between them and the centre, then by number."""
    near = np.array([centre], np.int64)
    while True:
        groups = np.unique(group[np.isin(member, near)])
        fresh = np.setdiff1d(member[np.isin(group, groups)], near)
        if not fresh.size or near.size >= most:
            return np.sort(near)
        near = np.concatenate([near, fresh[: most - near.size]])


@dataclass(frozen=True)
class Island:
    """Hidden cells connected by groups: `system @ cells` is known for each group."""

    nodes: Ints
    persons: Floats
    least: Floats
    primary: Bools
    system: Floats

    @classmethod
    def of(cls, problem: Problem, nodes: Ints, member: Ints, group: Ints) -> Island:
        """The island of these nodes, given its (member, group) pairs."""
        distinct, row = np.unique(group, return_inverse=True)
        system = np.zeros((distinct.size, nodes.size))
        sign = np.where(problem.parent[group] == member, -1.0, 1.0)
        system[row, np.searchsorted(nodes, member)] = sign
        return cls(
            nodes=nodes,
            persons=problem.persons[nodes].astype(np.float64),
            least=2.0 * problem.node_k[nodes].astype(np.float64),
            primary=problem.primary[nodes],
            system=system,
        )

    def exposed(self, basis: Floats) -> Ints:
        """Primary cells not seen to move far enough, given what the equations leave open."""
        if basis.shape[1] == 1:
            return self._exposed_along(basis[:, 0])
        ways = _directions(basis, self.persons)
        seen = self._first_steps(ways)
        enough = self.least - 0.5
        for sign in (1.0, -1.0):
            for cells in self._chunks(np.flatnonzero(self.primary & (seen.width < enough)), basis):
                behind = self.persons - seen.low if sign > 0 else seen.high - self.persons
                need = (enough - behind)[cells]
                seen.add(_walks(basis, self.persons, ways[:, cells] * sign, cells, need))
        exposed: Ints = self.nodes[self.primary & (seen.width < enough)]
        return exposed

    def _exposed_along(self, way: Floats) -> Ints:
        """The same where all solutions lie on one line: it ends where a count would be negative."""
        way = np.where(np.abs(way) < _EPS * np.abs(way).max(), 0.0, way)
        falls, rises = way < 0, way > 0
        forth = (self.persons[falls] / -way[falls]).min(initial=np.inf)
        back = (self.persons[rises] / way[rises]).min(initial=np.inf)
        width = np.abs(way, where=way != 0, out=np.zeros_like(way))
        width[way != 0] *= forth + back
        exposed: Ints = self.nodes[self.primary & (width < self.least - 0.5 + _EPS)]
        return exposed

    def _first_steps(self, ways: Floats) -> _Seen:
        """How far a first step towards or away from each cell moves all: enough for nearly all."""
        scaled = ways / self.persons[:, None]
        scaled[np.abs(scaled) < _EPS * _EPS] = 0.0
        up = _REACH / np.maximum(-scaled.min(axis=0, initial=0.0), _FAR)
        down = _REACH / np.maximum(scaled.max(axis=0, initial=0.0), _FAR)
        steps = np.concatenate([ways * up, ways * -down], axis=1)
        return _Seen(
            self.persons + steps.min(axis=1, initial=0.0),
            self.persons + steps.max(axis=1, initial=0.0),
        )

    def _chunks(self, cells: Ints, basis: Floats) -> Iterator[Ints]:
        """So many cells that they can walk side by side."""
        step = max(1, _SIDE_BY_SIDE // max(1, basis.size))
        return (cells[at : at + step] for at in range(0, cells.size, step))


@dataclass
class _Seen:
    """The least and the greatest value of each cell among the solutions met so far.

    Every solution met for one cell counts for all of them.
    """

    low: Floats
    high: Floats

    @property
    def width(self) -> Floats:
        return self.high - self.low

    def add(self, solutions: Floats) -> None:
        """Solutions, one to a column."""
        np.minimum(self.low, solutions.min(axis=1), out=self.low)
        np.maximum(self.high, solutions.max(axis=1), out=self.high)


def islands(problem: Problem, hidden: Bools) -> Iterator[tuple[Ints, Ints, Ints]]:
    """Nodes and (member, group) pairs of every island to be searched."""
    member, group = _memberships(problem, hidden)
    label = connect(member, group, problem.persons.size, problem.parent.size)
    cells = np.flatnonzero(hidden & (problem.persons > 0))
    chosen = _worth_searching(problem, hidden, label, (member, group))
    cells = cells[chosen[label[cells]]]
    order = cells[np.argsort(label[cells], kind="stable")]
    _, first, size = np.unique(label[order], return_index=True, return_counts=True)
    by_node = np.argsort(member, kind="stable")
    starts = starts_of(member[by_node], problem.persons.size)
    for at, length in zip(first.tolist(), size.tolist(), strict=True):
        nodes = order[at : at + length]
        rows = np.concatenate([by_node[starts[n] : starts[n + 1]] for n in nodes])
        yield nodes, member[rows], group[rows]


def _worth_searching(
    problem: Problem, hidden: Bools, label: Ints, memberships: tuple[Ints, Ints]
) -> Bools:
    """By label: islands with a primary cell, a cycle, and something published beside.

    Where nothing is published all counts may be any multiple of the true ones.
    """
    member, group = memberships
    count = problem.persons.size
    alive = hidden & (problem.persons > 0)
    _, one = np.unique(group, return_index=True)
    cells = np.bincount(label[alive], minlength=count)
    edges = np.bincount(label[member], minlength=count)
    groups = np.bincount(label[member[one]], minlength=count)
    primary = np.bincount(label[alive & problem.primary], minlength=count)
    known = ~hidden[problem.parent] | problem.open_groups(hidden)
    beside = np.bincount(label[member[known[group]]], minlength=count)
    cyclic = edges >= cells + groups
    worth: Bools = cyclic & (primary > 0) & (beside > 0)
    return worth


def _memberships(problem: Problem, hidden: Bools) -> tuple[Ints, Ints]:
    """(hidden node, group) for every group it is parent or child of and in which persons add up."""
    edges = np.flatnonzero(hidden[problem.edge_child] & problem.equal[problem.edge_group])
    own = np.flatnonzero(hidden[problem.parent] & problem.equal)
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
    """Column j: the way that moves unknown j while it avoids unknowns that are close to zero.

    Any combination of the basis is a solution's direction: a badly solved system makes a way that
    leads less far, not a wrong one.
    """
    near = basis / point[:, None]
    ways: Floats = basis @ np.linalg.solve(near.T @ near, basis.T)
    return ways


def _next_directions(basis: Floats, points: Floats, at: Ints) -> Floats:
    """Column j: as `_directions`, of unknown `at[j]` from the point in column j."""
    near = basis / points.T[:, :, None]
    gram = near.transpose(0, 2, 1) @ near
    ways: Floats = basis @ np.linalg.solve(gram, basis[at][:, :, None])[:, :, 0].T
    return ways


def _walks(basis: Floats, start: Floats, ways: Floats, at: Ints, need: Floats) -> Floats:
    """The solutions met when each unknown `at` walks its way by its `need`, or nearly as far.

    Affine scaling: steps along solutions of the equations, scaled by the distance to zero. Every
    point is a solution, so what is reached is attainable; with the steps allowed it comes within a
    small part of the farthest solution.
    """
    points = np.repeat(start[:, None], at.size, axis=1)
    going = np.arange(at.size)
    for step in range(_STEPS if basis.shape[1] else 0):
        if step:
            turn = np.sign(ways[at[going], going])
            ways[:, going] = _next_directions(basis, points[:, going], at[going]) * turn
        way = ways[:, going]
        falling = (-way / points[:, going]).max(axis=0)
        pace = np.abs(way[at[going], np.arange(going.size)])
        moves = pace >= _EPS
        going, way, falling, pace = going[moves], way[:, moves], falling[moves], pace[moves]
        free = falling < _EPS * pace  # nothing stops it
        length = np.where(free, need[going] / pace, _REACH / np.where(free, 1.0, falling))
        points[:, going] += way * length
        gone = np.abs(points[at[going], going] - start[at[going]])
        going = going[~free & (gone < need[going])]
        if not going.size:
            break
    return points
