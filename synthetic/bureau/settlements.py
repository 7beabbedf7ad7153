"""Settlements of one block: which encounters are settled when, header amounts, and the payments."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthetic.bureau import days, policy
from synthetic.bureau.arrays import Array, Flags, Ints, ranks, stream, sums
from synthetic.bureau.benefit import Claims, Payments, settle
from synthetic.bureau.enrolment import Units
from synthetic.bureau.events import MED, Events
from synthetic.bureau.institutions import LOCAL
from synthetic.bureau.lines import Lines, Split
from synthetic.bureau.people import People
from synthetic.bureau.policy import Policy
from synthetic.bureau.settings import RESIDENT, RETIRED, Run

INTERIM, CLOSING = 0, 1
REFUND_DELAY = 900  # seconds between a settlement and its refund


@dataclass(frozen=True)
class Settlements:
    """One entry per settlement (refunds are added on output), by person and time."""

    event: Ints
    part: Ints
    day: Ints
    second: Ints
    refund: Flags
    medfee: Ints
    own: Ints
    over: Ints
    pre: Ints
    scope: Ints

    def __len__(self) -> int:
        return len(self.event)


def boundary(events: Events) -> Ints:
    """Last day of the first part of a stay settled in two parts."""
    return events.begin + (events.end - events.begin) // 2


def has_lines(events: Events) -> Flags:
    """Fee lines exist for what is settled from 2023 on, and for what is not settled yet."""
    out: Flags = events.settle >= days.LINES_FROM
    return out


def schedule(events: Events) -> tuple[Ints, Ints, Ints, Ints]:
    """(event, part, day, second) of every settlement inside the window, by person and time."""
    closed = np.flatnonzero((events.settle < days.DAYS) & (events.end < days.DAYS))
    middle = boundary(events)
    interim = np.flatnonzero(events.mid & (middle < days.DAYS))
    event = np.concatenate([interim, closed])
    part = np.repeat([INTERIM, CLOSING], [len(interim), len(closed)])
    day = np.concatenate([middle[interim], events.settle[closed]])
    second = np.concatenate([np.full(len(interim), 20 * 3600), events.settle_second[closed]])
    order = np.lexsort((event, second, day, events.person[event]))
    return event[order], part[order], day[order], second[order]


def assign(events: Events, lines: Lines, event: Ints, part: Ints) -> Ints:
    """Settlement of each line, -1 while unsettled."""
    position = np.full((len(events), 2), -1)
    position[event, part] = np.arange(len(event))
    first = events.mid[lines.event] & (lines.day <= boundary(events)[lines.event])
    return position[lines.event, np.where(first, INTERIM, CLOSING)]


def headers(
    run: Run, block: int, events: Events, lines: Lines, split: Split
) -> tuple[Settlements, Ints]:
    """Settlements with header amounts = Σ lines (2022: sampled), and each line's settlement."""
    event, part, day, second = schedule(events)
    where = assign(events, lines, event, part)
    inside = where >= 0
    n = len(event)
    total = {
        name: sums(where[inside], getattr(split, name)[inside], n)
        for name in ("amount", "own", "over", "pre", "scope")
    }
    light = ~has_lines(events)[event]
    amount = np.where(light, events.target[event], total["amount"])
    rng = stream(run.seed, "light-headers", block)
    cuts = _light(rng, events, event, amount)
    own, over, pre = (
        np.where(light, cut, total[name])
        for cut, name in zip(cuts, ("own", "over", "pre"), strict=True)
    )
    refund = events.refund[event] & (part == CLOSING)
    scope = amount - own - over - pre
    made = Settlements(event, part, day, second, refund, amount, own, over, pre, scope)
    return made, where


def _light(
    rng: np.random.Generator, events: Events, event: Ints, amount: Ints
) -> tuple[Ints, Ints, Ints]:
    """Own pay, over limit and pre-self-pay of headers without lines: §3.5 shares by level."""
    level = events.level[event]
    noise = np.exp(0.4 * rng.standard_normal((3, len(event))) - 0.08)
    share = np.array(
        [[0.09, 0.07, 0.05, 0.06], [0.01, 0.007, 0.005, 0.0], [0.06, 0.05, 0.045, 0.04]]
    )
    own, over, pre = (
        np.floor(amount * np.minimum(s[level] * z, 0.3)).astype(np.int64)
        for s, z in zip(share, noise, strict=True)
    )
    return own, over, pre


def pay(people: People, units: Units, events: Events, made: Settlements, rules: Policy) -> Payments:
    """Run the benefit engine over the block's settlements."""
    return settle(claims(people, units, events, made, rules), rules)


def claims(
    people: People, units: Units, events: Events, made: Settlements, rules: Policy
) -> Claims:
    """The engine's view of the settlements."""
    event = made.event
    person, unit = events.person[event], events.unit[event]
    group = units.group[unit]
    resident = group == RESIDENT
    kind = kinds(events.med)[event]
    year = days.YEAR_OF[made.day]
    joined = np.where(people.group[0] != RESIDENT, people.start[0], people.start[1])
    since = days.MONTH_OF[np.clip(joined, 0, days.DAYS - 1)][person]
    months = np.maximum(days.MONTH_OF[made.day] - since + 1, 0)
    filed = ((person * 13 + 5) % 100) < rules.filed * 100
    return Claims(
        person=person,
        year=year,
        kind=kind,
        resident=resident,
        retired=group == RETIRED,
        account=~resident & ~people.pooled_only[person],
        civil=people.civil[person] & ~resident,
        special=np.where(resident, people.special[person], 0),
        level=events.level[event],
        away=(events.place[event] != LOCAL) & ~filed,
        two=np.where(kind == policy.TWO, events.disease[event], -1),
        continued=events.mid[event] & (made.part == CLOSING),
        void=made.refund,
        medfee=made.medfee,
        inscp=made.scope,
        credit=people.opening[person] + people.credit[person] * months,
        yearly=np.isin(kind, (policy.STAY, policy.SPECIAL, policy.BIRTH, policy.ANTENATAL)),
        major=resident & np.isin(kind, (policy.STAY, policy.SPECIAL, policy.BIRTH)),
    )


def kinds(med: Array) -> Ints:
    """How the engine treats a medical category."""
    table = np.full(len(MED), policy.VISIT)
    for codes, kind in (
        (("21", "22", "24", "28"), policy.STAY),
        (("52", "2106", "2107"), policy.BIRTH),
        (("140104", "140201"), policy.SPECIAL),
        (("1403",), policy.TWO),
        (("51",), policy.ANTENATAL),
        (("41",), policy.SHOP),
    ):
        for code in codes:
            table[MED[code]] = kind
    out: Ints = table[med]
    return out


def with_refunds(made: Settlements) -> tuple[Ints, Flags]:
    """Output rows: position of the settlement, and whether the row is its refund."""
    row = np.repeat(np.arange(len(made)), 1 + made.refund)
    return row, ranks(row) == 1
