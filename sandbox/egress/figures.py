"""Digits of a figure, as it is written."""

from __future__ import annotations

from decimal import Decimal


def digits(value: float) -> int:
    """Significant digits of the shortest text that reads as the value; of a whole number, those
    before its last noughts."""
    if value != value or value in {float("inf"), float("-inf")}:  # noqa: PLR0124  # NaN
        return 0
    written = Decimal(repr(value)).normalize().as_tuple()
    return len(written.digits)
