"""Shapley values of published cells as joint work: who makes the coalition large enough.

A cell is a game: worth one point to a coalition of providers that could publish it alone. In each
of the orders in which they might join, which a seed gives, the point goes to the one with whom it
could be published.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from metering.sharing import SHARE_ONE

Ints = npt.NDArray[np.int64]

PERMUTATIONS: Final = 200

POINT: Final = SHARE_ONE // PERMUTATIONS
"""What one order gives, in billionths of a cell; all orders together give the whole."""
_CHUNK: Final = 1 << 18


@dataclass(frozen=True)
class Held:
    """Who holds persons of which cell. `cell`: ascending numbers; `provider`: places in a list of
    names, each once per cell."""

    cell: Ints
    provider: Ints
    persons: Ints

    def __len__(self) -> int:
        return len(self.cell)


def joint(held: Held, names: Sequence[str], least: tuple[int, int], seed: str) -> Ints:
    """The value of each row, in billionths of its cell. `least`: persons and providers with which
    a cell can be published."""
    pivots = np.zeros(len(held), np.int64)
    orders = [_ranks(names, seed, number) for number in range(PERMUTATIONS)]
    starts = np.flatnonzero(np.append(True, held.cell[1:] != held.cell[:-1])[: len(held)])
    sizes = np.diff(np.append(starts, len(held)))
    for size in np.unique(sizes):  # cells of as many holders are a table, sorted row by row
        alike = starts[sizes == size]
        for first in range(0, len(alike), _CHUNK // int(size) + 1):
            cells = alike[first : first + _CHUNK // int(size) + 1, None] + np.arange(size)
            pivots[cells] = _pivots(orders, held.provider[cells], held.persons[cells], least)
    return pivots * POINT


def rank(seed: str, permutation: int, name: str) -> bytes:
    """Where a name stands in an order: by a hash, so that any program in any language finds the
    same orders, and another name's absence changes nothing between the rest."""
    return hashlib.sha256(f"{seed}/{permutation}/{name}".encode()).digest()


def _ranks(names: Sequence[str], seed: str, number: int) -> Ints:
    """Where each name stands in one order."""
    ordered = sorted(range(len(names)), key=lambda at: rank(seed, number, names[at]))
    ranks = np.empty(len(names), np.int64)
    ranks[ordered] = np.arange(len(names))
    return ranks


def _pivots(orders: Sequence[Ints], provider: Ints, persons: Ints, least: tuple[int, int]) -> Ints:
    """In how many orders each holder is the one with whom its cell can be published."""
    found, rows = np.zeros_like(provider), np.arange(len(provider))
    for ranks in orders:
        order = np.argsort(ranks[provider], axis=1)
        enough = np.cumsum(np.take_along_axis(persons, order, axis=1), axis=1) >= least[0]
        enough[:, : least[1] - 1] = False
        enough[:, -1] = True
        found[rows, order[rows, np.argmax(enough, axis=1)]] += 1
    return found
