"""Designated institutions of the fictional city and of the places its insured travel to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthetic.bureau.arrays import Array, Flags, Ints, pick
from synthetic.bureau.settings import PHARMACIES, Run

TERTIARY, SECONDARY, PRIMARY, NONE = 0, 1, 2, 3
LOCAL, IN_PROVINCE, CROSS = 0, 1, 2
DEDC_LEVEL = ("3", "2", "1", "9")
_T = ("990111", "990112", "990111")
_S = ("990101", "990102", "990103", "990111", "990111", "990112", "990112", "990101")
_P = ("990101",) * 6 + ("990102",) * 5 + ("990103",) * 4 + ("990104",) + ("990111",) * 5
_AWAY = (
    *(("990200", level, IN_PROVINCE) for level in (0, 0, 1, 1, 3)),
    *(("980100", level, CROSS) for level in (0, 0, 0, 1, 1, 3)),
)
_PHARMACY_SEATS = ("990101", "990102", "990103", "990111", "990112", "990111")


@dataclass(frozen=True)
class Institutions:
    """One entry per institution; pharmacies have level NONE."""

    code: tuple[str, ...]
    name: tuple[str, ...]
    region: tuple[str, ...]
    level: Ints
    hosp_lv: tuple[str, ...]
    pharmacy: Flags
    place: Ints
    weight: Array

    def pool(self, level: int, place: int) -> Ints:
        """Indices of one level at one place (pharmacies: level NONE)."""
        return np.flatnonzero((self.level == level) & (self.place == place))

    def draw(self, rng: np.random.Generator, level: int, place: int, size: int) -> Ints:
        """Institutions of one level at one place, by their size."""
        found = self.pool(level, place)
        return found[pick(rng, self.weight[found], size)]

    def seats(self, level: int, county: str) -> Ints:
        """Local institutions of a level in a county, or all local ones if it has none."""
        found = self.pool(level, LOCAL)
        mine = found[np.array([self.region[i] == county for i in found])]
        return mine if len(mine) else found


def found(run: Run) -> Institutions:
    """The same places at every size; only the number of pharmacies grows."""
    rows: list[tuple[str, int, int]] = [(r, TERTIARY, LOCAL) for r in _T]
    rows += [(r, SECONDARY, LOCAL) for r in _S]
    rows += [(r, PRIMARY, LOCAL) for r in (*_P, "990112", "990112", "990112")]
    shops = PHARMACIES[run.size]
    rows += [(_PHARMACY_SEATS[i % len(_PHARMACY_SEATS)], NONE, LOCAL) for i in range(shops)]
    rows += list(_AWAY)
    codes, names, levels = [], [], []
    for number, (region, level, _) in enumerate(rows, start=1):
        letter = "P" if level == NONE else "H"
        codes.append(f"{letter}{region}{number:05d}")
        kind = ("三级医院", "二级医院", "卫生院", "药店")[level]
        names.append(f"测试{kind}{number:03d}")
        levels.append((("02", "03"), ("05", "06"), ("08", "09"), ("11", "11"))[level][number % 2])
    return Institutions(
        code=tuple(codes),
        name=tuple(names),
        region=tuple(r for r, _, _ in rows),
        level=np.array([level for _, level, _ in rows]),
        hosp_lv=tuple(levels),
        pharmacy=np.array([level == NONE for _, level, _ in rows]),
        place=np.array([place for _, _, place in rows]),
        weight=1.0 / (1 + 0.25 * (np.arange(len(rows)) % 7)),
    )
