"""S15's cohorts as its own SQL finds them in a warehouse, and the figures of one comparison."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import duckdb
import numpy as np

from gateway.catalogue.load import load_catalogue
from gateway.releases.engine.sql import Library, written
from gateway.releases.studies.effect import (
    Panel,
    difference,
    interval,
    matched_sets,
    relative,
    relative_interval,
    resampled,
)
from tests.policy_factory import POLICIES

SCALE = 10**7  # decimals of the fact's outcomes
Key = tuple[str, str, str]
"""Programme, outcome and time window."""


def study(warehouse: duckdb.DuckDBPyConnection) -> dict[Key, tuple[list[str], Panel]]:
    """Every comparison with the numbers of its persons, read by the contract's own statement."""
    catalogue = load_catalogue(POLICIES)
    service = catalogue.services["S15"]
    library = Library.of(catalogue.rollups_sql(service))
    statement = written(library.expanded("cohort", catalogue.fact_sql(service, "cohort")))
    rows = warehouse.execute(
        "SELECT programme, outcome, time_window, psn_no, set_no, treated, "
        f"CAST(before * {SCALE} AS BIGINT), CAST(after * {SCALE} AS BIGINT) "
        f"FROM ({statement}) ORDER BY ALL"
    ).fetchall()
    found: dict[Key, list[tuple[str, int, int, int, int]]] = {}
    for programme, outcome, window, *values in rows:
        found.setdefault((programme, outcome, window), []).append(tuple(values))
    return {key: _panel(own) for key, own in found.items()}


def _panel(rows: list[tuple[str, int, int, int, int]]) -> tuple[list[str], Panel]:
    who, *columns = zip(*rows, strict=True)
    set_no, treated, before, after = (np.array(column, np.int64) for column in columns)
    return list(who), Panel(set_no, treated > 0, before, after)


@dataclass(frozen=True)
class Read:
    """An effect with its 95 % interval, absolute and in per cent of what would have been."""

    sets: int
    comparators: int
    value: float
    error: float
    low: float
    high: float
    share: float | None
    share_low: float | None
    share_high: float | None

    def covers(self, value: float) -> bool:
        return self.low <= value <= self.high


def read(panel: Panel) -> Read:
    """What a release rounds, before it does."""
    sets = matched_sets(panel)
    drawn = resampled(sets, 1999, 2026)
    whole, share, ends = difference(sets), relative(sets), relative_interval(drawn)
    low, high = interval(drawn, sets)
    return Read(
        len(sets),
        int(sets.comparators.sum()),
        whole.value / SCALE,
        whole.error / SCALE,
        low / SCALE,
        high / SCALE,
        None if share is None else 100 * share.value,
        None if ends is None else 100 * ends[0],
        None if ends is None else 100 * ends[1],
    )


def persons(who: list[str], panel: Panel) -> Iterator[tuple[str, bool]]:
    """Who is compared, and on which side."""
    return zip(who, panel.treated.tolist(), strict=True)
