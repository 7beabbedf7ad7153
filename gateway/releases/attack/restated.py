"""What two releases of one period give away together: the difference is who changed in between.

A reader keeps what was published before. Of every cell both releases show, the change lies between
what the two roundings allow; the change of a cell the newer one does not restate follows from those
of its parent and siblings. Nobody outside knows whether as many went as came, so a change is read
as its net.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from gateway.catalogue.model import Measure
from gateway.releases.attack.finding import Finding, Known
from gateway.releases.attack.reading import Told
from gateway.releases.attack.space import Floats, Ints, Space
from gateway.releases.attack.tables import Family, Rules, Tables, tables_of

_CENT = 0.001


@dataclass(frozen=True)
class Moves:
    """Two releases of one measure laid beside each other: `old` and `new` tables, and for each cell
    of the new one the least and most its count may have changed by; infinite where not known."""

    old: Tables
    new: Tables
    low: Floats
    high: Floats


def moves(old: Tables, new: Tables) -> Moves:
    """The change of every cell that both tables show."""
    low, high = np.full(new.keys.size, -np.inf), np.full(new.keys.size, np.inf)
    place = old.find(new.keys)
    both = np.flatnonzero(place >= 0)
    both = both[~np.isnan(new.value[both]) & ~np.isnan(old.value[place[both]])]
    there = place[both]
    low[both] = new.low[both] - old.high[there]
    high[both] = new.high[both] - old.low[there]
    return Moves(old, new, low, high)


def late_persons(
    space: Space, measure: Measure, old: Told, new: Told, rules: Rules
) -> Iterator[Finding]:
    """Changes of 1 … k−1 persons that can be worked out of up to a whole family of cells."""
    k = rules.k
    both = moves(*(tables_of(space, measure, [one], rules) for one in (old, new)))
    names = old.release, new.release
    for family in both.new.families:
        known = [kid for kid in family.kids if np.isfinite(both.high[kid])]
        if not np.isfinite(both.high[family.parent]):
            continue
        for taken in _subtracted(family, known):
            low = float(both.low[family.parent] - both.high[[*taken]].sum())
            high = float(both.high[family.parent] - both.low[[*taken]].sum())
            if _few(low, high, k):
                yield _finding(both, family.parent, taken, (low, high), names)


def _subtracted(family: Family, known: list[int]) -> Iterator[tuple[int, ...]]:
    """Parts to take from a parent: each one, any two that hold nobody in common, or all but one."""
    yield from ((kid,) for kid in known)
    if not family.apart:
        return
    yield from combinations(known, 2)
    if family.whole and 2 < len(known) >= len(family.kids) - 1:
        yield from combinations(known, len(family.kids) - 1)


def _few(low: float, high: float, k: int) -> bool:
    """Whether somebody changed for certain, and fewer than k."""
    up = low > _CENT and high < k - _CENT
    down = high < -_CENT and low > _CENT - k
    return up or down


def _finding(
    both: Moves, parent: int, kids: tuple[int, ...], ends: tuple[float, float],
    names: tuple[str, str],
) -> Finding:  # fmt: skip
    low, high = sorted(abs(end) for end in ends)
    cells = [both.new.text(at) for at in (parent, *kids)]
    return Finding(
        rule="revision", season=both.new.space.season, cells=tuple(cells),
        measure=both.new.measure.name, low=low, high=high,
        sentence=f"{cells[0]} less {' and '.join(cells[1:])} changed between {names[0]} and "
        f"{names[1]} by {low:g} to {high:g} persons: late ones can be told.",
        figures=tuple(_figures(both, [parent, *kids], names)),
    )  # fmt: skip


def _figures(both: Moves, cells: list[int], names: tuple[str, str]) -> Iterator[Known]:
    keys: Ints = both.new.keys[cells]
    places: Mapping[str, tuple[Tables, list[int]]] = {
        names[0]: (both.old, both.old.find(keys).tolist()), names[1]: (both.new, cells),
    }  # fmt: skip
    for release, (table, own) in places.items():
        for at in own:
            yield Known(
                cell=f"{table.text(at)} ({release})", measure=table.measure.name,
                value=float(table.value[at]), low=float(table.low[at]), high=float(table.high[at]),
            )  # fmt: skip
