"""Encounters of one block of persons as one table: outpatient visits, pharmacy purchases, stays."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from synthetic.bureau.arrays import Array, Flags, Ints

VISIT, SHOP, STAY = 0, 1, 2
MED_TYPES = (
    "11", "13", "16", "140104", "140201", "1403", "51", "41",
    "21", "22", "24", "28", "52", "2106", "2107",
)  # fmt: skip
MED = {code: i for i, code in enumerate(MED_TYPES)}


@dataclass(frozen=True)
class Events:
    """One entry per encounter. Days are day numbers, seconds are of the day, `target` is in fen.

    `settle` is the day of the (closing) settlement; `dx` indexes the diagnosis list (-1: none),
    `regimen` the prescribing table, `stay` the block's stays (-1: none). `refill` is the days of
    supply of a planned refill (0: none).
    """

    person: Ints
    unit: Ints
    kind: Ints
    begin: Ints
    second: Ints
    end: Ints
    settle: Ints
    settle_second: Ints
    inst: Ints
    level: Ints
    place: Ints
    dx: Ints
    med: Ints
    regimen: Ints
    refill: Ints
    disease: Ints
    target: Ints
    stay: Ints
    refund: Flags
    mid: Flags
    manual: Flags

    def __len__(self) -> int:
        return len(self.person)

    def take(self, index: Array) -> Events:
        """The events at these positions (or under this mask)."""
        return Events(*(getattr(self, f.name)[index] for f in fields(self)))


def joined(parts: list[Events]) -> Events:
    """All parts as one table in order of person, begin and second."""
    names = [f.name for f in fields(Events)]
    whole = Events(*(np.concatenate([getattr(p, name) for p in parts]) for name in names))
    return whole.take(np.lexsort((whole.kind, whole.second, whole.begin, whole.person)))
