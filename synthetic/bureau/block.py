"""Everything known about one block of persons before it becomes tables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthetic.bureau import days, encounters, visits
from synthetic.bureau.arrays import Array, Flags, Ints, sums
from synthetic.bureau.benefit import Payments
from synthetic.bureau.catalogue import Items, Products
from synthetic.bureau.charges import outpatient
from synthetic.bureau.devices import Devices
from synthetic.bureau.dip import Dip
from synthetic.bureau.enrolment import Enrolment, Units
from synthetic.bureau.events import STAY, Events, joined
from synthetic.bureau.grouping import Grouping, Standards
from synthetic.bureau.institutions import Institutions
from synthetic.bureau.lines import Lines, Split, split
from synthetic.bureau.lines import joined as joined_lines
from synthetic.bureau.negotiated import Users, purchases
from synthetic.bureau.operations import Operations
from synthetic.bureau.people import People
from synthetic.bureau.policy import policy
from synthetic.bureau.prescribing import prescribe
from synthetic.bureau.rates import Rates
from synthetic.bureau.rings import meetings
from synthetic.bureau.settings import Run
from synthetic.bureau.settlements import Settlements, has_lines, headers, pay
from synthetic.bureau.stays import Stays
from synthetic.bureau.tables_base import Names
from synthetic.bureau.therapy import Refills
from synthetic.bureau.ward import inpatient


@dataclass(frozen=True)
class City:
    """What all blocks share, read-only."""

    run: Run
    people: People
    units: Units
    rates: Rates
    enrolment: Enrolment
    places: Institutions
    products: Products
    items: Items
    stays: Stays
    grouping: Grouping
    operations: Operations
    dip: Dip
    standards: Standards
    devices: Devices
    refills: Refills
    switch: Ints
    nego: Users
    names: Names


@dataclass(frozen=True)
class Block:
    """One block: encounters, settlements, payments, lines, all in output order."""

    number: int
    first: int
    last: int
    units: Units
    stays: Stays
    grouping: Grouping
    operations: Operations
    dip: Dip
    events: Events
    settlements: Settlements
    payments: Payments
    lines: Lines
    split: Split
    where: Ints


def live(city: City, number: int) -> Block:
    """Simulate the persons of one block."""
    first, last = city.run.part(number)
    low, high = np.searchsorted(city.units.person, [first, last])
    units = city.units.part(first, last)
    mine = np.arange(*np.searchsorted(city.stays.person, [first, last]))
    stays, grouping = city.stays.take(mine), city.grouping.take(mine)
    events = _events(city, number, units, stays, slice(low, high))
    lines = _lines(city, number, events, grouping)
    parts = split(lines, city.items)
    made, where = headers(city.run, number, events, lines, parts)
    payments = pay(city.people, units, events, made, policy())
    return Block(
        number, first, last, units, stays, grouping, city.operations.take(mine),
        city.dip.take(mine), events, made, payments, lines, parts, where,
    )  # fmt: skip


def _events(city: City, number: int, units: Units, stays: Stays, part: slice) -> Events:
    run, people, places = city.run, city.people, city.places
    seen = visits.attend(
        run, number, people, units, city.rates.visit[part], places=places, stays=stays,
        planned=city.refills.part(part.start, part.stop),
    )  # fmt: skip
    bought = encounters.shop(
        run, number, people, units, city.rates.pharmacy[part], places=places, stays=stays
    )
    nego = purchases(run, number, units, city.nego, places=places, stays=stays)
    ring = meetings(run, number, people, units, places=places, stays=stays)
    nights = encounters.hospital(run, number, units, stays, int(part.start))
    return joined([seen, bought, nego, ring, nights])


def _lines(city: City, number: int, events: Events, grouping: Grouping) -> Lines:
    wanted: Flags = has_lines(events)
    run, items = city.run, city.items
    drugs = prescribe(
        run, number, events, wanted & (events.kind != STAY), city.products, switch=city.switch
    )
    spent = sums(drugs.event, drugs.count * drugs.price, len(events))
    operated: Array = np.zeros(len(events), dtype=bool)
    stay = events.stay >= 0
    operated[stay] = grouping.operated[events.stay[stay]]
    parts = [Lines(drugs.event, drugs.product, drugs.count, drugs.price,
                   events.begin[drugs.event], drugs.supply)]  # fmt: skip
    parts += outpatient(run, number, events, wanted, spent, items=items)
    parts += inpatient(run, number, events, wanted, operated, made=city.products, items=items)
    whole = joined_lines(parts)
    return whole.take(whole.day < days.DAYS)
