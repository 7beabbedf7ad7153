"""Which quality figures the newest month of the releases in force misses."""

from __future__ import annotations

from gateway.quality.newest import newest_month

GOOD = {"completeness": 0.99, "consistency": 0.97, "timeliness": 5.0, "accuracy": 0.001}


def test_the_newest_month_of_any_release_is_told_with_what_it_misses() -> None:
    late = {**GOOD, "timeliness": 90.0, "accuracy": None, "note": "no audit"}
    told = newest_month([{"2024-12": GOOD, "2025Q1": GOOD}, {"2025-01": late}])
    assert told is not None
    assert told["period"] == "2025-01"
    assert told["measured"] == ["completeness", "consistency", "timeliness"]
    assert "timeliness" in told["missed"]
    assert "completeness" not in told["missed"]


def test_a_month_that_keeps_every_limit_misses_nothing() -> None:
    told = newest_month([{"2024-12": GOOD}])
    assert told == {"period": "2024-12", "measured": list(GOOD), "missed": []}


def test_nothing_measured_is_nothing_told() -> None:
    assert newest_month([]) is None
    assert newest_month([{"2025Q1": GOOD}]) is None
