"""Which diagnosis: weighted lists by age and sex for stays and for outpatient visits."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache

import numpy as np

from synthetic.bureau.arrays import Array, Flags, Ints, Reals
from synthetic.bureau.settings import HERE
from synthetic.warehouse.codes import rows


@cache
def dx_codes() -> tuple[str, ...]:
    """All diagnosis codes; an index into this tuple is how the simulator names a diagnosis."""
    return tuple(r["code"] for r in rows("dx"))


@cache
def dx_names() -> tuple[str, ...]:
    """Names beside `dx_codes`."""
    return tuple(r["title_zh"] for r in rows("dx"))


@cache
def dx_index() -> dict[str, int]:
    """Code → index."""
    return {code: i for i, code in enumerate(dx_codes())}


@dataclass(frozen=True)
class DxTable:
    """A weighted list; `cumulated[sex, age]` are running weights over its entries."""

    entry: tuple[dict[str, str], ...]
    dx: Ints
    cumulated: Reals

    def draw(self, rng: np.random.Generator, female: Flags, age: Ints) -> Ints:
        """One entry per person by sex and age, grouped so that each stratum is one search."""
        stratum = female * 100 + np.minimum(age, 99)
        chance = rng.random(len(age))
        order = np.argsort(stratum, kind="stable")
        bounds = np.searchsorted(stratum[order], np.arange(201))
        out = np.zeros(len(age), dtype=np.int64)
        for s in np.flatnonzero(np.diff(bounds)):
            mine = order[bounds[s] : bounds[s + 1]]
            running = self.cumulated[s // 100, s % 100]
            out[mine] = np.searchsorted(running, chance[mine] * running[-1], side="right")
        return out


def read(name: str) -> DxTable:
    """Read `stays.csv` or `outpatient.csv`: weight, age ranges, share of women."""
    with (HERE / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        entry = tuple(csv.DictReader(file))
    weight = np.zeros((2, 100, len(entry)))
    for i, row in enumerate(entry):
        women = float(row["female"])
        for span in row["ages"].split(";"):
            low, high = (int(x) for x in span.split("-"))
            weight[:, low : high + 1, i] = float(row["weight"])
        weight[0, :, i] *= 2 * (1 - women)
        weight[1, :, i] *= 2 * women
    dx = np.array([dx_index()[row["code"]] for row in entry])
    return DxTable(entry, dx, np.cumsum(weight, axis=2))


def column(table: DxTable, name: str) -> Array:
    """A numeric column of the list."""
    return np.array([float(row[name]) for row in table.entry])
