"""Who made an answer possible, and what part of its price is due to them (SPEC §7.2).

Everything is counted in whole numbers: a provider's share of a cell's persons in billionths, its
quality factor in hundred-thousandths. So sums do not depend on order, on how the cells were cut
into batches, or on the engine that adds them; fen are made once, by `metering.allotment`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from metering.allotment import allot

SHARE_ONE: Final = 1_000_000_000
"""The whole of a cell's contributing persons."""
QUALITY_ONE: Final = 10_000
"""The mean quality of a period's providers; 1.2 of it is the most that counts."""
QUALITY_MOST: Final = 12_000
PUBLIC_INTEREST_BP: Final = 1_000
"""Default part of the public-interest fund, in hundredths of a per cent of the net fees."""


class SharingError(ValueError):
    """Weights or deductions that cannot be: more than the whole, or out of their range."""


@dataclass(frozen=True)
class Quality:
    """A provider in one period: quality relative to the mean, and whether it delivered in time."""

    q: int = QUALITY_ONE
    timely: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.q <= QUALITY_MOST:
            raise SharingError("quality lies between 0 and 1.2 of the mean")


MEAN: Final = Quality()
"""Of whom nothing is known: neither better nor worse than the others."""


@dataclass(frozen=True)
class Contribution:
    """One provider's part in delivered cells, in billionths of a cell.

    `share`: of the contributing persons; `even`: what the cells' Shapley values give it, where the
    strategy asks for them. Parts of cells that agree in all else may be one contribution, with
    their sums. `times`: how often these cells were charged for. `quality`: of the period the cells
    tell of, not of the month they were asked in.
    """

    provider: str
    share: int
    unique: bool = False
    times: int = 1
    even: int = 0
    quality: Quality = MEAN

    def __post_init__(self) -> None:
        if min(self.share, self.times, self.even) < 0:
            raise SharingError("nobody's part is less than nothing")


Strategy: TypeAlias = Literal["contribution", "rows_only", "equal", "shapley", "shapley_joint"]
Weigher: TypeAlias = Callable[[Contribution], int]


def factor(quality: Quality, *, unique: bool) -> int:
    """0.5 + 0.3·Q + 0.1·U + 0.1·T in hundred-thousandths; T is one half when late."""
    return 50_000 + 3 * quality.q + (10_000 if unique else 0) + (10_000 if quality.timely else 5000)


def _contribution(part: Contribution) -> int:
    return part.share * part.times * factor(part.quality, unique=part.unique)


def _rows_only(part: Contribution) -> int:
    return part.share * part.times


def _equal(part: Contribution) -> int:
    return 1 if part.share * part.times else 0


def _shapley(part: Contribution) -> int:
    return part.even * part.times


WEIGHERS: Final[Mapping[Strategy, Weigher]] = {
    "contribution": _contribution,
    "rows_only": _rows_only,
    "equal": _equal,
    "shapley": _shapley,
    "shapley_joint": _shapley,
}
"""The two by Shapley differ in the game that gave `even`: see `gateway.billing.parts`."""


def weigh(parts: Iterable[Contribution], strategy: Strategy = "contribution") -> dict[str, int]:
    """Each provider's weight over all delivered cells."""
    weigher, sums = WEIGHERS[strategy], dict[str, int]()
    for part in parts:
        one = weigher(part)
        known = sums.get(part.provider, 0)
        sums[part.provider] = max(known, one) if strategy == "equal" else known + one
    return sums


@dataclass(frozen=True)
class Deductions:
    """What comes off the fees of a service-month before providers share the rest, in fen.

    `operator_fen` is the approved cost share; `public_interest_bp` is of the fees less tax.
    """

    tax_fen: int = 0
    operator_fen: int = 0
    public_interest_bp: int = PUBLIC_INTEREST_BP

    def __post_init__(self) -> None:
        if min(self.tax_fen, self.operator_fen) < 0 or not 0 <= self.public_interest_bp <= 10_000:
            raise SharingError("a deduction is a part of the fees, none below zero")


@dataclass(frozen=True)
class Split:
    """Fees of a service-month divided to the fen: the parts add up to `fees_fen`."""

    fees_fen: int
    tax_fen: int
    operator_fen: int
    public_interest_fen: int
    providers: Mapping[str, int]

    @property
    def pool_fen(self) -> int:
        """What the providers share."""
        return sum(self.providers.values())


def split(
    fees_fen: int, deductions: Deductions, weights: Mapping[str, int], *, bureau: str
) -> Split:
    """Divide the fees. Where no cell was delivered from anybody (a minimum fee, for instance), the
    pool goes to `bureau`, the data office itself."""
    if fees_fen < 0:
        raise SharingError("credits are divided as the entries they correct were")
    net = fees_fen - deductions.tax_fen
    public = net * deductions.public_interest_bp // 10_000
    # The operator is paid out of what is left, never more: providers are never asked to pay in.
    operator = min(deductions.operator_fen, net - public)
    if net < 0:
        raise SharingError("the tax is more than the fees")
    pool = net - public - operator
    named = weights if any(weights.values()) else {bureau: 1}
    return Split(fees_fen, deductions.tax_fen, operator, public, allot(pool, named))
