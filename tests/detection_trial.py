"""Runs labelled traffic through the real follower and says what was found, missed and made up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from pathlib import Path
from random import Random

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.db.engine import open_engine, sqlite_url, writing
from gateway.db.tables import StopRow
from gateway.detection.book import BY_TWO, Alarm, lift_alarm, read_alarms
from gateway.detection.engine import Detector
from gateway.detection.follower import Follower
from gateway.detection.rule import Rule, load_rules
from gateway.detection.signal import Canaries, Reader
from gateway.identity.record import Act
from gateway.settings import Settings
from tests.detection_attacks import ATTACKS, Attack, new_tenant, policy_mistake
from tests.detection_traffic import QUOTA, Event, Profile, Tenant, steady_insurer, write
from tests.directory_factory import empty_database

RULES = load_rules(Settings().policies)
HOLDING = {rule.id for rule in RULES if rule.response in BY_TWO}
"""Rules that stop or suspend; what happened long ago is only told, so alarms here do not say it."""
READER = Reader(Canaries(frozenset({"a-canary"})), lambda tenant, grant: QUOTA)


@dataclass(frozen=True)
class Outcome:
    """What became of some labelled traffic."""

    events: int
    alarms: tuple[Alarm, ...]
    true: Counter[str]
    false: Counter[str]
    found: dict[str, list[str]]
    """Attack and its victim -> the rules that found it in time, the first one first."""
    missed: tuple[str, ...]

    def merged(self, other: Outcome) -> Outcome:
        return Outcome(
            self.events + other.events,
            self.alarms + other.alarms,
            self.true + other.true,
            self.false + other.false,
            {**self.found, **other.found},
            self.missed + other.missed,
        )


def source(seed: str) -> Random:
    """Where a tenant's doings are drawn from."""
    return Random(seed)  # noqa: S311 - made-up traffic, no secret


def database(folder: Path) -> sa.Engine:
    """An operational database with nothing in it."""
    return open_engine(sqlite_url(empty_database(folder)))


def follower(engine: sa.Engine, paths: Sequence[Path], rules: Sequence[Rule] = RULES) -> Follower:
    """A follower of these journals."""
    return Follower(engine, lambda: paths, Detector(rules), lambda _: READER, batch=500)


def lift_all(engine: sa.Engine, now: datetime) -> None:
    """An officer looks at every open alarm and calls three times its value usual."""
    with writing(engine) as session:
        for alarm in read_alarms(session):
            lift_alarm(session, Act("officer", now, "as agreed"), alarm.id, 3 * alarm.value)


def judge(
    folder: Path, events: Iterable[Event], rules: Sequence[Rule] = RULES, *, officer: bool = False
) -> Outcome:
    """Put events to the rules and compare the alarms with the labels. Responses are not carried
    out: an attack goes on to its end, so that later rules are judged too."""
    folder.mkdir(parents=True, exist_ok=True)
    named = write(folder / "journal.db", events)
    engine = database(folder)
    last = max(event.at for event in named.values()) + timedelta(days=30)
    followed = follower(engine, [folder / "journal.db"], rules)
    more = True
    while more:
        _, more = followed.round(last)
        if officer:
            lift_all(engine, last)
    with Session(engine) as session:
        alarms = read_alarms(session, everything=True)
        assert not session.scalars(sa.select(StopRow)).all()
    engine.dispose()
    return compare(named, alarms)


def compare(named: dict[str, Event], alarms: Sequence[Alarm]) -> Outcome:
    """An alarm is true if an event of an attack is its last evidence, or the tenant, service or
    network it is about was under attack within the window before. One that stops or suspends holds
    until two people lift it: whatever begins after it on the same tenant has been found by it."""
    true: Counter[str] = Counter()
    false: Counter[str] = Counter()
    found: dict[str, list[str]] = {}
    attacked = [event for event in named.values() if event.attack]
    learnt = {name_of(event): event.at for event in attacked if event.learnt}
    begun: dict[str, Event] = {}
    for event in attacked:
        first = begun.setdefault(name_of(event), event)
        begun[name_of(event)] = min(first, event, key=lambda e: e.at)
    for alarm in sorted(alarms, key=lambda one: one.event_time):
        at = datetime.fromisoformat(alarm.event_time)
        causes = {
            name_of(e)
            for e in attacked
            if concerns(alarm, e) and at - timedelta(days=14) <= e.at <= at
        }
        (true if causes else false)[alarm.rule] += 1
        held = alarm.rule in HOLDING and bool(causes)
        later = {a for a, e in begun.items() if held and concerns(alarm, e) and e.at > at}
        for attack in causes | later:
            if at <= learnt.get(attack, at):
                found.setdefault(attack, []).append(alarm.rule)
    missed = set(map(name_of, attacked)) - found.keys()
    return Outcome(len(named), tuple(alarms), true, false, found, tuple(sorted(missed)))


def name_of(event: Event) -> str:
    """Which attack on whom an event is part of; a mistake in a policy is on all at once."""
    if event.attack == "policy_mistake":
        return event.attack
    return f"{event.attack} of {event.audit.get('tenant', 'a network')}"


def concerns(alarm: Alarm, event: Event) -> bool:
    """Whether an alarm is about whoever an event is of."""
    if alarm.kind == "tenant":
        return event.audit.get("tenant") == alarm.who
    if alarm.kind == "service":
        return event.audit.get("service") == alarm.who
    return str(event.audit["actor"]["ip"]).startswith(alarm.who.split(".0.0")[0])


def normal(folder: Path, profiles: Sequence[Profile], days: int, seed: int) -> Outcome:
    """Organisations at work, all in one journal."""
    events = chain.from_iterable(
        profile(Tenant(f"{profile.__name__}-{seed}", source(f"{seed}{profile.__name__}")), days)
        for profile in profiles
    )
    return judge(folder / f"normal-{seed}-{len(profiles)}", events, officer=True)


def attacked(
    folder: Path,
    days: int,
    seed: int,
    attacks: Sequence[Attack] = ATTACKS,
    base: Profile = steady_insurer,
    *,
    goes_on: int = 14,
) -> Outcome:
    """Each attack on an organisation of its own that worked normally for `days`.
    Beside them a new organisation that takes too much, and a mistake in a policy."""
    assert days % 7 == 0  # it begins on a Monday
    outcome = judge(folder / f"attacks-{seed}", _worlds(days, seed, attacks, base, goes_on))
    return outcome.merged(judge(folder / f"mistake-{seed}", _mistake(days, seed, base)))


def _worlds(
    days: int, seed: int, attacks: Sequence[Attack], base: Profile, goes_on: int
) -> Iterable[Event]:
    for number, attack in enumerate(attacks):
        name = f"{attack.__name__}-{seed}"
        tenant = Tenant(name, source(name), networks=(f"36.{number + 10}",))
        yield from base(tenant, days + goes_on)
        yield from attack(tenant, days)
    yield from new_tenant(Tenant(f"new-{seed}", source(f"new {seed}"), networks=("36.9",)))


def _mistake(days: int, seed: int, base: Profile) -> Iterable[Event]:
    tenants = [
        Tenant(f"m{n}-{seed}", source(f"{n} {seed}"), services=("S13",), networks=(f"36.{n}",))
        for n in range(3)
    ]
    for tenant in tenants:
        yield from base(tenant, days)
    yield from policy_mistake(tenants, days)
