"""What a look at the books and journals found, for node-exporter's textfile collector.

These figures belong to no serving process: a command looks, writes them and ends. Each begins
without a value, so that what could not be looked at is missing and not nought.
"""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

PARTS: Final = ("reconciliation", "ledger", "months", "rollup", "spools")
"""What is looked at, each for itself."""
_GAUGES: Final = {
    "reconciliation_difference": "Differences between answers, decisions, usage and audit.",
    "ledger_imbalance": "Sum of all accounts in fen; must be 0.",
    "ledger_faults": "Entries that do not add up or whose chain does not hold.",
    "billing_unclosed_days": "Days since the end of the oldest month that is not closed.",
    "billing_disputes_held": "Disputes that wait for a decision.",
    "revenue_cap_used_ratio": "This year's income as a part of what is allowed.",
    "watermark_lag_seconds": "How far the roll-up's watermark is behind now.",
    "rollup_open_hours": "Hours that may still get events that are not late.",
    "spool_unshipped": "Entries of this home's journals that the central store lacks.",
    "spool_orphans": "Journals with such entries that no process holds.",
    "journal_quarantine": "Entries in quarantine: one id, two payloads.",
}


class _Counted(Collector):
    """A counter whose value stands in a store, not in this process."""

    def __init__(self, name: str, text: str) -> None:
        self.name, self.text = name, text
        self.value: int | None = None

    def collect(self) -> list[CounterMetricFamily]:
        known = [] if self.value is None else [self.value]
        return [CounterMetricFamily(self.name, self.text, value=one) for one in known]

    def describe(self) -> list[CounterMetricFamily]:
        return [CounterMetricFamily(self.name, self.text)]


class Findings:
    """The figures of one look."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self._late = _Counted("meter_events_late", "Events that came after their hour was closed.")
        registry.register(self._late)
        self._failed = Gauge(
            "meter_check_failed",
            "1 where a part could not be looked at.",
            ("part",),
            registry=registry,
        )
        self._at = Gauge("meter_checked_timestamp_seconds", "When it was.", registry=registry)

    def found(self, name: str, value: float) -> None:
        """One figure; `name` is one of those declared here."""
        Gauge(name, _GAUGES[name], registry=self.registry).set(value)

    def late(self, events: int) -> None:
        """Events that came late so far."""
        self._late.value = events

    def looked(self, part: str, *, failed: bool) -> None:
        """A part was looked at, or could not be."""
        if part not in PARTS:
            raise ValueError(f"{part} is no part of the look")
        self._failed.labels(part).set(failed)

    def done(self, timestamp: float) -> None:
        """The look is over."""
        self._at.set(timestamp)


def names() -> frozenset[str]:
    """Every metric a look can tell."""
    own = {"meter_events_late_total", "meter_check_failed", "meter_checked_timestamp_seconds"}
    return frozenset(own | _GAUGES.keys())
