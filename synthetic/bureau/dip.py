"""The synthetic DIP grouper: main diagnosis and operations, score, standard, payment.

A city is paid by DRG or by DIP; this one groups every stay both ways, so both services have data.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache

import numpy as np

from synthetic.bureau.arrays import Array, Flags, Ints, stream
from synthetic.bureau.diagnoses import dx_codes, read
from synthetic.bureau.grouping import Standards, standing, usual
from synthetic.bureau.operations import Operations, oprn_codes
from synthetic.bureau.settings import Run
from synthetic.bureau.stays import Stays
from synthetic.warehouse.codes import rows

UNGROUPED = 0
_UNGROUPED_SHARE = 0.04
_POINT = np.array([1150, 850, 550])  # fen a point by level
_AUXILIARY = 1.3  # standard deviations of severity from which the auxiliary list applies
_SURCHARGE = 1.1
_DX4 = 5  # characters of a subcategory, the dot among them
_WIDE = 1000  # more operations than there are


@dataclass(frozen=True)
class Dip:
    """One entry per stay: index into `dip_groups`, score × 100, amounts in fen."""

    group: Ints
    score: Ints
    std_fee: Ints
    pay_std: Ints
    auxiliary: Flags

    def take(self, index: Array) -> Dip:
        """The entries at these positions."""
        return Dip(*(getattr(self, f.name)[index] for f in fields(self)))


@cache
def dip_groups() -> tuple[dict[str, str], ...]:
    """Rows of the DIP list; position 0 is the ungrouped 0000."""
    return rows("dip")


def dip(
    run: Run, stays: Stays, done: Operations, known: Standards | None = None
) -> tuple[Dip, Ints, Ints]:
    """Group every stay; and the scores of groups, the standards of groups × levels.

    The score of a group is its mean cost, 1000 being that of all cases.
    """
    rng = stream(run.seed, "dip", run.cohort)
    group = np.where(
        rng.random(len(stays.person)) < _UNGROUPED_SHARE, UNGROUPED, _found(stays, done)
    )
    size = len(dip_groups())
    scores = np.rint(_means(group, stays.cost, size) / stays.cost.mean() * 100_000)
    scores = standing(scores.astype(np.int64), known.score if known else None)
    score = np.where(group == UNGROUPED, 0, scores[group])
    cell = group * 4 + stays.level
    standards = usual(cell, stays.cost, 4 * size, known.dip if known else None)
    auxiliary = (stays.severity > _AUXILIARY) & (group != UNGROUPED)
    factor = 0.9 + 0.2 * ((stays.inst * 37) % 11) / 10
    pay = score / 100 * _POINT[np.minimum(stays.level, 2)] * factor
    pay *= np.where(auxiliary, _SURCHARGE, 1.0)
    standard = np.where(group == UNGROUPED, 0, standards[cell])
    found = Dip(group, score, standard, np.rint(pay).astype(np.int64), auxiliary)
    return found, scores, standards


def _means(cell: Ints, value: Array, size: int) -> Array:
    count = np.maximum(np.bincount(cell, minlength=size), 1)
    return np.bincount(cell, weights=value, minlength=size) / count


@cache
def _keys() -> tuple[Ints, Ints]:
    """(sorted key of diagnosis and operations, index of the group it belongs to)."""
    groups = dip_groups()[1:]
    dx = {code: i for i, code in enumerate(r["code"] for r in rows("dip_dx4"))}
    place = {code: i for i, code in enumerate(oprn_codes())}
    keys = []
    for group in groups:
        main, _, related = group["oprn"].partition("+")
        keys.append(_key(dx[group["parent"]], place.get(main, -1), place.get(related, -1)))
    found = np.array(keys)
    order = np.argsort(found)
    return found[order], order + 1


def _key(dx: Array | int, main: Array | int, related: Array | int) -> Array | int:
    return (dx * _WIDE + main + 1) * _WIDE + related + 1


def _found(stays: Stays, done: Operations) -> Ints:
    """The group of each stay."""
    dx4 = {r["code"]: i for i, r in enumerate(rows("dip_dx4"))}
    coarse = np.array([dx4.get(code[:_DX4], 0) for code in dx_codes()])
    dx = coarse[read("stays").dx[stays.entry]]
    keys, group = _keys()
    wanted = np.asarray(_key(dx, done.main, done.related))
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[at] == wanted, group[at], UNGROUPED)


def dip_case_type(medfee: Ints, found: Dip) -> Ints:
    """Index into CASE_TYPES: low < .5 ×, high > 2 × the standard."""
    grade = np.where(medfee > 2 * found.std_fee, 1, np.where(2 * medfee < found.std_fee, 2, 0))
    return np.where(found.group == UNGROUPED, 3, grade)
