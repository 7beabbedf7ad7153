"""Detection beside a serving process: rounds over the journals, each alarm recorded in the audit.

The alarm and what it did are in the directory when its event is written; a process that ends
between the two writes it when it comes back, once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.db.engine import reading, writing
from gateway.detection.book import Alarm, mark_recorded, unrecorded
from gateway.detection.canaries import read_canaries
from gateway.detection.engine import Detector
from gateway.detection.follower import Follower
from gateway.detection.rule import load_rules
from gateway.detection.signal import QuotaOf, Reader
from gateway.identity.directory import Directory
from gateway.identity.model import OF_ALARM
from gateway.journal.entry import Entry
from gateway.journal.neighbours import journals_in
from gateway.journal.schema import connect_reading
from gateway.journal.stamp import Stamp
from gateway.settings import Settings

SECONDS: Final = 1.0
_DAILY: Final = ("calls_day", "cells_day", "distinct_queries_day")

_log = logging.getLogger(__name__)


class Journal(Protocol):
    """Where an alarm is recorded."""

    def stamp(self, now: datetime) -> Stamp:
        """The id and time of an event."""

    def record(self, entry: Entry) -> Awaitable[object]:
        """Return once it is durable."""


@dataclass
class Keeper:
    """Follows, raises, records; `follow` runs until it is cancelled."""

    engine: sa.Engine
    home: Path
    follower: Follower
    journal: Journal
    clock: Callable[[], datetime]

    async def follow(self) -> None:
        """A round every second; one that fails is logged by its kind and made again."""
        while True:
            await asyncio.sleep(SECONDS)
            try:
                await self.round()
            except Exception as error:  # noqa: BLE001 - what could not be read is read in the next round
                _log.error("detection: a round failed: %s", type(error).__name__)

    async def round(self) -> None:
        """Read what is new, then record what is not on record."""
        alarms = await asyncio.to_thread(self.follower.catch_up, self.clock)
        for alarm in alarms:
            _log.warning("alarm %s: rule %s, response %s", alarm.id, alarm.rule, alarm.response)
        for alarm in await asyncio.to_thread(self._unrecorded):
            await self._record(alarm)

    def _unrecorded(self) -> list[Alarm]:
        with reading(self.engine) as session:
            return unrecorded(session)

    async def _record(self, alarm: Alarm) -> None:
        if not await asyncio.to_thread(is_recorded, journals_in(self.home), alarm.id):
            stamp = self.journal.stamp(self.clock())
            entry = Entry(alarm.id, stamp.event_id, stamp.time, None, event_of(alarm), None)
            await self.journal.record(entry)
        await asyncio.to_thread(self._mark, alarm.id)

    def _mark(self, name: str) -> None:
        with writing(self.engine) as session:
            mark_recorded(session, name)


def is_recorded(paths: Iterable[Path], name: str) -> bool:
    """Whether a journal of this home has the alarm's event."""
    for path in paths:
        with closing(connect_reading(path)) as db:
            if db.execute("SELECT 1 FROM audit_event WHERE request_id = ?", (name,)).fetchone():
                return True
    return False


def event_of(alarm: Alarm) -> dict[str, object]:
    """The audit event of an alarm; evidence is ids of events, never who they are about."""
    about = {"tenant": alarm.who} if alarm.kind == "tenant" else {}
    return {
        "kind": "alarm",
        "result": "done",
        "reason": alarm.rule,
        "actor": {"client": OF_ALARM},
        **about,
        "alarm": {
            "id": alarm.id,
            "about": f"{alarm.kind}:{alarm.who}",
            "severity": alarm.severity,
            "response": alarm.response,
            "value": alarm.value,
            "threshold": alarm.threshold,
            "evidence": list(alarm.evidence),
            "effects": list(alarm.effects),
        },
    }


def quotas_from(directory: Directory) -> QuotaOf:
    """The daily quotas of a grant by its scenario, where that names some."""

    def quota_of(tenant: str, grant: str) -> Mapping[str, float]:
        found = next((g for g in directory.grants_for(tenant) if g.id == grant), None)
        scenario = {} if found is None else directory.bounds.scenarios.get(found.scenario, {})
        quota: Mapping[str, float] = scenario.get("quota", {})
        return {name: quota[name] for name in _DAILY if name in quota}

    return quota_of


def open_keeper(
    settings: Settings,
    directory: Directory,
    engine: sa.Engine,
    journal: Journal,
    clock: Callable[[], datetime],
) -> Keeper:
    """Detection over the journals of a home, on its open database."""
    quotas, home = quotas_from(directory), settings.journal.parent

    def reader(session: Session) -> Reader:
        return Reader(read_canaries(session), quotas)

    follower = Follower(
        engine,
        lambda: journals_in(home),
        Detector(load_rules(settings.policies)),
        reader,
        acts=settings.detection == "act" and settings.env != "sandbox",
    )
    return Keeper(engine, home, follower, journal, clock)
