"""What a release build needs of an engine: facts written down season by season.

Whatever runs the SQL, the rows are the same: whole numbers, keys as text, one row per key. All that
follows, from counting to disclosure control, reads only these files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from gateway.catalogue.model import Grain
from gateway.releases.source import Query

_QUARTERS = (("03", "Q1"), ("06", "Q2"), ("09", "Q3"))


class Engine(Protocol):
    """Runs facts over one version of the warehouse."""

    @property
    def name(self) -> str:
        """Which engine, in which version: files of another are not taken for its own."""

    def write(self, query: Query, whole: str, season: str, folder: Path) -> None:
        """Write a fact as `season=<label>/*.parquet`, in an order that its rows alone decide.

        `whole` is its SQL over nothing but tables, `season` the expression of the label.
        """


def season_of_month(grain: Grain) -> str:
    """SQL that gives the season, as long as the grain, of the column `period_m`."""
    year, month = "left(period_m, 4)", "right(period_m, 2)"
    if grain is Grain.MONTH:
        return "period_m"
    if grain is Grain.YEAR:
        return year
    cases = " ".join(f"WHEN {month} <= '{last}' THEN '{name}'" for last, name in _QUARTERS)
    return f"{year} || CASE {cases} ELSE 'Q4' END"
