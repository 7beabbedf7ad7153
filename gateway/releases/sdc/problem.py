"""The suppression problem: the cells of one or several linked tables as one system of equations.

Cells of different tables that count the same records become one node, so a pattern found for the
problem is the same in every table by construction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gateway.releases.sdc.lattice import (
    Bools,
    CellFacts,
    Figures,
    Ints,
    Lattice,
    LatticeError,
    starts_of,
)
from gateway.releases.sdc.primary import primary
from gateway.releases.sdc.profile import Profile


@dataclass(frozen=True)
class Job:
    """One table to protect; `hidden` are cells already hidden (a looser profile of the table)."""

    lattice: Lattice
    facts: CellFacts
    profile: Profile
    hidden: Bools | None = None


@dataclass(frozen=True)
class Link:
    """Cells of `jobs[left]` and `jobs[right]` that count the same records, as index pairs."""

    left: int
    right: int
    pairs: Ints


@dataclass(frozen=True)
class Union:
    """Cells of `jobs[left]` that are sums of cells of `jobs[right]` in records, as index pairs."""

    left: int
    right: int
    pairs: Ints


@dataclass(frozen=True)
class Held:
    """The records of the cells of `jobs[job]`, as (cell, record) pairs."""

    job: int
    pairs: Ints


@dataclass(frozen=True)
class Problem:
    """Nodes (cells) and groups. `place` orders nodes for ties, whatever the order of the rows.

    Edges run inside each group from the smallest child to the largest. `equal` groups add up in
    persons (Σ children = parent); in every group Σ records = parent. `sound` groups obey
    max child ≤ parent ≤ Σ children; others, and those of unions, are kept out of the person bounds.
    """

    persons: Ints
    place: Ints
    primary: Bools
    node_k: Ints
    parent: Ints
    edge_group: Ints
    edge_child: Ints
    starts: Ints
    equal: Bools
    sound: Bools
    group_k: Ints
    hidden_sum: Ints

    @cached_property
    def sizes(self) -> Ints:
        """Children per group."""
        return np.diff(self.starts)

    def open_groups(self, hidden: Bools) -> Bools:
        """Groups with a published child: only there is anything to subtract from the parent."""
        found = np.zeros(self.parent.size, np.bool_)
        found[self.edge_group[~hidden[self.edge_child]]] = True
        return found

    @cached_property
    def by_child(self) -> tuple[Ints, Ints]:
        """Edges in order of their child, and where each node's edges start."""
        order = np.argsort(self.edge_child, kind="stable")
        return order, starts_of(self.edge_child[order], self.persons.size)

    @cached_property
    def by_parent(self) -> tuple[Ints, Ints]:
        """Groups in order of their parent, and where each node's groups start."""
        order = np.argsort(self.parent, kind="stable")
        return order, starts_of(self.parent[order], self.persons.size)


@dataclass(frozen=True)
class Nodes:
    """Which node each cell of each job is."""

    of: tuple[Ints, ...]
    count: int


def build(
    jobs: Sequence[Job], links: Sequence[Link], unions: Sequence[Union] = ()
) -> tuple[Problem, Nodes]:
    """The joint problem of linked tables."""
    tables = [
        _Table(job.lattice, _counts(job.facts.persons, job.lattice), job.profile) for job in jobs
    ]
    nodes = _merge([len(table.lattice) for table in tables], links)
    first = np.zeros(nodes.count, np.bool_)
    for job, of in zip(jobs, nodes.of, strict=True):
        first[of[primary(job.facts, job.profile)]] = True
    return _assemble(tables, nodes, first, unions), nodes


def figures(lattice: Lattice, persons: Figures, profile: Profile) -> Problem:
    """The problem of one table's person figures alone: node i is cell i, nothing is primary."""
    table = _Table(lattice, _counts(persons, lattice), profile)
    count = len(lattice)
    return _assemble([table], Nodes((np.arange(count),), count), np.zeros(count, np.bool_))


@dataclass(frozen=True)
class _Table:
    lattice: Lattice
    persons: Ints
    profile: Profile


@dataclass(frozen=True)
class _Part:
    parent: Ints
    group: Ints
    child: Ints
    additive: Bools
    k: Ints
    hidden_sum: Ints
    bounding: bool = True


def _part(table: _Table, of: Ints, persons: Ints) -> _Part:
    groups = table.lattice.groups(persons[of] > 0)
    additive = np.array([axis.additive_persons for axis in table.lattice.axes], np.bool_)
    count = groups.parent.size
    return _Part(
        parent=of[groups.parent],
        group=groups.edge_group,
        child=of[groups.edge_child],
        additive=additive[groups.axis],
        k=np.full(count, table.profile.k, np.int64),
        hidden_sum=np.full(count, table.profile.hidden_sum, np.int64),
    )


def _united(tables: Sequence[_Table], nodes: Nodes, persons: Ints, union: Union) -> _Part:
    """The groups of a union: one per left cell, its parts as children."""
    parent = nodes.of[union.left][union.pairs[:, 0]].astype(np.int64)
    child = nodes.of[union.right][union.pairs[:, 1]].astype(np.int64)
    edges = np.unique(np.stack([parent, child], axis=1)[persons[child] > 0], axis=0)
    parents, group = np.unique(edges[:, 0], return_inverse=True)
    strictest = [tables[union.left].profile, tables[union.right].profile]
    return _Part(
        parent=parents,
        group=group.reshape(-1),
        child=edges[:, 1],
        additive=np.zeros(parents.size, np.bool_),
        k=np.full(parents.size, max(profile.k for profile in strictest)),
        hidden_sum=np.full(parents.size, max(profile.hidden_sum for profile in strictest)),
        bounding=True,
    )


def _assemble(
    tables: Sequence[_Table], nodes: Nodes, first: Bools, unions: Sequence[Union] = ()
) -> Problem:
    persons = np.full(nodes.count, np.iinfo(np.int64).max)
    place, node_k = persons.copy(), np.zeros(nodes.count, np.int64)
    indexes, offset = [table.lattice.index for table in tables], 0
    for table, index, of in zip(tables, indexes, nodes.of, strict=True):
        # Linked cells that disagree count as the smaller.
        np.minimum.at(persons, of, table.persons)
        np.maximum.at(node_k, of, table.profile.k)
        rank = np.empty(of.size, np.int64)
        rank[index.order] = np.arange(of.size) + offset
        np.minimum.at(place, of, rank)
        offset += of.size
    parts = [_part(table, of, persons) for table, of in zip(tables, nodes.of, strict=True)]
    parts += [_united(tables, nodes, persons, union) for union in unions]
    return _joined(persons, place, first & (persons > 0), node_k, parts)


def _joined(
    persons: Ints, place: Ints, first: Bools, node_k: Ints, parts: Sequence[_Part]
) -> Problem:
    sizes = np.cumsum([0, *(part.parent.size for part in parts)])
    parent = np.concatenate([part.parent for part in parts])
    group = np.concatenate([part.group + at for part, at in zip(parts, sizes, strict=False)])
    child = np.concatenate([part.child for part in parts])
    # Group and rank as one number: NumPy sorts numbers much faster than positions.
    smallest_first = np.lexsort((place, persons))
    rank = np.empty(persons.size, np.int64)
    rank[smallest_first] = np.arange(persons.size)
    group, position = np.divmod(np.sort(group * persons.size + rank[child]), max(1, persons.size))
    child = smallest_first[position]
    starts = starts_of(group, parent.size)
    total = np.add.reduceat(persons[child], starts[:-1]) if parent.size else parent
    largest = persons[child[starts[1:] - 1]]
    bounding = np.concatenate([np.full(part.parent.size, part.bounding) for part in parts])
    return Problem(
        persons=persons,
        place=place,
        primary=first,
        node_k=node_k,
        parent=parent,
        edge_group=group,
        edge_child=child,
        starts=starts,
        equal=np.concatenate([part.additive for part in parts]) & (total == persons[parent]),
        sound=bounding & (largest <= persons[parent]) & (persons[parent] <= total),
        group_k=np.concatenate([part.k for part in parts]),
        hidden_sum=np.concatenate([part.hidden_sum for part in parts]),
    )


def _counts(persons: Figures, lattice: Lattice) -> Ints:
    counts = np.asarray(persons).astype(np.int64)
    if counts.shape != (len(lattice),) or (counts.size and counts.min() < 0):
        raise LatticeError(
            "sdc_facts",
            "Each cell of the lattice needs one person count of 0 or more.",
            "每个单元格须有一个非负人数。",
        )
    return counts


def _merge(sizes: Sequence[int], links: Sequence[Link]) -> Nodes:
    """Number the cells of all jobs, linked cells alike."""
    offsets = np.cumsum([0, *sizes]).astype(np.int64)
    label = np.arange(int(offsets[-1]))
    pairs = [link.pairs.astype(np.int64) + offsets[[link.left, link.right]] for link in links]
    joined = np.concatenate(pairs) if pairs else np.zeros((0, 2), np.int64)
    while True:
        low = np.minimum(label[joined[:, 0]], label[joined[:, 1]])
        before = label.copy()
        np.minimum.at(label, label[joined[:, 0]], low)
        np.minimum.at(label, label[joined[:, 1]], low)
        label = label[label]
        if (label == before).all():
            break
    distinct, node = np.unique(label, return_inverse=True)
    cuts = np.split(node.astype(np.int64), offsets[1:-1])
    return Nodes(tuple(cuts), int(distinct.size))
