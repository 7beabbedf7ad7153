"""The highest income an operator may earn in a year, and what happens when it earns more.

发改价格〔2025〕65号: income above the allowance is deducted in the next cycle. So what a year
allows is what was approved for it less what the year before earned too much.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

WARN_BP: Final = 8_000
ALARM_BP: Final = 9_500

Level: TypeAlias = Literal["ok", "warning", "alarm", "exceeded"]


@dataclass(frozen=True)
class YearState:
    """An operator's year in fen; `carried_fen` (not above 0) is the year before's excess."""

    year: int
    approved_fen: int
    carried_fen: int
    earned_fen: int

    @property
    def allowed_fen(self) -> int:
        """What may be earned this year."""
        return max(0, self.approved_fen + self.carried_fen)

    @property
    def left_fen(self) -> int:
        """What may still be earned; negative when too much was."""
        return self.approved_fen + self.carried_fen - self.earned_fen

    @property
    def level(self) -> Level:
        """How near the cap is: a warning at 80 %, an alarm at 95 %."""
        if self.left_fen < 0:
            return "exceeded"
        used = self.earned_fen * 10_000
        if used >= ALARM_BP * self.allowed_fen:
            return "alarm"
        return "warning" if used >= WARN_BP * self.allowed_fen else "ok"


def years(approved: Mapping[int, int], earned: Mapping[int, int]) -> tuple[YearState, ...]:
    """Every year from the first to the last known, what was too much carried into the next.

    A year nobody approved an income for allows none.
    """
    known = {*approved, *earned}
    states: list[YearState] = []
    carried = 0
    for year in range(min(known), max(known) + 1) if known else ():
        state = YearState(year, approved.get(year, 0), carried, earned.get(year, 0))
        states.append(state)
        carried = min(0, state.left_fen)
    return tuple(states)
