"""Figures as they are published: each measure's definition applied to the shown cells.

Base figures are rounded by the profile; ratios are computed from the rounded parts, so nothing is
published that the published parts would not give. How each kind of measure is worked out lies in
`gateway/releases/kinds/`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from gateway.catalogue.kinds import Persons
from gateway.catalogue.model import Measure
from gateway.releases.carried import Carried
from gateway.releases.kernel import Bools
from gateway.releases.kinds import EVALUATORS, LATE_EVALUATORS
from gateway.releases.kinds.late import Late, Layout
from gateway.releases.kinds.scene import Rules, Scene, moved
from gateway.releases.sheet import Sheet, late_measures
from gateway.releases.shown import ABSENT, FIGURES, HIDDEN, Figure, Shown

__all__ = ["Layout", "Rules", "figures", "finished"]


def figures(
    shown: Shown, rules: Rules, withheld: Bools, carried: Carried | None = None
) -> dict[str, Figure]:
    """Every measure of the service over the shown cells, internal ones included.

    Where the count of persons of a cell of the table is `withheld`, it is so before anything is
    made of it: a cost per person beside the cost would give it back. So are the figures of cells
    that are `carried` from an earlier release put in before: a share of one would tell what is new.
    """
    hide = withheld[shown.cells]
    service = shown.table.plan.service
    found: dict[str, Figure] = {}
    waiting = list(service.measures)
    while waiting:
        measure = next(m for m in waiting if {p.measure for p in m.define.parts} <= found.keys())
        waiting.remove(measure)
        made = _figure(shown, rules, measure, found)
        made = _without(made, hide) if _counts_persons(measure) else made
        found[measure.name] = carried.over(measure.name, made) if carried else made
    return found


def _counts_persons(measure: Measure) -> bool:
    """Whether it is the count of the cell's own persons that subtraction is guarded for."""
    define = measure.define
    return isinstance(define, Persons) and not define.insured


def _without(figure: Figure, withheld: Bools) -> Figure:
    """The figure, hidden in some cells."""
    hide = withheld & figure.open
    marks = np.where(hide, HIDDEN, figure.marks).astype(np.uint8)
    return replace(figure, values=np.where(hide, 0, figure.values), marks=marks)


def finished(sheet: Sheet, layout: Layout) -> Sheet:
    """The sheet of a whole release with the measures that need several of its periods."""
    for measure in late_measures(layout.service):
        made = LATE_EVALUATORS[type(measure.define)](measure.define, Late(sheet, layout))
        before = sheet.figure(measure.name).marks
        marks = np.where(before == ABSENT, ABSENT, made.marks).astype(np.uint8)
        values = np.where(np.isin(marks, FIGURES), made.values, 0)
        sheet = sheet.with_figure(measure.name, Figure(values, marks, made.scale, made.labels))
    return sheet


def _figure(shown: Shown, rules: Rules, measure: Measure, found: Mapping[str, Figure]) -> Figure:
    raw = EVALUATORS[type(measure.define)](measure.define, Scene(shown, rules, found))
    if measure.at:
        raw = _at(shown, measure, raw)
    return _where_offered(shown, measure, raw)


def _where_offered(shown: Shown, measure: Measure, raw: Figure) -> Figure:
    plan = shown.table.plan
    offered = shown.where(lambda block: measure.name in plan.fits[block.shape].measures)
    marks = np.where(offered, raw.marks, ABSENT).astype(np.uint8)
    values = np.where(np.isin(marks, FIGURES), raw.values, 0)
    return Figure(values, marks, raw.scale, raw.labels)


def _at(shown: Shown, measure: Measure, raw: Figure) -> Figure:
    """The figure of the cell with the pivot's value; cells nobody is in are suppressed."""
    plan = shown.table.plan
    digits = {d: plan.domains[d].values.index(value) for d, value in measure.at.items()}
    place = shown.related(lambda named: (*named, *digits), np.arange(len(plan.periods)), digits)
    return moved(raw, place, shown)
