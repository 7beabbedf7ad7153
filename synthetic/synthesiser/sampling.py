"""Draw tables from a model: from the unit downwards, block by block of units, each by itself."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from itertools import repeat
from multiprocessing import get_context

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from synthetic.synthesiser.domains import in_steps
from synthetic.synthesiser.drawing import drawn, stream, valued
from synthetic.synthesiser.identities import settle
from synthetic.synthesiser.levels import USE, Level, bound, levels_of
from synthetic.synthesiser.model import Fitted, Model, decoded
from synthetic.synthesiser.rows import Rows
from synthetic.synthesiser.shaping import shaped
from synthetic.tables.errors import SynthesisError
from synthetic.tables.schema import Category

Ints = NDArray[np.int64]

BLOCK = 32_768
"""Units that are drawn together. Another number would draw other tables."""
MOST = 1_000_000_000


def sampled(model: Model, units: int, seed: int, workers: int = 1) -> Iterator[dict[str, pa.Table]]:
    """The tables, a block of units after another; the same for any number of workers.

    Raises:
        SynthesisError: `synth_size`, where the number of units is none or too many.
    """
    if not 1 <= units <= MOST:
        raise SynthesisError(
            "synth_size", f"Units drawn are 1 to {MOST} in number.", "合成数量超出范围。"
        )
    sizes = [min(BLOCK, units - start) for start in range(0, units, BLOCK)]
    if workers == 1 or len(sizes) == 1:
        yield from map(block, repeat(model), sizes, range(len(sizes)), repeat(seed))
        return
    encoded = model.encoded()
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(_apart, repeat(encoded), sizes, range(len(sizes)), repeat(seed))


def block(model: Model, units: int, number: int, seed: int) -> dict[str, pa.Table]:
    """All rows of one block's units."""
    tables: dict[str, Rows] = {}
    levels = levels_of(model.schema)
    for level in levels:
        rng = stream(seed, level.name, number)
        fitted = model.levels[level.name]
        if level.ancestors:
            tables[level.name] = _Below(level, fitted, tables[level.ancestors[0].name], rng).drawn()
        else:
            tables[level.name] = _first(level, fitted, units, number * BLOCK, rng)
    settle(tables, [level.name for level in levels])
    return shaped(tables)


@lru_cache(maxsize=2)
def _decoded(encoded: bytes) -> Model:
    return decoded(encoded)


def _apart(encoded: bytes, units: int, number: int, seed: int) -> dict[str, pa.Table]:
    return block(_decoded(encoded), units, number, seed)


def _first(level: Level, fitted: Fitted, units: int, before: int, rng: np.random.Generator) -> Rows:
    ids = np.arange(before + 1, before + units + 1)
    rows = Rows(level, np.zeros(units, np.int64), ids, None)
    for draw in fitted.draws:
        codes = [rows.codes[parent] for parent in draw.parents]
        group = _grouped(codes, [level.own[parent].size for parent in draw.parents], units)
        rows.codes[draw.name] = drawn(draw.table, group, rng)
    _value(rows, fitted, rng)
    return rows


class _Below:
    """The rows of a table with a parent: step by step, the n-th row of every parent at once."""

    def __init__(self, level: Level, fitted: Fitted, above: Rows, rng: np.random.Generator) -> None:
        self._level, self._fitted, self._above, self._rng = level, fitted, above, rng
        self._number = above.values[f"#{level.name}"]
        self._start = np.cumsum(self._number) - self._number
        total = int(self._number.sum())
        parent = np.repeat(np.arange(above.size), self._number)
        place = np.arange(total) - self._start[parent]
        ids = (above.ids[parent] - 1) * level.table.at_most + place + 1
        self._rows = Rows(level, parent, ids, above)
        for name in level.own:
            self._rows.codes[name] = np.zeros(total, np.int64)
        self._known = {
            name: np.full(above.size, level.own[name].known) for name in level.table.modelled
        }
        if USE in level.given:
            rows = np.bincount(above.unit, weights=self._number)[above.unit].astype(np.int64)
            self._use = _binned(rows, level.given[USE].edges)
        self._used = {p for d in fitted.draws for p in d.parents if p in level.given}

    def drawn(self) -> Rows:
        """The rows."""
        if self._level.ordering:
            self._last, self._end = self._edge("start"), self._edge("end")
            self._rows.values[self._level.ordering] = np.zeros(self._rows.size, np.int64)
        for step in range(int(self._number.max(initial=0))):
            self._step(step, np.flatnonzero(self._number > step))
        if self._level.ordering:
            self._fit_in()
        _value(self._rows, self._fitted, self._rng)
        return self._rows

    def _step(self, step: int, active: Ints) -> None:
        rows, level = self._rows, self._level
        at = self._start[active] + step
        here = {name: self._given(name, step, active) for name in self._used}
        for draw in self._fitted.draws:
            codes = [here[parent] for parent in draw.parents]
            sizes = [level.domain(parent).size for parent in draw.parents]
            here[draw.name] = drawn(draw.table, _grouped(codes, sizes, active.size), self._rng)
            rows.codes[draw.name][at] = here[draw.name]
        for name, known in self._known.items():
            said = here[name] < level.own[name].known
            known[active[said]] = here[name][said]
        if level.ordering:
            name = level.ordering
            gap = valued(here[name], level.own[name], self._fitted.values[name], self._rng)
            self._last[active] += gap
            rows.values[name][at] = self._last[active]

    def _fit_in(self) -> None:
        """Draw sequences that left their window together in proportion; same days stay same."""
        name, parent = self._level.ordering, self._rows.parent
        start = self._edge("start")
        wide, room = self._last - start, np.maximum(0, self._end - start)
        shrink = np.where(wide > room, room / np.maximum(wide, 1), 1.0)
        gone = self._rows.values[name] - start[parent]
        self._rows.values[name] = start[parent] + np.floor(gone * shrink[parent]).astype(np.int64)

    def _given(self, name: str, step: int, active: Ints) -> Ints:
        level = self._level
        if name == "left":
            return _binned(self._number[active] - step - 1, level.given[name].edges)
        if name == "pace":
            days = np.maximum(0, self._end[active] - self._last[active])
            return _binned(days // (self._number[active] - step), level.given[name].edges)
        if name == USE:
            return self._use[active]
        table, _, variable = name.partition(".")
        if table == "prev":
            return np.asarray(self._known[variable][active])
        return np.asarray(self._above.inherited(table, variable)[active])

    def _edge(self, edge: str) -> Ints:
        named, order = bound(self._level, edge), self._level.table.order
        if named is not None:
            return self._above.inherited_value(*named).copy()
        column = self._level.table.columns[self._level.ordering]
        if order is None or isinstance(column, Category):
            raise TypeError("only a date or a number puts rows in order")
        value = order.start if edge == "start" else order.end
        if isinstance(value, str):
            raise TypeError("an edge that names a column is bound to it")
        return np.full(self._above.size, in_steps(value, column))


def _value(rows: Rows, fitted: Fitted, rng: np.random.Generator) -> None:
    """Values of all numbers and dates that have none yet; distances become values."""
    for name, domain in rows.level.own.items():
        if domain.measured and name not in rows.values:
            rows.values[name] = valued(rows.codes[name], domain, fitted.values[name], rng)
    for name in rows.level.table.modelled:
        column = rows.level.table.columns[name]
        if not isinstance(column, Category) and column.since is not None:
            rows.values[name] = rows.values[name] + rows.values[column.since]
            if rows.level.own[column.since].nullable:
                gone = rows.missing(column.since)
                rows.codes[name] = np.where(gone, rows.level.own[name].known, rows.codes[name])


def _grouped(codes: list[Ints], sizes: list[int], rows: int) -> Ints:
    group = np.zeros(rows, np.int64)
    for code, size in zip(codes, sizes, strict=True):
        group = group * size + code
    return group


def _binned(values: Ints, edges: tuple[int, ...]) -> Ints:
    clamped = np.clip(values, edges[0], edges[-1] - 1)
    return np.asarray(np.searchsorted(edges, clamped, side="right") - 1)
