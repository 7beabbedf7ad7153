"""PT5 read back through S15: a programme's effect lies in the interval, and none where is none."""

from __future__ import annotations

import duckdb
import pytest

from tests.outcome_study import read, study

PROGRAMME, PLACEBO = "HTN-990102", "HTN-990102.placebo"


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_pt5_intervals_cover_what_was_planted_and_nothing_where_nothing_was(
    city: duckdb.DuckDBPyConnection,
) -> None:
    found = {key: read(panel) for key, (_, panel) in study(city).items()}
    stays, visits, cost = (
        found[PROGRAMME, outcome, "effect"] for outcome in ("stays", "op_visits", "cost")
    )
    assert min(stays.sets, stays.comparators) >= 50
    assert stays.covers(-0.10)
    assert visits.covers(0.6)
    assert cost.share_low is not None
    assert cost.share_high is not None
    assert cost.share_low <= -6 <= cost.share_high
    for outcome in ("stays", "op_visits", "cost"):
        assert found[PLACEBO, outcome, "effect"].covers(0), outcome
        before = found[PROGRAMME, outcome, "pretrend"]
        assert abs(before.value) < 3 * before.error, outcome
    large = visits.error < 0.2  # a city of 200 000 tells both from nothing
    assert visits.low > 0 or not large
    assert stays.high < 0 or not large
