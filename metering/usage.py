"""What one answered call used: the event everything about money is computed from, once per call.

A UsageEvent is complete in itself (price included) and never changed; corrections are new events.
It carries counts and hashes only, never a query's text or anything about a person.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from operator import attrgetter

from metering.calendar import month_of
from metering.tariff import PACKS

_UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_TIME = "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ"
_TEXTS = ("request_id", "decision_id", "grant", "tenant", "service", "version", "price_ref")


class UsageError(ValueError):
    """The event contradicts itself; it must not be recorded or billed."""


class UsageConflictError(ValueError):
    """Two events share an id but not their content: somebody's books are wrong, stop."""


def time_text(time: datetime) -> str:
    """UTC with microseconds in fixed width, so that texts sort as the moments do."""
    t = time if time.tzinfo is UTC else time.astimezone(UTC)
    # A third of what `isoformat` costs; an event needs its text several times.
    day = (t.year, t.month, t.day)
    return _TIME % (*day, t.hour, t.minute, t.second, t.microsecond)


def time_of(text: str) -> datetime:
    """The moment written by `time_text`."""
    return datetime.fromisoformat(text)


@dataclass(frozen=True, slots=True)
class UsageEvent:
    """One answer delivered: what, for whom, under which decision, at which price.

    `qty` counts delivered base units (cells), `billable_qty` the part to be charged: nothing that
    was charged within the last 30 days. `repeat_of`, where that leaves nothing, is the event that
    was charged. `price_micro` is the price of one tariff unit in micro-yuan. `query_hash` and
    `page` identify what was asked; `providers_ref` the contributions that made the answer possible.
    """

    event_id: str
    request_id: str
    decision_id: str
    grant: str
    tenant: str
    service: str
    version: str
    release: str
    unit: str
    qty: int
    billable_qty: int
    repeat_of: str | None
    price_ref: str
    price_micro: int
    providers_ref: str
    purpose: str
    query_hash: str
    page: str
    time: datetime

    def __post_init__(self) -> None:
        wrong = _contradiction(self)
        if wrong:
            raise UsageError(wrong)

    @property
    def month(self) -> str:
        """Month of account, by the gateway's time alone."""
        return month_of(self.time)

    def record(self) -> dict[str, str | int | None]:
        """Plain values, as stored, hashed and exported."""
        plain = dict(zip(FIELDS, _values(self), strict=True))
        plain["time"] = time_text(self.time)
        return plain


FIELDS = tuple(field.name for field in fields(UsageEvent))
_values = attrgetter(*FIELDS)


def _contradiction(event: UsageEvent) -> str:
    """Why the event cannot be true; empty when it can."""
    checks = (
        (_UUID7.fullmatch(event.event_id), "event_id is not a UUIDv7"),
        (all(getattr(event, name) for name in _TEXTS), "an identifying field is empty"),
        (event.unit in PACKS, "the unit is not one of the tariff units"),
        (_counts(event), "quantities and price must be whole numbers, not negative"),
        (event.billable_qty <= event.qty, "more is billable than was delivered"),
        (event.repeat_of is None or event.billable_qty == 0, "a repeat is not billable"),
        (event.repeat_of != event.event_id, "an event cannot repeat itself"),
        (event.unit != "free" or event.price_micro == 0, "free has no price"),
        (event.time.tzinfo is not None, "the time has no zone"),
    )
    return next((reason for holds, reason in checks if not holds), "")


def _counts(event: UsageEvent) -> bool:
    numbers = (event.qty, event.billable_qty, event.price_micro)
    return all(type(number) is int and number >= 0 for number in numbers)


def from_record(plain: Mapping[str, object]) -> UsageEvent:
    """The event that `record` wrote. A missing or foreign field is refused."""
    if set(plain) != set(FIELDS):
        raise UsageError(f"fields differ: {sorted(set(plain) ^ set(FIELDS))}")
    values = dict(plain)
    values["time"] = time_of(str(plain["time"]))
    return UsageEvent(**values)  # type: ignore[arg-type]  # values are checked by __post_init__


def distinct(events: Iterable[UsageEvent]) -> tuple[UsageEvent, ...]:
    """Each event once, whatever was delivered twice; the same id with other content is refused."""
    seen: dict[str, UsageEvent] = {}
    for event in events:
        if seen.setdefault(event.event_id, event) != event:
            raise UsageConflictError(f"event {event.event_id} exists with two contents")
    return tuple(seen.values())
