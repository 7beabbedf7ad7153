"""What answers to two tenants have in common: everything but the marks in their amounts.

An amount is moved by at most one unit of its fourth digit, so two tenants' differ by two at most;
figures made of amounts follow. Counts, flags, rows and what is hidden are the same for all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

FOLLOWING = Decimal("0.0045")  # a quotient of two marked amounts
LAST_DECIMAL = Decimal("0.00011")


def alike(ours: Sequence[Mapping[str, Any]], theirs: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the rows, in this order, differ in nothing but marks."""
    return len(ours) == len(theirs) and all(
        one.keys() == other.keys() and all(_cell(one[name], other[name]) for name in one)
        for one, other in zip(ours, theirs, strict=True)
    )


def _cell(one: Any, other: Any) -> bool:  # a dim's value or a `{value, flag}` cell
    if not isinstance(one, Mapping) or not isinstance(other, Mapping):
        return bool(one == other)
    return bool(one["flag"] == other["flag"]) and _value(one["value"], other["value"])


def _value(one: Any, other: Any) -> bool:  # a JSON value
    if one == other:
        return True
    if None in (one, other) or type(one) is not type(other) or isinstance(one, int):
        return False
    a, b = Decimal(str(one)), Decimal(str(other))
    if isinstance(one, str):
        return abs(a - b) <= FOLLOWING * max(abs(a), abs(b)) + Decimal("0.02")
    return abs(a - b) <= FOLLOWING * max(abs(a), abs(b)) + LAST_DECIMAL
