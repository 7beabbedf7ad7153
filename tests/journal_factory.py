"""Builds journal entries through the front door, with defaults."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gateway.db.event_ids import uuid7
from gateway.journal.charges import Cells
from gateway.journal.entry import Entry
from gateway.journal.sqlite import SqliteJournal
from metering.usage import UsageEvent

NOON = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)  # noon in China


def event_id(number: int) -> str:
    """A valid UUIDv7, a different one for each number."""
    return uuid7(number, number)


def usage(number: int = 1, **changes: object) -> UsageEvent:
    """An answer of 500 cells at 40 yuan per 1 000, each number a question of its own."""
    event = UsageEvent(
        event_id=event_id(number),
        request_id=f"r{number}",
        decision_id=f"d{number}",
        grant="g-life",
        tenant="t-life",
        service="S02",
        version="1.0",
        release="S02-r1",
        unit="per_1000_cells",
        qty=500,
        billable_qty=500,
        repeat_of=None,
        price_ref="2026-1",
        price_micro=40_000_000,
        providers_ref="S02-r1",
        purpose="actuarial_pricing_and_reserving",
        query_hash=f"q{number}",
        page="0+100",
        time=NOON + timedelta(milliseconds=number),
    )
    return replace(event, **changes)  # type: ignore[arg-type]  # test data, checked by UsageEvent


def answered(
    number: int = 1,
    charged: Cells | None = None,
    rests_on: tuple[tuple[int, str], ...] = (),
    **changes: object,
) -> Entry:
    """An allowed and answered call; unless said, each number is charged for cells of its own."""
    used = usage(number, **changes)
    if charged is None:
        charged = cells(number, used.billable_qty) if used.unit == "per_1000_cells" else {}
    return Entry(
        used.request_id,
        used.event_id,
        used.time,
        {"decision_id": used.decision_id, "allow": True, "deny": [], "policy_version": "1"},
        {
            "kind": "read",
            "result": "answered",
            "tenant": used.tenant,
            "grant": used.grant,
            "service": used.service,
            "cells": used.qty,
        },
        used,
        charged,
        rests_on,
    )


def cells(place: int, count: int) -> dict[int, int]:
    """So many cells of one place."""
    return {place: (1 << count) - 1} if count else {}


def refused(number: int = 1, tenant: str = "t-life") -> Entry:
    """A call the policy refused."""
    return Entry(
        f"r{number}",
        event_id(number),
        NOON + timedelta(milliseconds=number),
        {
            "decision_id": f"d{number}",
            "allow": False,
            "deny": ["D501"],
            "policy_version": "1",
        },
        {
            "kind": "read",
            "result": "refused",
            "tenant": tenant,
            "grant": "g-life",
            "service": "S02",
            "cells": 0,
        },
        None,
    )


def opened(home: Path, now: datetime = NOON) -> SqliteJournal:
    """The journal of a home, made if new."""
    return SqliteJournal.open(home / "journal.db", home / "keys", now)
