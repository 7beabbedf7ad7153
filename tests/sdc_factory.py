"""Small worlds for the disclosure tests: persons with records, counted into a lattice by sets.

Everything is counted the slow way, from (person, institution, amount, codes) records, so that the
tests rest on nothing they test.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from gateway.releases.sdc import Axis, CellFacts, Lattice, Profile

DC2: Mapping[str, object] = {
    "name": "DC2",
    "k_person": 11,
    "min_exposure": 100,
    "min_institutions": 3,
    "min_manufacturers": 3,
    "top1_share_max": 0.8,
    "top2_share_max": 0.9,
    "count_round": 5,
    "amount_sig_digits": 4,
    "percentile_min_n": {"p25": 20, "p50": 11, "p75": 20, "p90": 50, "p95": 100, "p99": 500},
    "percentile_window": 5,
    "complementary": True,
}


def profile(**changes: object) -> Profile:
    """DC2 with these thresholds changed."""
    return Profile.of({**DC2, **changes})


def axis(name: str, parent: list[int], additive: bool = True) -> Axis:
    """An axis whose code i (from 1) rolls up to parent[i − 1]; 0 is the total, -1 no total."""
    table = np.array([-1, *parent], np.int32)
    return Axis(name, len(parent), table, additive)


def facts(persons: list[int], **changes: object) -> CellFacts:
    """Facts of cells that only their person counts could hide; `changes` replace a figure."""
    n = len(persons)
    figures: dict[str, object] = {
        "persons": np.array(persons),
        "institutions": np.full(n, 9),
        "exposure": np.full(n, 1000.0),
        "magnitude": np.full(n, 1e6),
        "top1_share": np.full(n, 0.2),
        "top2_share": np.full(n, 0.4),
        "top_person_share": np.full(n, 0.1),
        "makers": np.full(n, 9),
        "maker_top1_share": np.full(n, 0.2),
        "sensitive": np.zeros(n, np.bool_),
        "needs_makers": np.zeros(n, np.bool_),
        **{name: np.array(value) for name, value in changes.items()},
    }
    return CellFacts(**figures)  # type: ignore[arg-type]  # every field is set just above


@dataclass(frozen=True)
class World:
    """A lattice with its facts and, per cell, the set of persons behind it."""

    lattice: Lattice
    facts: CellFacts
    people: list[set[int]]

    def __len__(self) -> int:
        return len(self.people)

    @property
    def cells(self) -> list[tuple[int, ...]]:
        return [tuple(row) for row in self.lattice.codes.tolist()]

    def shuffled(self, order: np.ndarray) -> World:
        """The same cells in another order."""
        return World(
            Lattice(self.lattice.axes, self.lattice.codes[order]),
            take(self.facts, order),
            [self.people[i] for i in order],
        )


def take(of: CellFacts, order: np.ndarray) -> CellFacts:
    """The facts of these cells, in this order."""
    parts = {name: part[order] for name, part in vars(of).items() if part is not None}
    return replace(of, **parts)


def world(seed: int, people: int, sizes: tuple[int, ...], max_dims: int = 9) -> World:
    """A random world: a two-level axis, a person attribute, then axes of events (not additive)."""
    random = np.random.default_rng(seed)
    axes = _axes(sizes)
    records = list(_records(random, people, axes))
    behind: dict[tuple[int, ...], list[tuple[int, int, int]]] = defaultdict(list)
    for person, institution, amount, codes in records:
        for cell in product(*(_chain(a, c) for a, c in zip(axes, codes, strict=True))):
            if sum(code != 0 for code in cell) <= max_dims:
                behind[cell].append((person, institution, amount))
    cells = sorted(behind)
    lattice = Lattice(axes, np.array(cells, np.int32).reshape(len(cells), len(axes)))
    groups = [behind[cell] for cell in cells]
    return World(lattice, _count(groups), [{row[0] for row in rows} for rows in groups])


def _axes(sizes: tuple[int, ...]) -> tuple[Axis, ...]:
    half = max(1, sizes[0] // 2)
    fine = [1 + i * half // sizes[0] for i in range(sizes[0])]
    area = axis("area", [0] * half + fine)
    attribute = axis("sex", [0] * sizes[1])
    events = [axis(f"event{i}", [0] * size, additive=False) for i, size in enumerate(sizes[2:])]
    return (area, attribute, *events)


def _records(
    random: np.random.Generator, people: int, axes: tuple[Axis, ...]
) -> Iterator[tuple[int, int, int, tuple[int, ...]]]:
    leaves = [_leaves(a) for a in axes]
    for person in range(people):
        own = [_skewed(random, choices) for choices in leaves[:2]]
        for _ in range(1 + int(random.geometric(0.6))):
            codes = (*own, *(_skewed(random, choices) for choices in leaves[2:]))
            yield person, int(random.integers(6)), int(random.integers(1, 500)), codes


def _skewed(random: np.random.Generator, choices: list[int]) -> int:
    return choices[min(int(random.geometric(0.45)) - 1, len(choices) - 1)]


def _leaves(of: Axis) -> list[int]:
    inner = set(of.parent[1:].tolist())
    return [code for code in range(1, of.size + 1) if code not in inner]


def _chain(of: Axis, code: int) -> list[int]:
    chain = [code]
    while chain[-1]:
        chain.append(int(of.parent[chain[-1]]))
    return chain


def _count(groups: list[list[tuple[int, int, int]]]) -> CellFacts:
    def share(rows: list[tuple[int, int, int]], by: int, top: int) -> float:
        sums: dict[int, int] = defaultdict(int)
        for row in rows:
            sums[row[by]] += row[2]
        return sum(sorted(sums.values(), reverse=True)[:top]) / sum(sums.values())

    return facts(
        [len({row[0] for row in rows}) for rows in groups],
        institutions=[len({row[1] for row in rows}) for rows in groups],
        magnitude=[float(sum(row[2] for row in rows)) for rows in groups],
        top1_share=[share(rows, 1, 1) for rows in groups],
        top2_share=[share(rows, 1, 2) for rows in groups],
        top_person_share=[share(rows, 0, 1) for rows in groups],
    )
