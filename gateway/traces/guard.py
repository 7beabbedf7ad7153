"""How often codes may be checked: by device of the public, and codes nobody knows by client.

The public and insured persons have twenty checks a day and device (SPEC S23); an app says which of
its devices asks. Who asks for many codes that nobody knows is trying numbers, and waits for the
next hour, whatever is asked meanwhile. Counts are kept where all replicas see them; devices stand
as keyed hashes, codes nowhere.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from gateway.db.engine import reading, writing
from gateway.db.trace_tables import TraceDeviceRow, TraceMissRow
from gateway.errors import BadRequest, TooMany
from gateway.serving.model import Case
from metering.calendar import day_of

CHECKS_A_DAY: Final = 20
MISSES_AN_HOUR: Final = 100
OF_THE_PUBLIC: Final = frozenset({"public", "person"})
"""Kinds of organisation whose own users are many and unknown."""
_HOUR: Final = timedelta(hours=1)
_KEPT: Final = timedelta(days=2)


@dataclass(frozen=True)
class Guard:
    """Counts checks and misses in the operational database."""

    engine: sa.Engine
    key: bytes = field(repr=False)

    def admit(self, case: Case, device: str | None) -> None:
        """Count one check of the device; raise where it, or its client, has had enough."""
        now, client = case.stamp.time, case.caller.client_id
        public = case.caller.tenant_type in OF_THE_PUBLIC
        if public and device is None:
            raise BadRequest("trace_device_needed", "")
        if self._misses(client, now) >= MISSES_AN_HOUR:
            raise TooMany("trace_codes_tried", "", retry_after=_until_next_hour(now))
        if public and device is not None:
            self._count_device(f"{client}\0{device}", now)

    def missed(self, case: Case) -> None:
        """Count one code nobody knows."""
        now = case.stamp.time
        with writing(self.engine) as session:
            _add(session, TraceMissRow, {"hour": _hour(now), "client_id": case.caller.client_id})
            session.execute(sa.delete(TraceMissRow).where(TraceMissRow.hour < now - _KEPT))

    def _misses(self, client: str, now: datetime) -> int:
        with reading(self.engine) as session:
            found = session.get(TraceMissRow, {"hour": _hour(now), "client_id": client})
            return 0 if found is None else found.misses

    def _count_device(self, device: str, now: datetime) -> None:
        day = datetime.fromisoformat(day_of(now)).date()
        mac = hmac.new(self.key, f"device\0{device}".encode(), sha256).hexdigest()
        with writing(self.engine) as session:
            if _add(session, TraceDeviceRow, {"day": day, "device": mac}) > CHECKS_A_DAY:
                raise TooMany("trace_device_day", "")  # rolled back: a refused check is none
            session.execute(sa.delete(TraceDeviceRow).where(TraceDeviceRow.day < day))


def _add(
    session: Session, table: type[TraceDeviceRow | TraceMissRow], row: dict[str, object]
) -> int:
    """One more in this row, which comes into being with its first; returns how many there are."""
    count = table.checks if issubclass(table, TraceDeviceRow) else table.misses
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    adding = insert(table).values({**row, count.key: 1})
    keys = list(row)
    grown = adding.on_conflict_do_update(index_elements=keys, set_={count.key: count + 1})
    return int(session.execute(grown.returning(count)).scalar_one())


def _hour(now: datetime) -> datetime:
    return now.replace(minute=0, second=0, microsecond=0)


def _until_next_hour(now: datetime) -> int:
    return int((_hour(now) + _HOUR - now).total_seconds()) + 1
