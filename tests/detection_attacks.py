"""Attacks as labelled events: each begins at a day of its tenant's life and marks where it has
learnt something that the policy protects."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import TypeAlias

from tests.detection_traffic import QUOTA, Event, Tenant

ELSEWHERE = "45.77"


def _marked(name: str, events: Iterator[Event], learnt_at: int) -> Iterator[Event]:
    """The events of an attack; at the one that happens as this number something was learnt."""
    for number, event in enumerate(sorted(events, key=lambda e: e.at), start=1):
        yield replace(event, attack=name, learnt=number == learnt_at)


def enumeration(t: Tenant, day: int, *, number: int = 200, minutes: float = 15) -> Iterator[Event]:
    """Certificate numbers one after the other. Learnt: what a hundred answers' timing may tell."""
    step = timedelta(minutes=minutes) / number
    begin = t.at(day, 10.2)
    tries = (t.person(begin + step * n, 10**9 + n, "D601") for n in range(number))
    return _marked("enumeration", tries, 100)


def enumeration_slow(t: Tenant, day: int, *, a_day: int = 6) -> Iterator[Event]:
    """A few a day, in office hours."""
    tries = (
        t.person(t.at(day + d, t.office_hour()), 10**9 + 100 * d + n, "D601")
        for d in range(120 // a_day)
        for n in range(a_day)
    )
    return _marked("enumeration_slow", tries, 100)


def night_with_own_key(
    t: Tenant, day: int, *, number: int = 300, hour: float = 2.0
) -> Iterator[Event]:
    """The organisation's own key from its own network while nobody is there. Learnt: two hundred
    answers that nobody ordered."""
    calls = (t.cells(t.at(day, hour + n / 150)) for n in range(number))
    return _marked("night_with_own_key", calls, 200)


def night_slow(t: Tenant, day: int, *, an_hour: int = 45, hours: int = 8) -> Iterator[Event]:
    """The same all night long, below any hourly figure. Learnt: two hundred answers."""
    calls = (t.cells(t.at(day, 22 + n / an_hour)) for n in range(an_hour * hours))
    return _marked("night_slow", calls, 200)


def quota_edge(t: Tenant, day: int, *, days: int = 14, low: float = 0.92) -> Iterator[Event]:
    """Nearly all of the day's quota, every day. Learnt: ten quotas' worth."""
    for d in range(days):
        share = t.rng.uniform(low, 0.99)
        for part in range(1, 11):
            used = int(QUOTA["calls_day"] * share * part / 10) - 1
            event = t.cells(t.at(day + d, 8 + part))
            asked = {**event.asked, "usage": {"calls_day": used}}
            learnt = d == 9 and part == 10
            yield replace(event, asked=asked, attack="quota_edge", learnt=learnt)


def consent_farm(t: Tenant, day: int, *, persons: int = 20, minutes: float = 90) -> Iterator[Event]:
    """Many persons' consents on one device, then their data. Learnt: the first of the data."""
    at, step = t.at(day, 14), timedelta(minutes=minutes) / persons
    for n in range(persons):
        yield replace(t.consent(at + step * n, 10**8 + n, "117.61.9.9"), attack="consent_farm")
    for n in range(persons):
        event = t.person(at + step * (persons + n), 10**8 + n)
        yield replace(event, attack="consent_farm", learnt=n == 0)


def consent_farm_slow(t: Tenant, day: int, *, a_day: int = 3) -> Iterator[Event]:
    """A few persons a day on one device, each person's data at the end. Learnt: the first."""
    persons = 27
    for n in range(persons):
        at = t.at(day + n // a_day, t.office_hour())
        yield replace(t.consent(at, 10**8 + n, "117.61.9.9"), attack="consent_farm_slow")
    for n in range(persons):
        event = t.person(t.at(day + persons // a_day + 1, 9 + n / 10), 10**8 + n)
        yield replace(event, attack="consent_farm_slow", learnt=n == 0)


def consent_script(
    t: Tenant, day: int, *, persons: int = 80, minutes: float = 50
) -> Iterator[Event]:
    """Consents on many devices, exchanged at once. Learnt: what forty persons' data tell; each of
    the first was consented to by whoever signed in as the person."""
    at, step = t.at(day, 13.1), timedelta(minutes=minutes) / persons
    for n in range(persons):
        ip = f"117.{100 + n % 50}.{n}.9"
        yield replace(t.consent(at + step * n, 10**8 + n, ip), attack="consent_script")
        event = t.person(at + step * n + timedelta(seconds=5), 10**8 + n)
        yield replace(event, attack="consent_script", learnt=n == 40)


def differencing(t: Tenant, day: int, *, number: int = 14, a_day: int = 3) -> Iterator[Event]:
    """Cohorts a few persons apart. Learnt: what ten refusals' distances tell."""
    asked = (
        t.cohort(t.at(day + n // a_day, t.office_hour()), t.rng.randrange(1, 20), "D804")
        for n in range(number)
    )
    return _marked("differencing", asked, 10)


def lattice(t: Tenant, day: int, *, number: int = 250, hours: float = 9) -> Iterator[Event]:
    """Every combination of attributes in a day. Learnt: two hundred of them."""
    calls = (t.cells(t.at(day, 9 + hours * n / number), shape=n) for n in range(number))
    return _marked("lattice", calls, 200)


def lattice_slow(t: Tenant, day: int, *, a_day: int = 20) -> Iterator[Event]:
    """Some new combinations every day."""
    calls = (
        t.cells(t.at(day + d, t.office_hour()), shape=d * a_day + n)
        for d in range(240 // a_day)
        for n in range(a_day)
    )
    return _marked("lattice_slow", calls, 200)


def canary(t: Tenant, day: int) -> Iterator[Event]:
    """A person that stands in no register. Learnt: that nothing is there, by the second try."""
    tries = (t.person(t.at(day, 11 + n), 0, "D601", subject="a-canary") for n in range(3))
    return _marked("canary", tries, 2)


def taken_key_by_day(t: Tenant, day: int, *, number: int = 40, every: float = 3) -> Iterator[Event]:
    """A copied key beside its owner, who works on at the same time. Learnt: twenty answers."""
    for n in range(number):
        at = t.at(day, 9.5) + timedelta(minutes=every) * n
        yield replace(
            t.cells(at, actor={"ip": f"{ELSEWHERE}.3.9"}), attack="taken_key_by_day", learnt=n == 19
        )
        yield t.cells(at + timedelta(minutes=every / 2))


def taken_key_by_night(t: Tenant, day: int, *, an_hour: int = 4) -> Iterator[Event]:
    """A copied key while its owner sleeps, slowly. Learnt: sixty answers."""
    calls = (
        t.cells(
            t.at(day + n // (6 * an_hour), n % (6 * an_hour) / an_hour),
            actor={"ip": f"{ELSEWHERE}.3.9"},
        )
        for n in range(90)
    )
    return _marked("taken_key_by_night", calls, 60)


def probing(t: Tenant, day: int, *, number: int = 45) -> Iterator[Event]:
    """What may one ask? Learnt: the scope, by forty refusals."""
    codes = ("D201", "D301", "D302", "D401", "D402", "D403", "D404", "D501", "D502", "D702")
    tries = (
        t.refused(t.at(day, 10 + n / 20), codes[n % 10], f"S{n % 23 + 1:02}") for n in range(number)
    )
    return _marked("probing", tries, 40)


def replayed_proofs(t: Tenant, day: int, *, number: int = 20) -> Iterator[Event]:
    """What was listened in on, again. Each is refused: twenty mark the end."""
    for n in range(number):
        audit = {"kind": "login", "result": "failed", "reason": "dpop_replayed", "count": 1}
        at = t.at(day, 12 + n / 30)
        actor = {"ip": f"{ELSEWHERE}.8.8"}
        yield Event(at, {**audit, "actor": actor}, {}, "replayed_proofs", learnt=n == 19)


def volume(t: Tenant, day: int, *, times: float = 25) -> Iterator[Event]:
    """As much as there is, in known shapes and by day. Learnt: fifteen usual days' cells, of thirty
    questions at least."""
    usual, size = max(30, t.usual_calls()) * t.size, 2000
    number = int(usual * times / size)
    calls = (t.cells(t.at(day, 9 + 9 * n / number), size=size) for n in range(number))
    return _marked("volume", calls, int(number * 15 / times))


def sweep(t: Tenant, day: int, *, number: int = 700) -> Iterator[Event]:
    """Persons with consents of another day, one after the other. Learnt: 650 persons in a day."""
    calls = (t.person(t.at(day, 8 + 11 * n / number), 10**7 + n) for n in range(number))
    return _marked("sweep", calls, 650)


Attack: TypeAlias = Callable[[Tenant, int], Iterator[Event]]
ATTACKS: tuple[Attack, ...] = (
    enumeration, enumeration_slow, night_with_own_key, quota_edge, consent_farm, consent_farm_slow,
    consent_script, differencing, lattice, lattice_slow, canary, taken_key_by_day,
    taken_key_by_night, probing, replayed_proofs, volume, sweep, night_slow,
)  # fmt: skip
"""Those on a tenant that worked normally before; `new_tenant` and `policy_mistake` are apart."""


def new_tenant(t: Tenant, _days: int = 0) -> Iterator[Event]:
    """Registered to take everything at once. Learnt: 100 000 cells."""
    calls = (t.cells(t.at(0, 9 + n / 12), size=1000) for n in range(150))
    return _marked("new_tenant", calls, 100)


def policy_mistake(tenants: list[Tenant], day: int) -> Iterator[Event]:
    """All that was withheld is told from a moment on. Learnt: fifty answers' worth of it."""
    calls = [
        t.cells(t.at(day, 10 + n / 40), shape=0, rate=0.02) for n in range(40) for t in tenants
    ]
    return _marked("policy_mistake", iter(calls), 50)
