"""All cells of a service as one table, and its shape for disclosure control."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gateway.catalogue.model import Grain
from gateway.releases.blocks import Block
from gateway.releases.facts import Period, city_of, label_of
from gateway.releases.kernel import Bools, Floats, Ints, unmixed
from gateway.releases.plan import Plan
from gateway.releases.sdc import Axis, CellFacts, Lattice
from gateway.releases.shapes import coarser, dims_by_column

_NO_TOTAL = -1


@dataclass(frozen=True)
class Table:
    """Blocks one after another. `offset[i]` is the first cell of block i, one more at the end."""

    plan: Plan
    blocks: tuple[Block, ...]
    offset: Ints

    @classmethod
    def of(cls, plan: Plan, blocks: Sequence[Block]) -> Table:
        return cls(plan, tuple(blocks), np.append(0, np.cumsum([len(b) for b in blocks])))

    def __len__(self) -> int:
        return int(self.offset[-1])

    def whole(self, name: str) -> Ints:
        """One figure of every cell."""
        return _joined([getattr(block, name) for block in self.blocks])


def lattice_of(table: Table) -> Lattice:
    """The table's cells by axis codes: period, place, then one axis per hierarchy of dims."""
    plan = table.plan
    columns = list(dims_by_column(plan.service))
    roots = {column: _root(plan, column) for column in columns}
    tops = list(dict.fromkeys(roots.values()))
    begin = _offsets(plan, columns, roots)
    codes = np.zeros((len(table), 2 + len(tops)), np.int32)
    for block, first, last in zip(table.blocks, table.offset, table.offset[1:], strict=False):
        part = codes[first:last]
        part[:, 0] = 1 + block.period
        city = plan.service.geo[block.level].level == "city"
        part[:, 1] = 1 + block.geo + (0 if city else len(plan.cities))
        named = plan.shapes[block.shape].columns
        for column, digit in zip(named, unmixed(block.code, plan.sizes(named))[1:], strict=True):
            part[:, 2 + tops.index(roots[column])] = 1 + begin[column] + digit
    dims = [_dim_axis(plan, top, [c for c in columns if roots[c] == top], begin) for top in tops]
    return Lattice((_period_axis(plan.periods), _geo_axis(plan), *dims), codes)


def _root(plan: Plan, column: str) -> str:
    up = coarser(plan.service, column)
    return column if up is None else _root(plan, up)


def _offsets(plan: Plan, columns: Sequence[str], roots: Mapping[str, str]) -> dict[str, int]:
    """Where the codes of a column begin on its axis, coarse levels first."""
    filled: dict[str, int] = {}
    begin = {}
    for column in columns:
        begin[column] = filled.get(roots[column], 0)
        filled[roots[column]] = begin[column] + len(plan.domains[column])
    return begin


def _axis(name: str, parents: Sequence[int], additive: bool) -> Axis:
    return Axis(name, len(parents), np.array([_NO_TOTAL, *parents], np.int32), additive)


def _period_axis(periods: Sequence[Period]) -> Axis:
    place = {(p.grain, p.label): i + 1 for i, p in enumerate(periods)}
    parents = []
    for period in periods:
        up = [g for g in (Grain.QUARTER, Grain.YEAR) if _longer(g, period.grain)]
        above = (place.get((g, _wider(period, g))) for g in up)
        parents.append(next((found for found in above if found), _NO_TOTAL))
    return _axis("period", parents, additive=False)


def _longer(grain: Grain, than: Grain) -> bool:
    order = list(Grain)
    return order.index(grain) > order.index(than)


def _wider(period: Period, grain: Grain) -> str:
    if period.grain is Grain.MONTH:
        return label_of(period.label, grain)
    return period.label[:4]


def _geo_axis(plan: Plan) -> Axis:
    levels = {level.level for level in plan.service.geo}
    cities = {city: i + 1 for i, city in enumerate(plan.cities)}
    above = cities if "city" in levels else {}
    counties = [above.get(city_of(county), _NO_TOTAL) for county in plan.counties]
    return _axis("geo", [_NO_TOTAL] * len(cities) + counties, additive=True)


def _dim_axis(plan: Plan, top: str, columns: Sequence[str], begin: Mapping[str, int]) -> Axis:
    parents: list[int] = []
    for column in columns:
        domain = plan.domains[column]
        if domain.coarser is None:
            parents += [0] * len(domain)
        else:
            parents += [1 + begin[domain.coarser] + parent for parent in domain.parents]
    dim = dims_by_column(plan.service)[top]
    return _axis(top, parents, dim.partition)


def facts_of(table: Table, sensitive: Bools) -> CellFacts:
    """What the primary rules read. `sensitive` cells are hidden outright, as are unmapped codes."""
    magnitude = table.whole("magnitude")
    needs_makers = _by_block(table, lambda block: _names_maker_dim(table.plan, block))
    return CellFacts(
        persons=table.whole("persons"),
        institutions=table.whole("institutions"),
        exposure=table.whole("exposure"),
        magnitude=magnitude,
        top1_share=_share(table.whole("top1"), magnitude),
        top2_share=_share(table.whole("top1") + table.whole("top2"), magnitude),
        top_person_share=_share(table.whole("top_person"), magnitude),
        makers=table.whole("makers") if needs_makers.any() else None,
        maker_top1_share=_share(table.whole("maker_top1"), magnitude)
        if needs_makers.any()
        else None,
        sensitive=sensitive | unpublished(table),
        needs_makers=needs_makers,
    )


def unpublished(table: Table) -> Bools:
    """Cells that carry an unmapped code: part of every sum, never an answer."""
    plan = table.plan
    return hits(table, {c: range(len(d.values), len(d)) for c, d in plan.domains.items()})


def hits(table: Table, codes: Mapping[str, Sequence[int]]) -> Bools:
    """Cells that name one of the given codes of a column."""
    plan = table.plan
    marks = {}
    for column, chosen in codes.items():
        marks[column] = np.zeros(len(plan.domains[column]), np.bool_)
        marks[column][list(chosen)] = True
    parts = []
    for block in table.blocks:
        columns = plan.shapes[block.shape].columns
        found = np.zeros(len(block), np.bool_)
        for column, digit in zip(
            columns, unmixed(block.code, plan.sizes(columns))[1:], strict=True
        ):
            if column in marks:
                found |= marks[column][digit]
        parts.append(found)
    return np.concatenate(parts) if parts else np.zeros(0, np.bool_)


def _names_maker_dim(plan: Plan, block: Block) -> bool:
    return bool(set(plan.service.disclosure.makers_for) & set(plan.shapes[block.shape].columns))


def _by_block(table: Table, test: Callable[[Block], bool]) -> Bools:
    return _joined([np.full(len(block), test(block)) for block in table.blocks]).astype(np.bool_)


def _share(part: Ints, whole: Ints) -> Floats:
    """Part of the net amount; where nothing is left, everything may be one party's."""
    return np.divide(part, whole, out=np.ones(len(whole)), where=whole > 0)


def _joined(parts: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:  # of any one kind
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)
