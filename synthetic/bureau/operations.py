"""What is done during stays: a main operation and, for some, a related one, by case group.

The few transplants, bypasses and amputations lie outside the surgical groups: they are rare enough
not to move a group's costs, and morbidity tables look for them by procedure.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache

import numpy as np

from synthetic.bureau.arrays import Array, Ints, stream
from synthetic.bureau.diagnoses import read
from synthetic.bureau.settings import HERE, Run
from synthetic.bureau.stays import Stays
from synthetic.warehouse.codes import rows

NOTHING = -1


@dataclass(frozen=True)
class Operations:
    """One entry per stay: indices into `oprn_codes`, NOTHING where none was done."""

    main: Ints
    related: Ints

    def take(self, index: Array) -> Operations:
        """The entries at these positions."""
        return Operations(self.main[index], self.related[index])


@cache
def oprn_codes() -> tuple[str, ...]:
    """All operation codes; an index into this tuple is how the simulator names an operation."""
    return tuple(r["code"] for r in rows("oprn"))


@cache
def _plan() -> tuple[dict[str, str], ...]:
    with (HERE / "operations.csv").open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))


def operate(run: Run, stays: Stays) -> Operations:
    """Draw what is done in every stay; alternatives of a case group exclude each other."""
    rng = stream(run.seed, "operations", run.cohort)
    n = len(stays.person)
    chance, second = rng.random(n), rng.random(n)
    main, related = np.full(n, NOTHING), np.full(n, NOTHING)
    reached = np.zeros(n)
    for row in _plan():
        fits = np.array([_fits(row, entry) for entry in read("stays").entry])[stays.entry]
        limit = reached + fits * float(row["share"])
        mine = fits & (chance >= reached) & (chance < limit)
        main[mine] = oprn_codes().index(row["code"])
        if row["related"]:
            related[mine & (second < float(row["with"]))] = oprn_codes().index(row["related"])
        reached = limit
    return Operations(main, related)


def _fits(row: dict[str, str], entry: dict[str, str]) -> bool:
    return entry["adrg"] == row["adrg"] and entry["code"].startswith(row["dx"])
