"""The synthetic DRG grouper: group, weight, standard, outlier type."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache

import numpy as np

from synthetic.bureau.arrays import Array, Flags, Ints, stream
from synthetic.bureau.diagnoses import read
from synthetic.bureau.settings import Run
from synthetic.bureau.stays import Stays
from synthetic.warehouse.codes import rows

UNGROUPED = 0
UNGROUPED_SHARE = 0.055
_RATE = np.array([1_150_000, 850_000, 550_000])  # fen per point by level
CASE_TYPES = ("normal", "high", "low", "ungrouped")


@cache
def groups() -> tuple[dict[str, str], ...]:
    """Rows of the DRG list; position 0 is the ungrouped 0000."""
    return rows("drg")


@dataclass(frozen=True)
class Grouping:
    """One entry per stay: index into `groups`, weight × 10 000, and amounts in fen."""

    drg: Ints
    rw: Ints
    std_fee: Ints
    pay_std: Ints
    operated: Flags

    def take(self, index: Array) -> Grouping:
        """The entries at these positions."""
        return Grouping(*(getattr(self, f.name)[index] for f in fields(self)))


def adrgs(stays: Stays) -> Array:
    """Adjacent group of each stay, from its main diagnosis."""
    return np.array([r["adrg"] for r in read("stays").entry])[stays.entry]


@dataclass(frozen=True)
class Standards:
    """What a case of each group usually costs, set by the first cohort: fen, and score × 100.

    `drg` and `dip` are by group × 4 + level, `score` by DIP group; 0 where no case was seen.
    """

    drg: Ints
    score: Ints
    dip: Ints


def usual(cell: Ints, cost: Array, size: int, known: Ints | None) -> Ints:
    """Mean cost of each cell in fen; what is known already stands."""
    count = np.maximum(np.bincount(cell, minlength=size), 1)
    mean = np.bincount(cell, weights=cost, minlength=size) / count
    return standing(np.rint(mean * 100).astype(np.int64), known)


def standing(own: Ints, known: Ints | None) -> Ints:
    """Values already set, and one's own where there are none."""
    return own if known is None else np.where(known > 0, known, own)


def group(run: Run, stays: Stays, known: Standards | None = None) -> tuple[Grouping, Ints]:
    """Group every stay, severity deciding between splits; and the standards of groups × levels."""
    rng = stream(run.seed, "grouping", run.cohort)
    adrg = adrgs(stays)
    acute = stays.severity + 0.6 * rng.standard_normal(len(adrg))
    drg = np.full(len(adrg), UNGROUPED)
    codes = [g["code"] for g in groups()]
    for name in np.unique(adrg):
        mine = np.flatnonzero(adrg == name)
        splits = [i for i, code in enumerate(codes) if code[:3] == name]
        edges = {1: [], 2: [0.35], 3: [1.35, 0.1]}[len(splits)]
        place = np.zeros(len(mine), dtype=np.int64)
        for edge in edges:
            place += acute[mine] < edge
        drg[mine] = np.array(splits)[place]
    drg = np.where(rng.random(len(adrg)) < UNGROUPED_SHARE, UNGROUPED, drg)
    weight = np.array([round(float(g["rw"] or 0) * 10_000) for g in groups()])[drg]
    factor = 0.9 + 0.2 * ((stays.inst * 37) % 11) / 10
    pay = np.rint(weight / 10_000 * _RATE[np.minimum(stays.level, 2)] * factor).astype(np.int64)
    operated = np.array([a[1] <= "J" for a in adrg], dtype=bool)
    cell = drg * 4 + stays.level
    standards = usual(cell, stays.cost, 4 * len(groups()), known.drg if known else None)
    standard = np.where(drg == UNGROUPED, 0, standards[cell])
    return Grouping(drg, weight, standard, pay, operated), standards


def case_type(medfee: Ints, found: Grouping) -> Ints:
    """Index into CASE_TYPES: low < .4 ×, high > 3 × (RW ≤ 2) or > 2 × (RW > 2) the standard."""
    upper = np.where(found.rw > 20_000, 2, 3) * found.std_fee
    grade = np.where(medfee > upper, 1, np.where(medfee * 10 < found.std_fee * 4, 2, 0))
    return np.where(found.drg == UNGROUPED, 3, grade)
