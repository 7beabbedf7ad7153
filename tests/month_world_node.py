"""A gateway process in a simulated month: the product's journal and counters, and a wrong clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache

from gateway.journal.charges import Claim
from gateway.journal.counters import Hold
from gateway.journal.entry import Entry
from gateway.journal.stamp import Stamp
from gateway.quota.leases import Leases, Need, Standing
from gateway.quota.port import Key, QuotaUnproven
from gateway.quota.windows import month_window
from gateway.serving.quotas import GRANT, standing_of
from metering.usage import UsageEvent
from tests.month_world_auditor import Chunk, Price
from tests.month_world_site import FREE, Site, published

Clock = Callable[[], datetime]
"""What time it really is."""


@dataclass(frozen=True)
class Question:
    """What a client asks for. `price`: the one in force when it is asked; None: the service is
    free."""

    request: str
    tenant: str
    grant: str
    service: str
    release: str
    profile: str
    chunks: tuple[Chunk, ...]
    price: Price | None

    @property
    def cells(self) -> int:
        return sum(chunk.count for chunk in self.chunks)

    @property
    def text(self) -> str:
        return ",".join(f"{chunk.place}:{chunk.first}" for chunk in self.chunks)


@dataclass(frozen=True)
class Flight:
    """A call that is being worked on."""

    question: Question
    stamp: Stamp
    hold: Hold


class Node:
    """One process. `skew` is how wrong its clock is; `last` the latest moment on record."""

    def __init__(self, name: str, site: Site, clock: Clock, skew: timedelta) -> None:
        self.name, self._site, self._clock, self.skew = name, site, clock, skew
        self.path = site.home / ("journal.db" if name == "a" else f"journal-{name}.db")
        self.state = "up"  # or "lost", journal and all, or "found": its journal can be read again
        self.flights: list[Flight] = []
        self.entries: list[Entry] = []
        self._loop = asyncio.new_event_loop()
        self._open()

    def _open(self) -> None:
        self.journal = self._site.journal(self.path, self._clock() + self.skew)
        self.leases = Leases(self._site.quotas, self.name, self._stands, tick=self._tick)
        self._loop.run_until_complete(self.leases.begin())

    def _stands(self, key: Key) -> Standing | None:
        return standing_of(self.journal.counters, key, self._clock() + self.skew)

    def _tick(self) -> float:
        return self._clock().timestamp()

    def begin(self, question: Question) -> Flight:
        """Stamp a call and reserve the most it can use."""
        stamp = self.journal.stamp(self._clock() + self.skew)
        hold = self.journal.counters.reserve(
            question.grant,
            question.text,
            question.cells,
            stamp.time,
            tenant=question.tenant,
        )
        flight = Flight(question, stamp, hold)
        self.flights.append(flight)
        return flight

    def covers(self, flight: Flight, limit: int) -> bool:
        """Whether this node holds, of what all may use in the month, enough for the call."""
        grant, cells = flight.question.grant, flight.question.cells
        key = Key(GRANT, grant, "cells_month", month_window(flight.stamp.time))
        need = Need(key, flight.hold.usage.cells_month + cells, cells, limit)
        try:
            return self._loop.run_until_complete(self.leases.cover([need]))
        except QuotaUnproven:
            return False

    def refuse(self, flight: Flight) -> None:
        """The policy says no: nothing was used."""
        self.flights.remove(flight)
        flight.hold.release()

    def answer(self, flight: Flight) -> Entry:
        """Claim what is to be charged and record it; returns once that is durable."""
        self.flights.remove(flight)
        asked = flight.question
        claim = flight.hold.charge(
            asked.tenant,
            asked.release,
            {} if asked.price is None else _cells(asked.chunks),
            flight.stamp.event_id,
        )
        entry = _entry(flight, claim)
        self._loop.run_until_complete(self.journal.record(entry, flight.hold))
        self.entries.append(entry)
        return entry

    def offer(self, entry: Entry) -> None:
        """Hand an entry to the journal as a caller without a hold does."""
        self.journal.record_now(entry)

    def crash(self) -> None:
        """Dead at once: what is committed stays, nothing is drained or signed."""
        self.flights.clear()
        if self.state != "up":
            return
        self.journal._group.close()  # its queue is empty: every answer is waited for
        self.journal._looking.close()
        self.journal._spool.close()

    def start(self, skew: timedelta) -> None:
        """A new process on the same journal, its clock off by something else."""
        self.skew = skew
        self._open()

    def end(self) -> None:
        """The world ends."""
        self.crash()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()


def _cells(chunks: tuple[Chunk, ...]) -> Mapping[int, int]:
    cells: dict[int, int] = {}
    for chunk in chunks:
        cells[chunk.place] = cells.get(chunk.place, 0) | chunk.bits
    return cells


def _entry(flight: Flight, claim: Claim) -> Entry:
    asked, stamp = flight.question, flight.stamp
    decision = f"d-{asked.request}"
    return Entry(
        asked.request,
        stamp.event_id,
        stamp.time,
        {"decision_id": decision, "allow": True, "deny": [], "policy_version": "1"},
        {
            "kind": "read",
            "result": "answered",
            "tenant": asked.tenant,
            "grant": asked.grant,
            "service": asked.service,
            "cells": asked.cells,
        },
        _usage(asked, stamp, decision, claim),
        claim.cells,
        claim.rests_on,
    )


def _usage(asked: Question, stamp: Stamp, decision: str, claim: Claim) -> UsageEvent:
    price = asked.price
    return UsageEvent(
        event_id=stamp.event_id,
        request_id=asked.request,
        decision_id=decision,
        grant=asked.grant,
        tenant=asked.tenant,
        service=asked.service,
        version="1.0",
        release=asked.release,
        unit=FREE if price is None else "per_1000_cells",
        qty=asked.cells,
        billable_qty=claim.count,
        repeat_of=claim.repeat_of,
        price_ref=FREE if price is None else price.ref,
        price_micro=0 if price is None else _first_unit_micro(price),
        providers_ref=f"{asked.release}/{asked.profile}",
        purpose="actuarial_pricing_and_reserving",
        query_hash=asked.text,
        page="0+100",
        time=stamp.time,
    )


@lru_cache(maxsize=512)
def _first_unit_micro(price: Price) -> int:
    bare = replace(price, minimum=0, cap=None)
    return published(bare).price().tariff.charge(1)


def other_content(entry: Entry) -> Entry:
    """Another answer under the same request and event: one cell more."""
    assert entry.usage is not None
    usage = replace(entry.usage, qty=entry.usage.qty + 1)
    return replace(entry, usage=usage, audit={**entry.audit, "cells": usage.qty})
