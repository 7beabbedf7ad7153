"""The counters of a process: what each event adds, and how many series there can be."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from gateway.metrics.meters import MOST_SERVICES, OTHER, QUOTAS, Meters


@pytest.fixture
def meters() -> Meters:
    return Meters(CollectorRegistry())


def value(meters: Meters, name: str, **labels: str) -> float:
    return meters.registry.get_sample_value(name, labels) or 0.0


def series(meters: Meters) -> int:
    return sum(len(family.samples) for family in meters.registry.collect())


def test_events_of_the_journal_add_up(meters: Meters) -> None:
    meters.committed(3, 0.002)
    meters.committed(2, 0.004)
    meters.lost(4)
    meters.shipped(5, duplicate=2, quarantined=1)
    for name, expected in {
        "acked": 5,
        "unacked": 4,
        "shipped": 5,
        "duplicate": 2,
        "quarantined": 1,
    }.items():
        assert value(meters, f"meter_events_{name}_total") == expected
    assert value(meters, "journal_commit_seconds_count") == 2
    assert value(meters, "journal_commit_seconds_sum") == pytest.approx(0.006)


def test_gauges_show_the_last_state_and_no_negative_age(meters: Meters) -> None:
    meters.spool(12, 3.5)
    meters.spool_mode(direct=True)
    meters.ready(now=True)
    assert value(meters, "spool_depth") == 12
    assert value(meters, "spool_oldest_seconds") == 3.5
    assert value(meters, "journal_direct") == value(meters, "gateway_ready") == 1
    meters.spool(0, -0.1)
    assert value(meters, "spool_oldest_seconds") == 0


@pytest.mark.parametrize(("code", "quota"), QUOTAS.items())
def test_a_used_up_quota_is_counted_by_kind(meters: Meters, code: str, quota: str) -> None:
    meters.called("S02", "refused", 0.001, (code, "D301"))
    assert value(meters, "gateway_quota_refusals_total", quota=quota) == 1
    assert value(meters, "gateway_denials_total", family="D8") == 1
    assert value(meters, "gateway_denials_total", family="D3") == 1


def test_a_code_of_no_family_and_a_strange_status_stay_in_the_closed_set(meters: Meters) -> None:
    meters.called("S02", "refused", 0.001, ("X999", "", "D6xx"))
    assert value(meters, "gateway_denials_total", family=OTHER) == 2
    assert value(meters, "gateway_denials_total", family="D6") == 1
    for status in (0, 99, 200, 204, 404, 503, 600, 999):
        meters.responded(status)
    found = {
        f"{digit}xx": value(meters, "gateway_http_responses_total", status=f"{digit}xx")
        for digit in range(10)
    }
    assert {name: count for name, count in found.items() if count} == {
        "1xx": 2,
        "2xx": 2,
        "4xx": 1,
        "5xx": 3,
    }


def test_however_many_names_come_the_series_are_few(meters: Meters) -> None:
    for number in range(MOST_SERVICES):
        meters.called(f"S{number:02d}", "answered", 0.001)
    full = series(meters)
    for number in range(1000):
        meters.called(f"slip-{number}", "answered", 0.001)
    more = series(meters)
    for number in range(1000, 5000):
        meters.called(f"slip-{number}", "answered", 0.001)
    assert series(meters) == more
    assert more - full < 40  # one service more: its outcome and its histogram
    assert value(meters, "gateway_metered_calls_total", service=OTHER, outcome="answered") == 5000
    assert value(meters, "gateway_metered_calls_total", service="S00", outcome="answered") == 1
