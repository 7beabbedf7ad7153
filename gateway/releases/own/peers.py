"""What an institution is told of its peers: one figure that is the same for all who are told it.

Each institution is left out of the set it is compared with, so each set is another, and two
institutions who pooled their answers could subtract. Therefore a quantile is rounded to the finest
step at which the quantiles of all these sets are one figure. Whoever is told it, alone or with all
the others, is told the same: there is nothing to subtract. Where no useful step does it, or where
any of the sets is too small or dominated by one, nobody is told anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

_LADDER = (Decimal(1), Decimal(2), Decimal(5))
_DIGITS = 3
_WINDOW = 3
_COARSEST = 5  # steps that a figure has at least: it lies within a tenth of each set's quantile


@dataclass(frozen=True)
class Guard:
    """What a set of peers must have, and how fine a figure of it may be."""

    institutions: int
    persons: int
    top1: Decimal
    digits: int = _DIGITS
    window: int = _WINDOW

    @classmethod
    def of(cls, profile: Mapping[str, Any]) -> Guard | None:  # a profile as the policy merged it
        """By the profile; one that says nothing of peers lets nobody be compared."""
        if not {"peer_min_institutions", "peer_k_person", "peer_top1_share_max"} <= profile.keys():
            return None
        return cls(
            int(profile["peer_min_institutions"]),
            int(profile["peer_k_person"]),
            Decimal(str(profile["peer_top1_share_max"])),
            int(profile.get("amount_sig_digits", _DIGITS)),
        )


@dataclass(frozen=True)
class Member:
    """One institution of a cell: its figure, its own persons, and the amount it stands for."""

    figure: Decimal
    persons: int
    magnitude: Decimal


def benchmark(members: Sequence[Member], p: int, guard: Guard) -> Decimal | None:
    """The figure that every member is told of the others; None where none may be."""
    if not all(_safe(others, guard) for others in _others(members)):
        return None
    told = [quantile([m.figure for m in others], p, guard.window) for others in _others(members)]
    return _common(told, guard.digits) if told else None


def quantile(figures: Sequence[Decimal], p: int, window: int) -> Decimal:
    """The mean of the order statistics around the p-th percentile, `window` of them."""
    ordered = sorted(figures)
    width = min(window, len(ordered))
    nearest = (len(ordered) - 1) * p // 100
    if (len(ordered) - 1) * p % 100 * 2 >= 100:
        nearest += 1
    first = min(max(0, nearest - width // 2), len(ordered) - width)
    return sum(ordered[first : first + width], Decimal(0)) / width


def band(own: Decimal, told: Mapping[int, Decimal]) -> str | None:
    """Between which of the quantiles told, by their percents, a figure lies: above the lower one,
    not above the upper one, as `p25_p50`; `p0` and `p100` are the ends. None where none is told.

    It is made of the figure and of what is told to all alike, so nobody learns more by it.
    """
    if not told:
        return None
    lower = max((p for p, figure in told.items() if own > figure), default=0)
    upper = min((p for p, figure in told.items() if p > lower and own <= figure), default=100)
    return f"p{lower}_p{upper}"


def _others(members: Sequence[Member]) -> Iterator[Sequence[Member]]:
    """What each member is compared with: all but itself."""
    return ([*members[:i], *members[i + 1 :]] for i in range(len(members)))


def _safe(others: Sequence[Member], guard: Guard) -> bool:
    """Whether a set is large enough and nobody dominates it."""
    amounts = [member.magnitude for member in others]
    whole = sum(amounts, Decimal(0))
    return (
        len(others) >= guard.institutions
        and sum(member.persons for member in others) >= guard.persons
        and whole > 0
        and max(amounts) <= guard.top1 * whole
    )


def _common(figures: Sequence[Decimal], digits: int) -> Decimal | None:
    """The one figure that all of them are when rounded to the finest step that makes them one."""
    largest = max(abs(figure) for figure in figures)
    if not largest:
        return Decimal(0)
    for step in _steps(largest.adjusted() - digits + 1):
        rounded = {(figure / step).to_integral_value() for figure in figures}
        if len(rounded) == 1:
            (only,) = rounded
            return (only * step) if abs(only) >= _COARSEST else None
        if step * _COARSEST > largest:
            return None
    raise AssertionError("the ladder has no end")


def _steps(exponent: int) -> Iterator[Decimal]:
    """1, 2, 5, 10, 20, … times a power of ten."""
    while True:
        yield from (step.scaleb(exponent) for step in _LADDER)
        exponent += 1
