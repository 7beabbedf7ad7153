"""The figures of one serving process, under labels that nobody outside can widen.

Every process (node) has its own registry and its own `/metrics`, and Prometheus reads each: a port
is served by one process here, so there is nothing to merge. `prometheus_client.multiprocess` would
cost three times as much per count, leave files of dead processes and lose which node is behind.

A label is a word of this program (an outcome, a code's family) or a service of the catalogue. No
tenant, client, person or text of a request is ever one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, TypeAlias

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.process_collector import ProcessCollector

Outcome: TypeAlias = Literal["answered", "refused", "rejected", "failed"]
Lease: TypeAlias = Literal["granted", "short", "returned", "expired", "failed"]

OTHER: Final = "other"
MOST_SERVICES: Final = 64
"""Services that get a series of their own in the life of a process; more share `other`."""
FAMILIES: Final = frozenset(f"D{number}" for number in range(9))
QUOTAS: Final = {"D801": "rate", "D802": "calls", "D803": "cells", "D807": "credit"}
"""The deny codes that say a quota is used up, and which."""
CALL_SECONDS: Final = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
COMMIT_SECONDS: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5)


class Meters:
    """Counters, gauges and histograms; every method is safe from any thread."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self._declare_calls(registry)
        self._declare_events(registry)
        self._names: set[str] = set()
        # Looking a child up costs more than counting, so those of the hot path are kept.
        self._called: dict[tuple[str, Outcome], tuple[Counter, Histogram]] = {}
        self._by_status = [self._responses.labels(f"{digit}xx") for digit in range(1, 6)]

    def _declare_calls(self, registry: CollectorRegistry) -> None:
        self._calls = Counter(
            "gateway_metered_calls",
            "Questions to data services by outcome; answered and refused ones are on record.",
            ("service", "outcome"),
            registry=registry,
        )
        self._seconds = Histogram(
            "gateway_request_seconds",
            "Time from the last byte of a question to the last byte of its answer.",
            ("service",),
            buckets=CALL_SECONDS,
            registry=registry,
        )
        self._denials = Counter(
            "gateway_denials",
            "Reasons of refusals by family of deny code (D1 identity … D8 budget).",
            ("family",),
            registry=registry,
        )
        self._quotas = Counter(
            "gateway_quota_refusals",
            "Refusals because a quota is used up.",
            ("quota",),
            registry=registry,
        )
        self._responses = Counter(
            "gateway_http_responses",
            "Responses of every address by the first digit of their status.",
            ("status",),
            registry=registry,
        )
        self._shed = Counter(
            "gateway_shed_requests",
            "Requests turned away because their sender has all its places of a class of work.",
            ("kind",),
            registry=registry,
        )
        self._ready = Gauge(
            "gateway_ready", "1 while this process could answer a question.", registry=registry
        )

    def _declare_events(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str) -> Counter:
            return Counter(f"meter_events_{name}", text, registry=registry)

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(name, text, registry=registry)

        self._acked = counter("acked", "Entries made durable before their answer left.")
        self._unacked = counter("unacked", "Entries that could not be made durable: refused.")
        self._shipped = counter("shipped", "Entries copied to the central store.")
        self._duplicate = counter("duplicate", "Entries that were in the central store already.")
        self._quarantined = counter("quarantined", "Entries whose id stands for another payload.")
        self._commit = Histogram(
            "journal_commit_seconds",
            "Time to make one batch durable.",
            buckets=COMMIT_SECONDS,
            registry=registry,
        )
        self._depth = gauge("spool_depth", "Entries that wait to be shipped.")
        self._oldest = gauge("spool_oldest_seconds", "Age of the oldest of them.")
        self._direct = gauge("journal_direct", "1 while entries go to the central store at once.")
        self._anchored = gauge("audit_anchored", "1 while the anchor has every checkpoint.")
        self._counted = Gauge(
            "journal_counted",
            "1 while this node knows all it has used; else it limits by refusing.",
            registry=registry,
        )
        self._counted.set(1)
        self._leases = Counter(
            "quota_store_operations",
            "Operations on the shared store of quotas by outcome.",
            ("outcome",),
            registry=registry,
        )

    def called(
        self, service: str, outcome: Outcome, seconds: float, deny: Iterable[str] = ()
    ) -> None:
        """One question is done with. `service`: a name of the catalogue, or `OTHER`."""
        calls, times = self._called.get((service, outcome)) or self._children(service, outcome)
        calls.inc()
        times.observe(seconds)
        for code in deny:
            family = code[:2]
            self._denials.labels(family if family in FAMILIES else OTHER).inc()
            if code in QUOTAS:
                self._quotas.labels(QUOTAS[code]).inc()

    def responded(self, status: int) -> None:
        """A response began, at whatever address."""
        self._by_status[min(max(status // 100, 1), 5) - 1].inc()

    def shed(self, kind: str) -> None:
        """A request was turned away; `kind`: a class of work, a word of this program."""
        self._shed.labels(kind).inc()

    def ready(self, now: bool) -> None:
        """Whether a question could be answered now."""
        self._ready.set(now)

    def committed(self, entries: int, seconds: float) -> None:
        """A batch is durable."""
        self._acked.inc(entries)
        self._commit.observe(seconds)

    def lost(self, entries: int) -> None:
        """Entries were refused because they could not be made durable; their answers never left."""
        self._unacked.inc(entries)

    def shipped(self, new: int, duplicate: int = 0, quarantined: int = 0) -> None:
        """A batch is in the central store."""
        self._shipped.inc(new)
        self._duplicate.inc(duplicate)
        self._quarantined.inc(quarantined)

    def spool(self, depth: int, oldest_seconds: float) -> None:
        """What waits in the spool; nothing: 0 and 0."""
        self._depth.set(depth)
        self._oldest.set(max(0.0, oldest_seconds))

    def anchored(self, reached: bool) -> None:
        """Whether the audit anchor has every checkpoint."""
        self._anchored.set(reached)

    def spool_mode(self, direct: bool) -> None:
        """Whether entries go to the central store at once, and not into the spool."""
        self._direct.set(direct)

    def counted(self, complete: bool) -> None:
        """Whether the counters have everything this node has used."""
        self._counted.set(complete)

    def lease(self, outcome: Lease) -> None:
        """One operation on the shared store of quotas."""
        self._leases.labels(outcome).inc()

    def _children(self, service: str, outcome: Outcome) -> tuple[Counter, Histogram]:
        """The series of a service while there are few: a slip elsewhere must not let a stranger
        make new ones."""
        name = service
        if service not in self._names:
            name = service if len(self._names) < MOST_SERVICES else OTHER
            self._names.add(name)
        found = self._calls.labels(name, outcome), self._seconds.labels(name)
        if name == service:
            self._called[service, outcome] = found
        return found


def _own() -> Meters:
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    return Meters(registry)


meters: Final = _own()
"""The figures of this process."""
