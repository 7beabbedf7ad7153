"""How far a figure of a simulated city may lie from what the specification asks, by sampling error.

A figure is a ratio of two sums over persons. Persons fall into fifty groups; what the ratio does
when each group is left out in turn (jackknife) is its sampling error in a city of that size.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import duckdb
import numpy as np
import numpy.typing as npt

Sums: TypeAlias = npt.NDArray[np.float64]
Chance: TypeAlias = Literal["none", "events", "persons"]
_GROUPS = 50
_ERRORS = 3  # of a tolerance that sampling widens
GROUP = f"hash(psn_no) % {_GROUPS}"


@dataclass(frozen=True)
class Found:
    """A figure as found; `events` is its numerator, `error` what choosing the persons explains."""

    value: float
    events: float
    error: float


@dataclass(frozen=True)
class Wanted:
    """A figure as specified, and what chance may add to its tolerance.

    With `none` the simulator scales what happened to the figure, so that every size must hold it;
    with `events` it scales what is expected, so that numbers of events scatter (Poisson); with
    `persons` it scales nothing, so that all depends on who lives in the city.
    """

    value: float
    within: float
    chance: Chance = "none"

    def allows(self, found: Found) -> float:
        """How far the figure may lie from the wanted one."""
        by_chance = {
            "none": 0.0,
            "events": found.value / np.sqrt(max(found.events, 1.0)),
            "persons": found.error,
        }
        return max(self.within, _ERRORS * float(by_chance[self.chance]))


def mean(value: float, chance: Chance = "none") -> Wanted:
    """A mean of the bulletins: ±2 % (SPEC 3.14)."""
    return Wanted(value, 0.02 * value, chance)


def ratio(value: float, chance: Chance = "none") -> Wanted:
    """A ratio of the bulletins: ±1 point (SPEC 3.14)."""
    return Wanted(value, 0.01, chance)


def about(value: float, within: float) -> Wanted:
    """An assumption of the specification ([A] there, without a tolerance: this one is ours)."""
    return Wanted(value, within, "persons")


def jackknife(groups: Sums, figure: Callable[[Sums], float]) -> Found:
    """The figure over all groups, and its error from leaving out one group after the other."""
    total, n = groups.sum(axis=0), len(groups)
    left = np.array([figure(total - group) for group in groups])
    error = np.sqrt((n - 1) / n * ((left - left.mean()) ** 2).sum())
    return Found(figure(total), float(total[0]), float(error))


def ratios(sql: duckdb.DuckDBPyConnection, query: str) -> dict[str, Found]:
    """Each key's Σ numerator ÷ Σ denominator; rows are (key, group, numerator, denominator)."""
    sums: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for key, _, above, below in sql.execute(query).fetchall():
        sums[str(key)].append((float(above or 0), float(below or 0)))
    return {
        key: jackknife(np.array(rows), lambda s: float(s[0] / s[1])) for key, rows in sums.items()
    }


def correlation(sql: duckdb.DuckDBPyConnection, query: str) -> Found:
    """Correlation of two columns; rows of the query are (g, x, y)."""
    rows = sql.execute(
        f"SELECT count(*), sum(x), sum(y), sum(x * x), sum(y * y), sum(x * y) FROM ({query}) "
        "GROUP BY g"
    ).fetchall()

    def figure(s: Sums) -> float:
        n, x, y, xx, yy, xy = s
        spread = (xx / n - (x / n) ** 2) * (yy / n - (y / n) ** 2)
        return float((xy / n - x * y / n**2) / np.sqrt(spread))

    return jackknife(np.array(rows, dtype=np.float64), figure)


def top_share(sql: duckdb.DuckDBPyConnection, query: str, share: float) -> Found:
    """Part of the whole that the share of persons with most has; rows are (group, amount)."""
    rows = np.array(sql.execute(query).fetchall(), dtype=np.float64)
    rows = rows[np.argsort(-rows[:, 1])]

    def figure(amounts: Sums) -> float:
        return float(amounts[: round(share * len(amounts))].sum() / amounts.sum())

    left = np.array([figure(rows[rows[:, 0] != group, 1]) for group in range(_GROUPS)])
    error = np.sqrt((_GROUPS - 1) / _GROUPS * ((left - left.mean()) ** 2).sum())
    return Found(figure(rows[:, 1]), float(len(rows)), float(error))


def astray(found: dict[str, Found], wanted: dict[str, Wanted]) -> list[str]:
    """A line for each wanted figure that is too far off, or is none."""
    far = []
    for key, figure in wanted.items():
        value, most = found[key].value, figure.allows(found[key])
        if not abs(value - figure.value) <= most:
            far.append(f"{key}: {value:.4f}, wanted {figure.value:.4f} ± {most:.4f}")
    return far
