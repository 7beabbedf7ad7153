"""Labelled traffic: what several kinds of organisations do in normal months, as audited events.

Everything is drawn from one seeded source. Events have the form the gateway records them in, so
they go through the real follower; they lie in a journal file without a chain, which detection does
not read (auditing does).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from statistics import median
from typing import Any, TypeAlias

import orjson

from gateway.journal.schema import connect, create
from metering.calendar import CHINA
from metering.usage import time_text

START = datetime(2026, 3, 2, tzinfo=CHINA)  # a Monday
QUOTA = {"calls_day": 2000, "cells_day": 200_000, "distinct_queries_day": 1000}
RATES = {"S02": 0.12, "S04": 0.08, "S09": 0.05, "S13": 0.10}
DIMS = ("sex", "age_band", "hosp_level", "insu_type", "med_type", "dx_chapter", "month", "region")
Json: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Event:
    """One audited event with its decision's question; `attack` names what it is part of, and
    `learnt` marks the first event of an attack that tells what the policy protects."""

    at: datetime
    audit: Json
    asked: Json = field(default_factory=dict)
    attack: str = ""
    learnt: bool = False


@dataclass
class Tenant:
    """An organisation as a source of events."""

    name: str
    rng: Random
    start: datetime = START
    networks: tuple[str, ...] = ("36.110",)
    services: tuple[str, ...] = ("S02", "S04", "S09")
    shapes: int = 14
    size: int = 120
    _used: dict[str, int] = field(default_factory=dict)

    def at(self, day: int, hour: float) -> datetime:
        """A moment of a day."""
        return self.start + timedelta(days=day, hours=hour)

    def office_hour(self) -> float:
        """Some time of the working day, most of it before and after noon."""
        return min(max(self.rng.gauss(self.rng.choice((10.0, 15.0)), 1.4), 7.2), 20.5)

    def usual_calls(self) -> int:
        """Questions for cells on a usual working day, as far as there were any."""
        return int(median(self._used.values() or [1])) or 1

    def event(self, at: datetime, audit: Json, asked: Json | None = None) -> Event:
        """An event of this organisation, from one of its own addresses unless it says otherwise."""
        network = self.rng.choice(self.networks)
        actor = {"client": f"c-{self.name}", "ip": f"{network}.1.{self.rng.randrange(4, 8)}"}
        actor |= audit.pop("actor", {})
        return Event(
            at,
            {"tenant": self.name, "grant": f"g-{self.name}", **audit, "actor": actor},
            asked or {},
        )

    def cells(
        self,
        at: datetime,
        *,
        shape: int | None = None,
        size: int = 0,
        rate: float = 1.0,
        **more: Any,
    ) -> Event:
        """An answered question for cells. `shape`: a number of a combination of attributes; `rate`:
        how much of the usual part is withheld."""
        number = self.rng.randrange(self.shapes) if shape is None else shape
        service = self.services[number % len(self.services)]
        figures = size or max(4, int(self.rng.gauss(self.size, self.size / 4)))
        hidden = round(
            figures * min(1.0, max(0.0, RATES[service] * rate * self.rng.gauss(1, 0.15)))
        )
        day = at.date().isoformat()
        used = self._used.get(day, 0)
        self._used[day] = used + 1
        audit = {
            "kind": "read",
            "result": "answered",
            "service": service,
            "cells": figures - hidden,
            "cells_suppressed": hidden,
            "input_hash": f"q{self.name}{number}{self.rng.randrange(30)}",
            "query_shape": shape_of(number),
            **more,
        }
        usage = {
            "calls_day": used,
            "cells_day": used * self.size,
            "distinct_queries_day": min(used, 40),
        }
        return self.event(
            at, audit, {"usage": usage, "qty_estimate": figures, **more.pop("asked", {})}
        )

    def refused(self, at: datetime, code: str, service: str = "S02", **more: Any) -> Event:
        """A refusal."""
        audit = {"kind": "read", "result": "refused", "service": service, "deny_codes": [code]}
        return self.event(at, {**audit, **more})

    def person(self, at: datetime, who: int, code: str = "", **more: Any) -> Event:
        """A question about one person."""
        audit = {"kind": "read", "service": "S19", "subject": f"a{self.name}{who}", **more}
        if code:
            return self.event(at, {**audit, "result": "refused", "deny_codes": [code]})
        return self.event(at, {**audit, "result": "answered", "cells": 1, "consent_id": f"co{who}"})

    def consent(self, at: datetime, who: int, ip: str) -> Event:
        """A person says yes on a device."""
        actor = {"ip": ip, "person": f"a{self.name}{who}"}
        audit = {"kind": "consent-change", "result": "done", "reason": "approve", "actor": actor}
        return self.event(at, {**audit, "consent_id": f"co{who}"})

    def cohort(self, at: datetime, apart: int, code: str = "") -> Event:
        """A cohort question, so many persons apart from an earlier one."""
        audit = {
            "kind": "read",
            "result": "refused" if code else "answered",
            "service": "S16",
            "deny_codes": [code] if code else [],
            "input_hash": f"h{self.rng.getrandbits(40)}",
        }
        return self.event(at, audit, {"usage": {"smallest_difference": apart}})


def shape_of(number: int) -> Json:
    """The combination of attributes with this number; all are different."""
    dims = [name for place, name in enumerate(DIMS) if number + 1 >> place & 1]
    return {
        "grain": "month",
        "dims": dims,
        "where": [],
        "measures": ["stays"],
        "geo": [f"99{number >> 8:04}"],
    }


def phone(rng: Random) -> str:
    """The address of somebody's phone: shared with others by the carrier."""
    return f"117.{rng.randrange(60, 90)}.{rng.randrange(250)}.{rng.randrange(1, 250)}"


def mishaps(tenant: Tenant, day: int) -> Iterator[Event]:
    """What goes wrong anywhere: wrong periods, an ended consent, a proof sent twice."""
    rng = tenant.rng
    for _ in range(rng.choice((0, 0, 0, 1, 2, 4))):
        code = rng.choice(("D505", "D505", "D501", "D402", "D504"))
        yield tenant.refused(
            tenant.at(day, tenant.office_hour()), code, rng.choice(tenant.services)
        )
    if rng.random() < 0.1:
        ip = f"{tenant.networks[0]}.1.4"
        audit = {
            "kind": "login",
            "result": "failed",
            "reason": "dpop_replayed",
            "actor": {"ip": ip},
        }
        yield Event(tenant.at(day, 10), {**audit, "count": rng.randrange(1, 3)})
    if rng.random() < 0.01:  # a script gone wrong asks the same again and again
        for minute in range(25):
            yield tenant.refused(tenant.at(day, 11 + minute / 60), "D505")


def lookups(tenant: Tenant, day: int, number: int, hour: Callable[[], float]) -> Iterator[Event]:
    """Consents on phones, then the questions they are for; now and then one without."""
    rng = tenant.rng
    for turn in range(number):
        at, who = tenant.at(day, hour()), day * 10_000 + turn
        yield tenant.consent(at, who, phone(rng))
        luck = rng.random()
        code = "D601" if luck < 0.01 else "D602" if luck < 0.03 else ""
        yield tenant.person(at + timedelta(minutes=rng.randrange(2, 90)), who, code)


def working(day: int) -> bool:
    """Whether it is a working day."""
    return (START + timedelta(days=day)).weekday() < 5


def steady_insurer(t: Tenant, days: int) -> Iterator[Event]:
    for day in range(days):
        busy = 1.0 if working(day) else 0.1
        yield from (
            t.cells(t.at(day, t.office_hour())) for _ in range(int(t.rng.gauss(30, 5) * busy))
        )
        yield from lookups(t, day, int(t.rng.gauss(22, 5) * busy), t.office_hour)
        yield from mishaps(t, day)


def large_insurer(t: Tenant, days: int) -> Iterator[Event]:
    """Twenty times the size of the others, from its first day on."""
    for day in range(days):
        busy = 1.0 if working(day) else 0.3
        number = int(t.rng.gauss(500, 60) * busy)
        yield from (t.cells(t.at(day, t.office_hour())) for _ in range(number))
        yield from lookups(t, day, int(t.rng.gauss(450, 50) * busy), t.office_hour)
        yield from mishaps(t, day)


def batch_pharma(t: Tenant, days: int) -> Iterator[Event]:
    for day in range(days):
        late = t.rng.gauss(1.5, 0.3)
        yield from (t.cells(t.at(day, late + n / 100)) for n in range(int(t.rng.gauss(90, 6))))
        for _ in range(t.rng.choice((0, 1, 2)) if working(day) else 0):
            yield t.cohort(t.at(day, t.office_hour()), 25 if t.rng.random() < 0.03 else 5000)
        yield from mishaps(t, day)


def month_end(t: Tenant, days: int) -> Iterator[Event]:
    for day in range(days):
        date = t.at(day, 0).day
        peak = 5.0 if date >= 27 or date <= 2 else 1.0
        number = int(t.rng.gauss(14, 3) * peak * (1 if working(day) or peak > 1 else 0.2))
        yield from (t.cells(t.at(day, t.office_hour())) for _ in range(number))
        yield from mishaps(t, day)


def growth(t: Tenant, days: int) -> Iterator[Event]:
    for day in range(days):
        number = 8 * 1.07 ** (day / 7) * (1 if working(day) else 0.3)
        yield from (t.cells(t.at(day, t.office_hour())) for _ in range(int(t.rng.gauss(number, 2))))
        yield from lookups(t, day, int(number), t.office_hour)
        yield from mishaps(t, day)


def holiday(t: Tenant, days: int) -> Iterator[Event]:
    for day in range(days):
        away, back = day % 45 in range(30, 37), day % 45 in range(37, 40)
        busy = 0.0 if away else (2.2 if back else 1.0) * (1 if working(day) else 0.1)
        yield from (
            t.cells(t.at(day, t.office_hour())) for _ in range(int(t.rng.gauss(25, 4) * busy))
        )
        yield from lookups(t, day, int(t.rng.gauss(15, 3) * busy), t.office_hour)
        yield from mishaps(t, day)


def hospital_counters(t: Tenant, days: int) -> Iterator[Event]:
    """Consents at counters: few devices, many persons. Not used to set thresholds."""
    for day in range(days):
        for counter in range(3):
            for turn in range(int(t.rng.gauss(9, 2.5)) if working(day) else 2):
                at, who = t.at(day, t.office_hour()), day * 10_000 + counter * 1000 + turn
                yield t.consent(at, who, f"59.40.7.{counter}")
                yield t.person(at + timedelta(minutes=3), who)
        yield from mishaps(t, day)


def two_sites(t: Tenant, days: int) -> Iterator[Event]:
    """Calls from two networks in turn, and for some days from a third. Not used for thresholds."""
    t.networks = ("36.110", "101.95")
    for day in range(days):
        if day == days // 2:
            t.networks = ("101.95", "183.60")
        yield from (t.cells(t.at(day, t.office_hour())) for _ in range(int(t.rng.gauss(20, 4))))
        yield from mishaps(t, day)


def weekly_reports(t: Tenant, days: int) -> Iterator[Event]:
    """Everything on one day of the week. Not used for thresholds."""
    for day in range(days):
        number = t.rng.gauss(140, 15) if day % 7 == 0 else t.rng.gauss(5, 2)
        yield from (t.cells(t.at(day, t.office_hour())) for _ in range(int(number)))
        yield from mishaps(t, day)


def around_the_clock(t: Tenant, days: int) -> Iterator[Event]:
    """A claims desk by day and night. Not used for thresholds."""
    for day in range(days):
        yield from lookups(t, day, int(t.rng.gauss(45, 7)), lambda: t.rng.random() * 24)
        yield from mishaps(t, day)


Profile: TypeAlias = Callable[[Tenant, int], Iterator[Event]]
SEEN: tuple[Profile, ...] = (
    steady_insurer, large_insurer, batch_pharma, month_end, growth, holiday,
)  # fmt: skip
UNSEEN: tuple[Profile, ...] = (hospital_counters, two_sites, weekly_reports, around_the_clock)


def write(path: Path, events: Iterable[Event]) -> dict[str, Event]:
    """A journal with these events in order of time; the events by the ids it gave them."""
    ordered: Sequence[Event] = sorted(events, key=lambda e: e.at)
    named: dict[str, Event] = {}
    audits, decisions = [], []
    for seq, event in enumerate(ordered, start=1):
        name = f"e{seq:08}"
        named[name] = event
        own = {"seq": seq, "event_id": name, "request_id": name, "time": time_text(event.at)}
        audits.append((seq, name, orjson.dumps({**event.audit, **own}).decode(), b"", b""))
        if event.asked:
            decisions.append((seq, name, orjson.dumps({"input": event.asked}).decode()))
    db = connect(path)
    create(db, path.stem, time_text(START))
    db.execute("BEGIN")
    db.executemany(
        "INSERT INTO audit_event (seq, request_id, body, prev_hash, hash) VALUES (?,?,?,?,?)",
        audits,
    )
    db.executemany("INSERT INTO decision (seq, request_id, body) VALUES (?, ?, ?)", decisions)
    db.execute("COMMIT")
    db.close()
    return named
