"""Special uniques: rows that few of their values already tell from all others (SUDA).

A minimal sample unique (MSU) is a set of columns in which a row is unique while in none of its
subsets it is. A row's score is the sum over its MSUs of ∏ (ATT − i) for i from the MSU's size to M,
with ATT columns and MSUs of up to M of them (Elliot et al. 2005; sdcMicro `suda2`, the original
scores). sdcMicro's DIS-SUDA is not computed.
"""

from __future__ import annotations

from itertools import combinations
from math import prod

import numpy as np

from gateway.masking.risk.frequencies import Columns, Floats, classes, coded

MOST_COLUMNS = 12


def suda_scores(columns: Columns, largest: int = 3) -> Floats:
    """The score of every row, 0 for what is no special unique. At most 12 columns."""
    codes = coded(columns)
    rows, width = codes.shape
    if width > MOST_COLUMNS:
        raise ValueError(f"special uniques are looked for in at most {MOST_COLUMNS} columns")
    scores = np.zeros(rows)
    found: list[tuple[frozenset[int], np.ndarray[tuple[int], np.dtype[np.bool_]]]] = []
    for size in range(1, min(largest, width) + 1):
        worth = prod(width - i for i in range(size, min(largest, width - 1) + 1))
        for chosen in combinations(range(width), size):
            number = classes(codes[:, chosen])
            minimal = np.bincount(number)[number] == 1
            for smaller, unique in found:
                if smaller < frozenset(chosen):
                    minimal &= ~unique
            if minimal.any():
                found.append((frozenset(chosen), minimal))
                scores[minimal] += worth
    return scores
