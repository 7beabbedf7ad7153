"""Contributions of one block of persons (psn_clct_detl_d), and what they bring to each fund.

Employees pay by month: 2 % of the base themselves, which is their account's credit, and 8 % their
employer; flexible workers pay both. Residents pay once for a benefit year, most in the autumn
before it; the poor are paid for. The retired pay nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from synthetic.bureau.arrays import Array, Flags, Ints, sums
from synthetic.bureau.block import Block, City
from synthetic.bureau.columns import assemble, coded, constant, moments, money
from synthetic.bureau.days import DAYS, MONTH_OF, YEAR_START, month_starts
from synthetic.bureau.settings import ACTIVE, RESIDENT, document
from synthetic.bureau.tables_events import persons
from synthetic.warehouse.schema import TABLES

MONTHS = 48
_FLEXIBLE = 17  # of 100, as psn_insu_d has them
_EARLY = 85  # of 100 residents pay before the year begins


@dataclass(frozen=True)
class Paid:
    """Contributions in order of person and time: months counted from 2022-01, amounts in fen."""

    person: Ints
    resident: Flags
    first: Ints
    last: Ints
    day: Ints
    base: Ints
    own: Ints
    employer: Ints
    subsidy: Ints
    account: Ints


def paid(city: City, block: Block) -> Paid:
    """Everything the block's persons paid, or will have paid by the window's end."""
    parts = [_employees(city, block), _residents(city, block)]
    names = Paid.__dataclass_fields__
    whole = {name: np.concatenate([getattr(p, name) for p in parts]) for name in names}
    order = np.lexsort((whole["first"], whole["resident"], whole["person"]))
    return Paid(**{name: values[order] for name, values in whole.items()})


def _employees(city: City, block: Block) -> Paid:
    units, people = block.units, city.people
    mine = np.flatnonzero(units.group == ACTIVE)
    low, high = MONTH_OF[units.start[mine]], MONTH_OF[units.end[mine] - 1]
    unit = np.repeat(mine, high - low + 1)
    many = high - low + 1
    month = np.arange(len(unit)) - np.repeat(np.cumsum(many) - many, many) + np.repeat(low, many)
    person = units.person[unit]
    # A month belongs to the unit in which it begins, or to the person's first one.
    fresh = np.ones(len(unit), dtype=bool)
    fresh[1:] = (person[1:] != person[:-1]) | (month[1:] != month[:-1])
    unit, month, person = unit[fresh], month[fresh], person[fresh]
    credit = people.credit[person]
    day = np.maximum(month_starts()[month] + 4 + (person * 13 + month * 7) % 21, units.start[unit])
    flexible = person % 100 < _FLEXIBLE
    own = np.where(flexible, 5 * credit, credit)
    nothing = np.zeros(len(unit), dtype=np.int64)
    account = np.where(people.pooled_only[person], 0, credit)
    return Paid(
        person, nothing > 0, month, month, day, 50 * credit, own, np.where(flexible, 0, 4 * credit),
        nothing, account,
    )  # fmt: skip


def _residents(city: City, block: Block) -> Paid:
    units, people = block.units, city.people
    mine = np.flatnonzero(units.group == RESIDENT)
    staying = mine[units.end[mine] >= DAYS]
    person = np.concatenate([units.person[mine], units.person[staying]])
    year = np.concatenate([units.year[mine], np.full(len(staying), len(YEAR_START) - 1)])
    start = np.concatenate([units.start[mine], np.full(len(staying), DAYS)])
    joining = start > YEAR_START[year]
    turn = (person * 11 + year * 37) % 100
    early = YEAR_START[year] - 1 - (person * 7 + year) % 110
    day = np.where(turn < _EARLY, early, YEAR_START[year] + turn % 15 * 3)
    day = np.where(joining, start + person % 30, day)
    kept = day < DAYS
    person, year, start, day = person[kept], year[kept], start[kept], day[kept]
    rates = np.array(document("parameters")["resident_year"]) * 100
    own, subsidy = rates[year, 0], rates[year, 1]
    poor = people.special[person] > 0
    nothing = np.zeros(len(person), dtype=np.int64)
    return Paid(
        person, nothing == 0, MONTH_OF[start], year * 12 + 11, day, nothing,
        np.where(poor, 0, own), nothing, np.where(poor, own + subsidy, subsidy), nothing,
    )  # fmt: skip


def psn_clct(city: City, block: Block, found: Paid) -> pa.Table:
    """psn_clct_detl_d."""
    n = len(found.person)
    years = [f"{2022 + m // 12}{m % 12 + 1:02d}" for m in range(MONTHS + 12)]
    columns = {
        "psn_no": coded(found.person - block.first, persons(city, block)),
        "insutype": coded(found.resident, ["310", "390"]),
        "clct_type": constant("10", n),
        "clct_flag": constant("1", n),
        "accrym_begn": coded(found.first, years),
        "accrym_end": coded(found.last, years),
        "clct_time": moments(found.day * 86_400 + 32_400 + (found.person * 97) % 28_800),
        "clctstd_amt": money(found.base),
        "psn_clct_amt": money(found.own),
        "emp_clct_amt": money(found.employer),
        "fin_subs_amt": money(found.subsidy),
        "insu_admdvs": coded(city.people.county[found.person], city.names.county),
    }
    return assemble(TABLES["psn_clct_detl_d"], columns, n)


def income(found: Paid) -> Array:
    """Fen by [month (the last: before the window), scheme, pooled, account, subsidy]."""
    month = np.where(found.day < 0, MONTHS, MONTH_OF[np.maximum(found.day, 0)])
    cell = month * 2 + found.resident
    size = 2 * (MONTHS + 1)
    pooled = found.own + found.employer - found.account
    parts = [sums(cell, part, size) for part in (pooled, found.account, found.subsidy)]
    return np.stack(parts, axis=-1).reshape(MONTHS + 1, 2, 3)


def retired_credit(city: City, block: Block) -> Ints:
    """Fen a month that the pooled fund credits to accounts of the retired."""
    units, people = block.units, city.people
    held = (units.group != ACTIVE) & (units.group != RESIDENT) & ~people.pooled_only[units.person]
    mine = np.flatnonzero(held)
    low, high = MONTH_OF[units.start[mine]], MONTH_OF[units.end[mine] - 1]
    credit = people.credit[units.person[mine]]
    change = sums(low, credit, MONTHS + 1) - sums(high + 1, credit, MONTHS + 1)
    return np.cumsum(change)[:MONTHS]
