"""What one profile publishes of a service, as columns ready to be written or put together.

Sheets of several seasons make up the sheet of a release. Figures are kept for the rows that have
one; a row that is only hidden costs its address and its marks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gateway.catalogue.model import Measure, Service
from gateway.releases.kernel import Bools, Ints
from gateway.releases.shown import FIGURES, Figure, Marks, Shown


@dataclass(frozen=True)
class Sheet:
    """Rows by block and cell, ascending, with a line of marks per measure.

    `whole` marks the cell as such. `values[m]` are the figures of measure m in the rows `open`.
    """

    measures: tuple[Measure, ...]
    block: Ints
    cell: Ints
    whole: Marks
    marks: Marks
    open: Ints
    values: tuple[Ints, ...]
    scales: tuple[int, ...]
    labels: tuple[tuple[str, ...], ...]

    def __len__(self) -> int:
        return len(self.block)

    @classmethod
    def of(cls, shown: Shown, figures: Mapping[str, Figure], block: Ints, cell: Ints) -> Sheet:
        """The shown cells that have an address (block 0 or more), in order of it."""
        measures = kept(shown.table.plan.service)
        order = np.lexsort((cell, block))
        order = order[block[order] >= 0]
        own = [figures[measure.name] for measure in measures]
        marks = np.stack([figure.marks[order] for figure in own])
        open_ = np.flatnonzero(_open(marks).any(axis=0))
        return cls(
            measures,
            block[order],
            cell[order],
            shown.marks[order],
            marks,
            open_,
            tuple(figure.values[order[open_]] for figure in own),
            tuple(figure.scale for figure in own),
            tuple(figure.labels for figure in own),
        )

    def figure(self, name: str) -> Figure:
        """One measure over all rows."""
        at = [measure.name for measure in self.measures].index(name)
        values = np.zeros(len(self), np.int64)
        values[self.open] = self.values[at]
        return Figure(values, self.marks[at], self.scales[at], self.labels[at])

    def with_figure(self, name: str, figure: Figure) -> Sheet:
        """The sheet with one measure replaced; it is open in rows that have figures already."""
        at = [measure.name for measure in self.measures].index(name)
        marks = self.marks.copy()
        marks[at] = figure.marks
        values = (*self.values[:at], figure.values[self.open], *self.values[at + 1 :])
        scales = (*self.scales[:at], figure.scale, *self.scales[at + 1 :])
        labels = (*self.labels[:at], figure.labels, *self.labels[at + 1 :])
        return replace(self, marks=marks, values=values, scales=scales, labels=labels)


def kept(service: Service) -> tuple[Measure, ...]:
    """Measures with a place on the sheet: those answered, and whatever late ones are made of."""
    late = late_measures(service)
    needed = {part.measure for measure in late for part in measure.define.parts}
    needed |= {measure.name for measure in late}
    return tuple(m for m in service.measures if not m.internal or m.name in needed)


def late_measures(service: Service) -> tuple[Measure, ...]:
    """Measures that need several periods, or parts that do; each after its parts."""
    late: dict[str, Measure] = {}
    waiting = list(service.measures)
    while found := [
        m for m in waiting if m.define.late or any(p.measure in late for p in m.define.parts)
    ]:
        late |= {m.name: m for m in found}
        waiting = [m for m in waiting if m.name not in late]
    return _in_order(late)


def _in_order(measures: Mapping[str, Measure]) -> tuple[Measure, ...]:
    done: dict[str, Measure] = {}
    while ready := [
        m
        for m in measures.values()
        if m.name not in done
        and not {p.measure for p in m.define.parts} & (measures.keys() - done.keys())
    ]:
        done |= {m.name: m for m in ready}
    return tuple(done.values())


def together(sheets: Sequence[Sheet]) -> Sheet:
    """The sheets of all seasons as one."""
    block = np.concatenate([sheet.block for sheet in sheets])
    cell = np.concatenate([sheet.cell for sheet in sheets])
    order = np.lexsort((cell, block))
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    before = np.cumsum([0, *(len(sheet) for sheet in sheets)])
    open_ = place[
        np.concatenate([sheet.open + at for sheet, at in zip(sheets, before, strict=False)])
    ]
    rank = np.argsort(open_)
    first = sheets[0]
    return replace(
        first,
        block=block[order],
        cell=cell[order],
        whole=np.concatenate([sheet.whole for sheet in sheets])[order],
        marks=np.concatenate([sheet.marks for sheet in sheets], axis=1)[:, order],
        open=open_[rank],
        values=tuple(
            np.concatenate([sheet.values[m] for sheet in sheets])[rank]
            for m in range(len(first.values))
        ),
    )


def _open(marks: Marks) -> Bools:
    return np.isin(marks, FIGURES)
