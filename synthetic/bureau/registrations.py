"""Registrations for chronic and special outpatient care (opsp_reg_d) of one block of persons."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from synthetic.bureau.arrays import Array, Ints
from synthetic.bureau.block import Block, City
from synthetic.bureau.columns import assemble, coded, dates, padded
from synthetic.bureau.days import DAYS
from synthetic.bureau.events import MED
from synthetic.bureau.institutions import LOCAL, SECONDARY, TERTIARY
from synthetic.bureau.people import CONDITIONS, NEVER, People
from synthetic.bureau.settings import RESIDENT
from synthetic.bureau.tables_events import persons
from synthetic.bureau.visits import DISEASES, registered
from synthetic.warehouse.schema import TABLES

TITLES = (
    "高血压",
    "糖尿病",
    "冠心病",
    "脑血管病后遗症",
    "慢性阻塞性肺疾病",
    "血液透析",
    "恶性肿瘤",
)
_REGISTERED_VISITS = (MED["140104"], MED["140201"])
_LONG_AGO = 0.55  # of those insured when the window begins registered before it
_YEARS_AGO = 1400  # days at most


def opsp_reg(city: City, block: Block) -> pa.Table:
    """opsp_reg_d: one row per person, disease and scheme, none later than the first visit."""
    people = city.people
    person, condition, second = _pairs(people, block)
    start, end = _spells(people, person, second)
    begin = np.where(second, start, _begin(block, person, condition, start))
    begin = np.minimum(begin, end - 1)
    group = np.where(second, people.group[1][person], people.group[0][person])
    n = len(person)
    where = _certifiers(city)[(person * 17 + condition) % len(_certifiers(city))]
    doctors = [f"D{r}{i:03d}001" for i, r in enumerate(city.places.region)]
    columns = {
        "trt_dcla_detl_sn": padded(f"990100T{block.number:04d}", np.arange(n), 8),
        "psn_no": coded(person - block.first, persons(city, block)),
        "insutype": coded(group == RESIDENT, ["310", "390"]),
        "opsp_dise_code": coded(condition, DISEASES),
        "opsp_dise_name": coded(condition, TITLES),
        "ide_fixmedins_no": coded(where, city.places.code),
        "hosp_ide_date": dates(begin - 1 - (person * 5 + condition) % 14),
        "diag_dr_codg": coded(where, doctors),
        "begndate": dates(begin),
        "enddate": dates(np.where(end < DAYS, end, 0), end < DAYS),
    }
    return assemble(TABLES["opsp_reg_d"], columns, n)


def _pairs(people: People, block: Block) -> tuple[Ints, Ints, Array]:
    """(person, condition, whether in the second scheme) of every registration, by person."""
    who = np.arange(block.first, block.last)
    every = np.arange(len(CONDITIONS))
    held = people.condition[who] & registered(who[:, None], every[None, :])
    held &= (people.group[0][who] >= 0)[:, None]
    row, condition = np.nonzero(held)
    person = who[row]
    moved = people.group[1][person] >= 0
    moved &= (people.group[0][person] == RESIDENT) != (people.group[1][person] == RESIDENT)
    index = np.repeat(np.arange(len(person)), 1 + moved)
    second = np.diff(index, prepend=-1) == 0
    return person[index], condition[index], second


def _spells(people: People, person: Ints, second: Array) -> tuple[Ints, Ints]:
    """First day insured in the scheme, and the first day no longer in it (NEVER while insured)."""
    first_group, later_group = people.group[0][person], people.group[1][person]
    same = (later_group >= 0) & ((first_group == RESIDENT) == (later_group == RESIDENT))
    start = np.where(second, people.start[1][person], people.start[0][person])
    end = np.where(second | same, people.end[1][person], people.end[0][person])
    return start, np.minimum(end, NEVER)


def _begin(block: Block, person: Ints, condition: Ints, start: Ints) -> Ints:
    """Before the window for many of the long insured, else some day up to the first visit."""
    first = np.full((block.last - block.first, len(CONDITIONS)), DAYS - 1)
    events = block.events
    used = np.flatnonzero(np.isin(events.med, _REGISTERED_VISITS) & (events.disease >= 0))
    np.minimum.at(
        first, (events.person[used] - block.first, events.disease[used]), events.begin[used]
    )
    turn = (person * 7919 + condition * 104_729) % 10_007 / 10_007
    before = (start <= 0) & (turn < _LONG_AGO)
    some_day = start + (turn * 3701 % 1 * (DAYS - 30)).astype(np.int64)
    some_day = np.maximum(np.minimum(some_day, first[person - block.first, condition]), start)
    return np.where(before, -1 - (turn / _LONG_AGO * _YEARS_AGO).astype(np.int64), some_day)


def _certifiers(city: City) -> Ints:
    return np.concatenate([city.places.pool(level, LOCAL) for level in (TERTIARY, SECONDARY)])
