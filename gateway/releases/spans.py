"""Ranges of numbers as words, and which holds which: ten years of age are twice five.

Ranges are written as the dimension dictionary does: `20-24`, `85+`, `0`.
"""

from __future__ import annotations

import re

from gateway.releases.manifest import ReleaseError

_RANGE = re.compile(r"(\d+)(?:-(\d+)|(\+))?")


def is_range(text: str) -> bool:
    """Whether a value is written as a range."""
    return _RANGE.fullmatch(text) is not None


def contains(coarse: str, fine: str) -> bool:
    """Whether every number of the finer range is in the coarser one."""
    low, high = _ends(coarse)
    first, last = _ends(fine)
    return low <= first and last <= high


def _ends(text: str) -> tuple[int, float]:
    found = _RANGE.fullmatch(text)
    if found is None:
        raise ReleaseError(
            "range_unreadable",
            f"'{text}' is not a range like 20-24, 85+ or 0, so it cannot be part of another.",
            f"“{text}”不是形如 20-24、85+ 或 0 的区间。",
        )
    low, high, open_ = found.groups()
    return int(low), float("inf") if open_ else int(high or low)
