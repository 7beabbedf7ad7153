"""`matched_effect`: the parts of a matched before-and-after comparison, cell by cell."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from math import prod

import numpy as np

from gateway.catalogue.kinds import MatchedEffect
from gateway.releases.blocks import Block
from gateway.releases.facts import Window
from gateway.releases.kernel import Ints, located, mixed
from gateway.releases.kinds.scene import Scene
from gateway.releases.shown import Figure
from gateway.releases.studies.effect import (
    Panel,
    Sets,
    balance,
    difference,
    interval,
    matched_sets,
    relative,
    relative_interval,
    resampled,
)
from gateway.releases.studies.steps import above, below, nearest, one_digit, step_of, tellable

DECIMALS = {"estimate": 4, "low": 4, "high": 4, "smd": 2, "programme": 0, "comparator": 0}
_PERCENT = 2  # decimals of the relative parts


def matched_effect(define: MatchedEffect, scene: Scene) -> Figure:
    """One part, in the cells whose two arms are large enough to be told."""
    shown = scene.shown
    values = np.zeros(len(shown), np.int64)
    held = np.zeros(len(shown), np.bool_)
    for block, part, own in shown.by_block:
        shape = shown.table.plan.shapes[block.shape]
        if shape.pivot is not None or not set(define.dims) <= set(shape.columns):
            continue
        place = np.full(len(block), -1, np.int64)
        place[own] = np.arange(part.start, part.stop)
        for cell, panel in _panels(define, scene, block):
            value = _told(define, scene, panel) if place[cell] >= 0 else None
            if value is not None:
                values[place[cell]], held[place[cell]] = value, True
    if define.part in ("programme", "comparator"):
        least = max(define.min_arm, scene.rules.profile.k)
        values = np.where(held, scene.rules.count(values, least), 0)
    return Figure(values, scene.marked(held), DECIMALS.get(define.part, _PERCENT))


def _panels(define: MatchedEffect, scene: Scene, block: Block) -> Iterator[tuple[int, Panel]]:
    """The cells of a block that have rows, with these."""
    plan = scene.shown.table.plan
    fact, columns = plan.facts[define.fact], plan.shapes[block.shape].columns
    level, sizes = plan.service.geo[block.level], plan.sizes(columns)
    for number, period in enumerate(plan.periods):
        own = np.flatnonzero(block.period == number)
        window = fact.window([period])
        if not len(own) or not len(window):
            continue
        keys = [window.rows.keys[name] for name in (level.level, *columns)]
        code = mixed(keys, [plan.places(level), *sizes], len(window))
        size = plan.places(level) * prod(sizes)
        place = located(block.geo[own] * prod(sizes) + block.code[own], code, size)
        order = np.argsort(place, kind="stable")
        bounds = np.searchsorted(place[order], np.arange(len(own) + 1))
        for cell, (first, last) in enumerate(pairwise(bounds)):
            if last > first:
                yield int(own[cell]), _panel(define, window, order[first:last])


def _panel(define: MatchedEffect, window: Window, rows: Ints) -> Panel:
    set_no, treated, before, after = (window.records[name][rows] for name in define.records)
    scales = window.fact.scales
    finest = max(scales["before"], scales["after"])
    return Panel(
        set_no,
        treated > 0,
        before * 10 ** (finest - scales["before"]),
        after * 10 ** (finest - scales["after"]),
    )


def _told(define: MatchedEffect, scene: Scene, panel: Panel) -> int | None:
    """The part of one cell as a whole number of its last decimal; None where it is not told."""
    sets = matched_sets(panel)
    many = int(sets.comparators.sum())
    k = scene.rules.profile.k
    if min(len(sets), many) < max(define.min_arm, k):
        return None
    match define.part:
        case "programme":
            return len(sets)
        case "comparator":
            return many
        case "smd":
            return _balance(panel, len(sets), many) if _had(panel) >= k else None
    if sets.moved < k:  # so few persons changed that they are as good as counted
        return None
    scale = 10 ** max(scene.scale(define.fact, name) for name in ("before", "after"))
    whole = define.part in ("estimate", "low", "high")
    return _difference(define, sets, scale) if whole else _relative(define, sets)


def _difference(define: MatchedEffect, sets: Sets, scale: int) -> int | None:
    found = difference(sets).times(1 / scale)
    if not tellable(found):
        return None
    decimals = DECIMALS[define.part]
    step = step_of(found, decimals)
    if define.part == "estimate":
        return nearest(found.value, decimals, step)
    low, high = interval(resampled(sets, define.resamples, define.seed), sets)
    if define.part == "low":
        return below(low / scale, decimals, step)
    return above(high / scale, decimals, step)


def _relative(define: MatchedEffect, sets: Sets) -> int | None:
    found = relative(sets)
    if found is None or not tellable(found):
        return None
    found = found.times(100)
    step = step_of(found, _PERCENT)
    if define.part == "relative":
        return nearest(found.value, _PERCENT, step)
    ends = relative_interval(resampled(sets, define.resamples, define.seed))
    if ends is None:
        return None
    if define.part == "relative_low":
        return below(100 * ends[0], _PERCENT, step)
    return above(100 * ends[1], _PERCENT, step)


def _had(panel: Panel) -> int:
    """Persons for whom there was anything before."""
    return int(np.count_nonzero(panel.before))


def _balance(panel: Panel, heads: int, many: int) -> int | None:
    """To steps of half the standard error of a standardised difference."""
    found = balance(panel)
    step = one_digit(50 * (1 / heads + 1 / many) ** 0.5)
    return None if found is None else nearest(found, DECIMALS["smd"], step)
