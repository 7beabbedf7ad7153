"""What a release build needs of an engine: facts written down season by season.

Whatever runs the SQL, the rows are the same: whole numbers, keys as text, one row per key. All that
follows, from counting to disclosure control, reads only these files.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Protocol

from gateway.catalogue.model import Grain
from gateway.releases.source import Query

_QUARTERS = (("03", "Q1"), ("06", "Q2"), ("09", "Q3"))
_FIRST = ("psn_no", "period_m")
"""What rows are ordered by first: who is read together is packed together."""


class Engine(Protocol):
    """Runs facts over one version of the warehouse."""

    @property
    def name(self) -> str:
        """Which engine, in which version: files of another are not taken for its own."""

    def write(self, name: str, query: Query, whole: str, season: str, folder: Path) -> None:
        """Write a fact as `season=<label>/*.parquet`, the files and the rows in them `in_order`.

        `name` is for messages, `whole` its SQL over nothing but tables, `season` the expression of
        the label.
        """


def in_order(query: Query, sql: str, season: str) -> str:
    """The statement of a fact's rows by season, in an order that the rows alone decide.

    By all keys, and all numbers where a key may have many rows: the same on every engine.
    """
    rows = replace(query, sql=sql).statement(f"coalesce({season}, '')")
    return f"SELECT * FROM ({rows}) AS fact ORDER BY season, {ordering(query)}"


def ordering(query: Query) -> str:
    """What the rows of a season are ordered by."""
    names = (*_FIRST, *query.names, *(query.numbers if query.each else ()))
    return ", ".join(f'"{name}" NULLS LAST' for name in dict.fromkeys(names))


def season_of_month(grain: Grain) -> str:
    """SQL that gives the season, as long as the grain, of the column `period_m`."""
    year, month = "left(period_m, 4)", "right(period_m, 2)"
    if grain is Grain.MONTH:
        return "period_m"
    if grain is Grain.YEAR:
        return year
    cases = " ".join(f"WHEN {month} <= '{last}' THEN '{name}'" for last, name in _QUARTERS)
    return f"{year} || CASE {cases} ELSE 'Q4' END"
