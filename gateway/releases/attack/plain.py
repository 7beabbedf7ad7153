"""What needs no programme: subtractions of up to three published figures, and contradictions.

Rounding is no excuse here: a reader cannot tell a rounded rest from a true one (SPEC 4.3.9).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import TypeAlias

import numpy as np

from gateway.releases.attack.finding import Finding, Known, Rule
from gateway.releases.attack.reading import Told
from gateway.releases.attack.space import Bools, Floats, Ints, Space
from gateway.releases.attack.system import links_between, met, moved
from gateway.releases.attack.tables import BARE, SHOWN, Tables

_CENT = 0.001  # what floating point may miss an end by


def subtractions(tables: Sequence[Tables]) -> Iterator[Finding]:
    """Every difference of up to three published person counts that is 1 … k−1."""
    counted = [table for table in tables if table.persons]
    for table in counted:
        yield from _inside(table, table, table.keys)
        yield from _siblings(table)
    for i, j, link in links_between(counted, within=True):
        inner, outer = counted[i], counted[j]
        keys = moved(inner.space, outer.space, inner.codes, link, around=True)
        yield from _inside(inner, outer, keys)


def _inside(inner: Tables, outer: Tables, keys: Ints) -> Iterator[Finding]:
    """Shown cells less a shown cell that lies in them."""
    held = dict(zip(outer.keys[outer.state == SHOWN].tolist(), _shown(outer).tolist(), strict=True))
    place = dict(zip(outer.keys.tolist(), range(outer.keys.size), strict=True))
    rows = np.flatnonzero((inner.state == SHOWN) & (keys >= 0))
    codes = outer.space.codes(keys[rows])
    k = max(inner.least, outer.least)
    for row, own in zip(rows.tolist(), codes, strict=True):
        value = float(inner.value[row])
        for key in above(outer.space, own):
            if 0 < held.get(key, 0.0) - value < k:
                yield _rest(outer.space.season, [(outer, place[key]), (inner, row)], (1, -1), k)


def above(space: Space, codes: Ints) -> list[int]:
    """The keys of a cell and of all that it lies in."""
    keys = [0]
    for at, axis in enumerate(space.axes):
        chain, code = [], int(codes[at])
        while code >= 0:
            chain.append(code)
            code = int(axis.parent[code])
        keys = [key + code * int(space.strides[at]) for key in keys for code in chain]
    return keys


def _siblings(table: Tables) -> Iterator[Finding]:
    """A shown cell less two parts of it, or two parts that overlap less their shown whole."""
    for family in table.families:
        kids = [kid for kid in family.kids if table.state[kid] == SHOWN]
        if table.state[family.parent] != SHOWN or len(kids) < 2:
            continue
        total = float(table.value[family.parent])
        for one, other in combinations(kids, 2):
            rest = total - float(table.value[one]) - float(table.value[other])
            pair = [(table, family.parent), (table, one), (table, other)]
            if family.apart and 0 < rest < table.least:
                yield _rest(table.space.season, pair, (1, -1, -1), table.least)
            if (
                not family.apart
                and family.whole
                and len(family.kids) == 2
                and 0 < -rest < table.least
            ):
                yield _rest(table.space.season, pair, (-1, 1, 1), table.least)


def differing(tables: Sequence[Tables], given: Mapping[str, Sequence[Told]]) -> Iterator[Finding]:
    """One cell with two figures that contradict, or hidden in one service and not in another.

    The latter only where the service that shows it is bound by no weaker profile.
    """
    offsets = np.cumsum([0, *(t.keys.size for t in tables)])
    for one in met(tables):
        i, j = (int(np.searchsorted(offsets, c, side="right")) - 1 for c in (one.inner, one.outer))
        first, second = (
            (tables[i], one.inner - int(offsets[i])),
            (tables[j], one.outer - int(offsets[j])),
        )
        states = {int(t.state[at]) for t, at in (first, second)}
        if states == {SHOWN}:
            said = [
                (t.value[[at]], t.low[[at]], t.high[[at]], int(t.base[at]))
                for t, at in (first, second)
            ]
            if _contradict(*said).any():
                yield _differ(first, second)
        elif states == {SHOWN, BARE}:
            shown, hidden = (
                (first, second) if first[0].state[first[1]] == SHOWN else (second, first)
            )
            if hidden[0].rules <= shown[0].rules:
                yield _finding(
                    "shown_elsewhere", shown[0].space.season, [shown],
                    f"{hidden[0].text(hidden[1])} is hidden, and is the same cell as "
                    f"{shown[0].text(shown[1])}, which is shown.",
                )  # fmt: skip
    for table in tables:
        yield from _twice(table, given[table.space.service.id])


def _twice(table: Tables, given: Sequence[Told]) -> Iterator[Finding]:
    """Profiles of one release that say of a cell what cannot both be."""
    for one, other in combinations(given, 2):
        keys, left, right = np.intersect1d(one.keys, other.keys, return_indices=True)
        bad = _contradict(
            (one.value[left], one.low[left], one.high[left], one.base),
            (other.value[right], other.low[right], other.high[right], other.base),
        )
        for key, a, b in zip(keys[bad].tolist(), left[bad], right[bad], strict=True):
            at = int(table.find(np.array([key]))[0])
            yield _finding(
                "figures_differ", table.space.season, [(table, at)],
                f"{table.text(at)} is published as {one.value[a]:g} and as {other.value[b]:g}: "
                "where two figures of one count differ, it lies where both roundings meet.",
            )  # fmt: skip


_Said: TypeAlias = tuple[Floats, Floats, Floats, int]
"""Figures, the least and the most that each stands for, and their rounding."""


def _contradict(one: _Said, other: _Said) -> Bools:
    """Which figures of one cell differ though they round alike, or leave nothing that fits both, or
    (counts) are so far apart that the coarse one was not rounded from the fine one."""
    (value, low, high, base), (values, lows, highs, bases) = one, other
    both = ~np.isnan(value) & ~np.isnan(values)
    bad = (low > highs + _CENT) | (lows > high + _CENT)
    if base == bases:
        bad |= value != values
    elif min(base, bases) > 0:
        bad |= np.abs(value - values) >= max(base, bases)
    found: Bools = both & bad
    return found


def revised(space: Space, name: str, old: Told, new: Told, k: int) -> Iterator[Finding]:
    """Restated person counts that changed by fewer than k: the difference is the late persons."""
    keys, left, right = np.intersect1d(old.keys, new.keys, return_indices=True)
    change = np.abs(new.value[right] - old.value[left])
    for at in np.flatnonzero((change > 0) & (change < k)).tolist():
        cell = space.text(int(keys[at]))
        before, after = float(old.value[left[at]]), float(new.value[right[at]])
        yield Finding(
            rule="revision", season=space.season, cells=(cell,), measure=name,
            low=abs(after - before), high=abs(after - before),
            sentence=f"{name} of {cell} was {before:g} in {old.release} and is {after:g} in "
            f"{new.release}: fewer than {k} persons make the difference.",
            figures=tuple(
                Known(cell=f"{cell} ({told.release})", measure=name, value=float(told.value[i]),
                      low=float(told.low[i]), high=float(told.high[i]))
                for told, i in ((old, left[at]), (new, right[at]))
            ),
        )  # fmt: skip


def _shown(table: Tables) -> Floats:
    found: Floats = table.value[table.state == SHOWN]
    return found


def _rest(
    season: str, cells: Sequence[tuple[Tables, int]], signs: Sequence[int], k: int
) -> Finding:
    order = sorted(zip(signs, cells, strict=True), key=lambda one: -one[0])
    rest = sum(sign * float(t.value[at]) for sign, (t, at) in order)
    words = " ".join(
        f"{'less' if sign < 0 else 'plus'} {t.text(at)} ({t.value[at]:g})"
        for sign, (t, at) in order
    )
    told = f"{words.removeprefix('plus ')} leaves {rest:g} persons, fewer than {k}."
    return _finding("subtraction", season, [one for _, one in order], told, rest)


def _differ(first: tuple[Tables, int], second: tuple[Tables, int]) -> Finding:
    (t, a), (u, b) = first, second
    return _finding(
        "figures_differ", t.space.season, [first, second],
        f"{t.text(a)} ({t.value[a]:g}) and {u.text(b)} ({u.value[b]:g}) count the same records: "
        "where two figures of one count differ, it lies where both roundings meet.",
    )  # fmt: skip


def _finding(
    rule: Rule, season: str, cells: Sequence[tuple[Tables, int]], sentence: str,
    rest: float | None = None,
) -> Finding:  # fmt: skip
    return Finding(
        rule=rule, season=season, cells=tuple(t.text(at) for t, at in cells),
        measure=cells[0][0].measure.name, low=rest, high=rest, sentence=sentence,
        figures=tuple(
            Known(cell=t.text(at), measure=t.measure.name, value=float(t.value[at]),
                  low=float(t.low[at]), high=float(t.high[at]))
            for t, at in cells if t.state[at] == SHOWN
        ),
    )  # fmt: skip
