"""What an export `_since` a release leaves out: rows that read the same in that release.

Both releases are read in step, cell by cell at the same labels. Where their lists differ, every row
counts as changed: a row too many says nothing wrong, a row too few would.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import compress

from gateway.releases.manifest import Manifest
from gateway.releases.store import Page, ReleaseStore, Selection


class Earlier:
    """An earlier release, read beside the one that is delivered."""

    def __init__(self, store: ReleaseStore, now: Manifest, before: Manifest, asked: Selection):
        self._store = store
        self._asked = replace(asked, release_id=before.release_id)
        self._same_lists = _comparable(now, before, asked)
        self._periods = frozenset(before.periods.get(asked.grain, ()))
        self._places = frozenset(before.geo)
        self._starts: dict[tuple[str, str], int] = {}
        if self._same_lists:
            self._starts = self._blocks(before)

    def _blocks(self, before: Manifest) -> dict[tuple[str, str], int]:
        """Where the rows of each period and place begin in the earlier release."""
        held = replace(
            self._asked,
            periods=tuple(p for p in self._asked.periods if p in self._periods),
            geo=tuple(g for g in self._asked.geo if g in self._places),
        )
        self._asked = held
        if not held.periods or not held.geo:
            return {}
        total = self._store.page(held, 0, 0).total
        grain = [p for p in before.periods[held.grain] if p in held.periods]
        places = [g for g in before.geo if g in held.geo]
        width = total // (len(grain) * len(places))
        blocks = [(period, place) for period in grain for place in places]
        return {block: i * width for i, block in enumerate(blocks)}

    def changed(self, page: Page, offset: int, width: int) -> list[bool]:
        """Of each row of a page whether it reads otherwise than before. `offset`: of the page in
        the whole answer; `width`: rows of one period and place."""
        marks: list[bool] = []
        rows = len(page.keys["period"])
        while len(marks) < rows:
            at = len(marks)
            within = (offset + at) % width
            count = min(width - within, rows - at)
            block = (page.keys["period"][at], page.keys["geo"][at])
            if block not in self._starts:
                marks += [True] * count
                continue
            old = self._store.page(self._asked, self._starts[block] + within, count)
            marks += _differ(page, old, slice(at, at + count))
        return marks


def _comparable(now: Manifest, before: Manifest, asked: Selection) -> bool:
    """Whether rows of the two releases lie in step."""
    measures = {measure.name for measure in before.measures}
    return (
        asked.profile_key in before.profiles
        and set(asked.measures) <= measures
        and now.levels == before.levels
        and now.structural_zeros == before.structural_zeros
        and now.shapes == before.shapes
    )


def _differ(new: Page, old: Page, part: slice) -> list[bool]:
    columns = [
        (new.values[name][part], old.values[name], new.flags[name][part], old.flags[name])
        for name in new.values
    ]
    rows = range(part.stop - part.start)
    return [any(v[i] != w[i] or f[i] != g[i] for v, w, f, g in columns) for i in rows]


def only(page: Page, marks: Sequence[bool]) -> Page:
    """The page with the marked rows alone; their addresses with them."""
    addresses: list[tuple[int, Sequence[int]]] = []
    at = 0
    for block, codes in page.addresses:
        kept = list(compress(codes, marks[at : at + len(codes)]))
        at += len(codes)
        if kept:
            addresses.append((block, kept))
    return Page(
        page.total,
        {name: list(compress(column, marks)) for name, column in page.keys.items()},
        {name: list(compress(column, marks)) for name, column in page.values.items()},
        {name: list(compress(column, marks)) for name, column in page.flags.items()},
        addresses,
    )
