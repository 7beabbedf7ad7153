"""The shortest derivation of an interval: rows that carry the optimum, none of which can be spared.

The multipliers of the optimum name the rows that matter; each of these is then left out in turn,
and stays out where the interval is still narrow enough without it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gateway.releases.attack.finding import Known, Step
from gateway.releases.attack.program import EPS, Effort, Programme
from gateway.releases.attack.space import Ints
from gateway.releases.attack.system import EQUAL, System
from gateway.releases.attack.tables import SHOWN

_MOST = 60
_LAWS = {
    "adds_up": "the parts of a cell add up to it",
    "parts_within": "parts of a cell are at most the cell",
    "part_within": "a part is at most the whole",
    "covered": "the parts together hold everybody of the whole",
    "among": "these persons are among those",
    "bands": "the coarse band is the sum of the fine ones",
    "bands_within": "fine bands are at most the coarse band",
}


def needed(programme: Programme, at: int, low: float, high: float) -> Ints:
    """The lines of a smallest set that still bounds an unknown to low … high (or closer)."""
    kept = np.unique(
        np.concatenate(
            [_carrying(programme, at, sign) for sign, end in ((1.0, low), (-1.0, high))
             if np.isfinite(end)]
        )
    )  # fmt: skip
    if kept.size > _MOST:
        return kept
    for line in kept.tolist():
        fewer = kept[kept != line]
        least, most = bounded(programme, at, fewer)
        if least >= low - EPS and most <= high + EPS:
            kept = fewer
    return kept


def _carrying(programme: Programme, at: int, sign: float) -> Ints:
    """The lines with a multiplier in the optimum."""
    result = programme.one(at, sign)
    lines = [np.zeros(0, np.int64)]
    for own, part in (
        (programme.equal_lines, result.eqlin),
        (programme.at_most_lines, result.ineqlin),
    ):
        if own.size:
            lines.append(own[np.abs(np.asarray(part.marginals)) > EPS])
    return np.concatenate(lines)


def bounded(programme: Programme, at: int, lines: Ints) -> tuple[float, float]:
    """The interval of an unknown by some lines alone."""
    if not lines.size:
        return float(programme.low[at]), float(programme.high[at])
    part = Programme(programme.system, programme.unknowns, lines, Effort())
    part.low, part.high = programme.low, programme.high
    return part.interval(at)


def steps_of(system: System, lines: Ints) -> tuple[Step, ...]:
    """Lines in words."""
    found = []
    for line in lines.tolist():
        row = system.rows[line]
        left, right = (tuple(named(system, u) for u in side) for side in (row.left, row.right))
        found.append(
            Step(left=left, relation="=" if row.sense == EQUAL else "<=", right=right,
                 why=_LAWS[row.why])
        )  # fmt: skip
    return tuple(found)


def named(system: System, unknown: int) -> str:
    """An unknown in words: the cell of the first service that counts it."""
    table, at = system.places(unknown)[0]
    return f"{table.measure.name} of {table.text(at)}"


def figures_of(system: System, lines: Ints, also: Sequence[int] = ()) -> tuple[Known, ...]:
    """Every published figure that lines use."""
    unknowns = {
        u for line in lines.tolist() for u in (*system.rows[line].left, *system.rows[line].right)
    }
    found = []
    for unknown in sorted(unknowns | set(also)):
        found += [
            Known(
                cell=table.text(at), measure=table.measure.name,
                value=float(table.value[at]), low=float(table.low[at]), high=float(table.high[at]),
            )
            for table, at in system.places(unknown)
            if table.state[at] == SHOWN
        ]  # fmt: skip
    return tuple(found)
