"""Which columns a column is drawn from: chosen from noised dependence alone, so free of charge.

A pair's dependence is half the L1 distance of its counts from independence, in units. Edges are
added while what they explain, beyond what is explained already, is more than the noise they cost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import pi, sqrt

PARENTS = 3
CELLS = 20_000
PENALTY = 0.3
"""What an edge costs, as a part of the noise in its cells: shrinking takes back the rest."""


@dataclass
class Pairs:
    """What was released of a level: dependence of pairs, in parts of the level's weight; the Gini
    index of each column, which is its dependence on itself; sizes of domains."""

    dependence: Mapping[frozenset[str], float]
    gini: Mapping[str, float]
    sizes: Mapping[str, int]

    def between(self, one: str, other: str) -> float:
        """The dependence of a pair, 0 where none was measured."""
        return self.dependence.get(frozenset((one, other)), 0.0)


@dataclass
class Network:
    """Parents of each own column; the others are given."""

    own: Sequence[str]
    parents: dict[str, list[str]] = field(default_factory=dict)

    def leads(self, start: str, goal: str) -> bool:
        """Whether `goal` is drawn, directly or not, from `start`."""
        if start == goal:
            return True
        return any(self.leads(start, one) for one in self.parents.get(goal, ()))

    @property
    def order(self) -> list[str]:
        """Own columns, each after those it is drawn from."""
        done: list[str] = []
        while len(done) < len(self.own):
            done += [
                name
                for name in self.own
                if name not in done
                and all(p in done or p not in self.own for p in self.parents[name])
            ]
        return done


def chosen(
    own: Sequence[str], given: Sequence[str], pairs: Pairs, noise: float, cells: int = CELLS
) -> Network:
    """The network. `noise`: σ of a clique's cell, in parts of the level's weight."""
    network = Network(own, {name: [] for name in own})
    weigh = partial(_gain, network, pairs=pairs, noise=noise, most=cells)
    gains = {(child, one): weigh(child, one) for child in own for one in (*own, *given)}
    while True:
        gain, child, parent = max((gain, *edge) for edge, gain in gains.items())
        if gain <= 0:
            return network
        if network.leads(child, parent):
            gains[child, parent] = 0.0  # it would be drawn from itself, from now on always
            continue
        network.parents[child].append(parent)
        gains |= {(child, one): weigh(child, one) for one in (*own, *given)}


def _gain(
    network: Network, child: str, parent: str, pairs: Pairs, *, noise: float, most: int
) -> float:
    parents = network.parents[child]
    strength = pairs.between(child, parent)
    if strength <= 0 or parent in parents or len(parents) >= PARENTS:
        return 0.0
    now = pairs.sizes[child]
    for name in parents:
        now *= pairs.sizes[name]
    cells = now * pairs.sizes[parent]
    if cells > most:
        return 0.0
    explained = max((_through(pairs, child, p, parent) for p in parents), default=0.0)
    # A table's noise moves half of its absolute errors from cell to cell.
    cost = PENALTY * noise * sqrt(2 / pi) / 2 * (cells - (now if parents else 0))
    return strength - explained - cost


def _through(pairs: Pairs, child: str, known: str, parent: str) -> float:
    """The dependence of child and parent that a known parent of the child brings along."""
    by = pairs.between(child, known) * pairs.between(known, parent)
    return by / max(pairs.gini[known], 1e-9)
