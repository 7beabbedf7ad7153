"""Reads the journals of a home in order and puts each event to the rules exactly once.

Positions, what the rules keep and the alarms with their responses are one transaction: after a
crash all of it is as before the batch, and the batch is read again. Of two processes that follow
the same home, the one that comes second finds the turn taken, forgets what it worked out, and goes
on from what the other wrote.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from heapq import merge
from pathlib import Path
from typing import Final, NamedTuple

import orjson
import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.db.detection_tables import DetectionPlaceRow, DetectionStateRow, DetectionTurnRow
from gateway.db.engine import reading, writing
from gateway.detection.book import Alarm, raise_alarm
from gateway.detection.engine import Detector, Finding, States
from gateway.detection.signal import Reader, Signal, moment
from gateway.journal.reader import identity
from gateway.journal.schema import connect_reading

BATCH: Final = 2_000
TOO_OLD: Final = timedelta(days=1)
"""What happened longer ago is told and not acted on: when detection is first switched on, or comes
back after days, the past is learnt from."""

_EVENTS: Final = """
SELECT a.seq, a.time, a.body, d.body FROM audit_event a LEFT JOIN decision d ON d.seq = a.seq
WHERE a.seq > ? ORDER BY a.seq LIMIT ?
"""


class Event(NamedTuple):
    """One audited event with its decision, as they lie in a journal."""

    time: str
    journal: str
    seq: int
    body: str
    decision: str | None


class TurnTaken(Exception):
    """Another process was faster."""


@dataclass
class _Known:
    """What is in memory: as of which turn, positions, and what the rules keep, by kind and name."""

    turn: int
    places: dict[str, int]
    states: dict[tuple[str, str], States] = field(default_factory=dict)


@dataclass
class Follower:
    """Follows the journals `paths` names; not for several threads at once."""

    engine: sa.Engine
    paths: Callable[[], Iterable[Path]]
    detector: Detector
    reader: Callable[[Session], Reader]
    acts: bool = True
    batch: int = BATCH
    _known: _Known | None = None

    def catch_up(self, now: Callable[[], datetime]) -> list[Alarm]:
        """Read whatever there is; the alarms it gave."""
        alarms: list[Alarm] = []
        while True:
            found, more = self.round(now())
            alarms += found
            if not more:
                return alarms

    def round(self, now: datetime) -> tuple[list[Alarm], bool]:
        """One batch; the alarms it gave, and whether there may be more at once."""
        try:
            with reading(self.engine) as session:
                known, reader = self._load(session), self.reader(session)
                events = list(read_events(self.paths(), known.places, self.batch))
                if not events:
                    return [], False
                touched, findings = self._judge(session, known, reader, events)
            return self._keep(known, events, touched, findings, now), len(events) >= self.batch
        except TurnTaken:
            self._known = None
            return [], True
        except BaseException:
            self._known = None  # what is in memory may be ahead of what is kept
            raise

    def _load(self, session: Session) -> _Known:
        turn = session.scalars(sa.select(DetectionTurnRow.number)).one()
        if self._known is None or self._known.turn != turn:
            rows = session.scalars(sa.select(DetectionPlaceRow))
            self._known = _Known(turn, {row.journal: row.seq for row in rows})
        return self._known

    def _judge(
        self, session: Session, known: _Known, reader: Reader, events: Iterable[Event]
    ) -> tuple[set[tuple[str, str]], list[Finding]]:
        touched: set[tuple[str, str]] = set()
        findings: list[Finding] = []
        for event in events:
            known.places[event.journal] = event.seq
            signal: Signal = reader.signal(event.body, event.decision)
            for about in self.detector.concerns(signal):
                states = _states(session, known, about)
                findings += self.detector.take(*about, states, signal)
                touched.add(about)
        return touched, findings

    def _keep(
        self,
        known: _Known,
        events: list[Event],
        touched: set[tuple[str, str]],
        findings: list[Finding],
        now: datetime,
    ) -> list[Alarm]:
        with writing(self.engine) as session:
            taken = session.execute(
                sa.update(DetectionTurnRow)
                .where(DetectionTurnRow.number == known.turn)
                .values(number=known.turn + 1)
            )
            if taken.rowcount != 1:  # type: ignore[attr-defined]  # an update's result has it
                raise TurnTaken
            for journal in {event.journal for event in events}:
                session.merge(DetectionPlaceRow(journal=journal, seq=known.places[journal]))
            for kind, name in touched:
                text = orjson.dumps(known.states[kind, name]).decode()
                session.merge(DetectionStateRow(kind=kind, name=name, state=text))
            raised = [
                raise_alarm(session, one, now, acts=self.acts and now - moment(one.at) <= TOO_OLD)
                for one in findings
            ]
        known.turn += 1
        return [alarm for alarm in raised if alarm is not None]


def _states(session: Session, known: _Known, about: tuple[str, str]) -> States:
    if about not in known.states:
        row = session.get(DetectionStateRow, about)
        known.states[about] = {} if row is None else orjson.loads(row.state)
    return known.states[about]


def read_events(paths: Iterable[Path], places: Mapping[str, int], most: int) -> Iterator[Event]:
    """Events after the positions: of each journal in order of number, of all by time; at most so
    many of each journal."""
    yield from merge(*(_of_journal(path, places, most) for path in paths), key=lambda e: e.time)


def _of_journal(path: Path, places: Mapping[str, int], most: int) -> list[Event]:
    try:
        with closing(connect_reading(path)) as db:
            journal = identity(db)[0]
            rows = db.execute(_EVENTS, (places.get(journal, 0), most)).fetchall()
    except sqlite3.OperationalError:  # busy being made or cleared away: the next round sees it
        return []
    return [Event(time, journal, seq, body, decision) for seq, time, body, decision in rows]
