"""Drug lines of visits and pharmacy purchases: which generic, which product, how many."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache

import numpy as np

from synthetic.bureau.arrays import Flags, Ints, Reals, stream
from synthetic.bureau.catalogue import VBP_MONTH, VBP_VOLUME, Products, generic_names, generics
from synthetic.bureau.days import MONTH_OF, day_of
from synthetic.bureau.events import SHOP, Events
from synthetic.bureau.people import NEVER
from synthetic.bureau.settings import HERE, Run

REGIMENS = (
    "ari", "flu", "pneu", "htn", "dm", "chd", "stroke", "copd", "gi", "pain", "bone", "skin",
    "allergy", "gyn", "eye", "lipid", "uti", "cns", "psy", "lung", "onco", "hbv", "dementia",
    "epilepsy", "schizo", "thyroid", "ckd", "dialysis", "af", "none", "otc", "nego",
)  # fmt: skip
_CHRONIC = (
    "htn", "dm", "chd", "stroke", "copd", "bone", "lipid", "psy", "lung", "onco", "hbv",
    "dementia", "epilepsy", "schizo", "thyroid", "ckd", "af", "nego",
)  # fmt: skip
METFORMIN, SGLT2 = "A10BA02.oral", "A10BK01.oral"
_DRUG_SHARE = 0.52  # of a visit's amount per drug line's part, which doses approach
_MOST_DOSE = 4
SWITCH_HAZARD = 0.08  # per year; doubled from 2024-07 on (PT6)
SWITCH_DOUBLES = day_of("2024-07-01")


@dataclass(frozen=True)
class DrugLines:
    """One entry per prescribed product. `supply` is days of supply, 0 where not stated."""

    event: Ints
    product: Ints
    count: Ints
    price: Ints
    supply: Ints


@cache
def _table() -> tuple[tuple[Ints, Reals], ...]:
    """Per regimen the generics and their chances; metformin comes with planned refills only."""
    found: dict[str, tuple[list[int], list[float]]] = {name: ([], []) for name in REGIMENS}
    with (HERE / "regimens.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            found[row["regimen"]][0].append(generic_names().index(row["generic"]))
            found[row["regimen"]][1].append(float(row["share"]))
    return tuple((np.array(g, dtype=np.int64), np.array(p)) for g, p in found.values())


def switch_days(run: Run) -> Ints:
    """PT6: the day on which each person, if diabetic, goes from metformin to an SGLT2 inhibitor."""
    rng = stream(run.seed, "switch", run.cohort)
    early = SWITCH_DOUBLES / 365.25 * SWITCH_HAZARD
    load = rng.exponential(1.0, run.persons)
    late = SWITCH_DOUBLES + (load - early) / (2 * SWITCH_HAZARD) * 365.25
    day = np.where(load < early, load / SWITCH_HAZARD * 365.25, late)
    day = np.where(rng.random(run.persons) < 0.13, -1, day)
    return np.minimum(day, NEVER).astype(np.int64)


def prescribe(
    run: Run, block: int, events: Events, which: Flags, made: Products, *, switch: Ints
) -> DrugLines:
    """Drug lines of the visits and purchases under the mask."""
    rng = stream(run.seed, "drugs", block)
    event, generic = _generics(rng, events, which, switch)
    order = np.lexsort((generic, event))
    event, generic = event[order], generic[order]
    month = MONTH_OF[events.begin[event]]
    product = made.draw(rng, generic, month)
    price = made.price[product, np.minimum(month, 47)]
    per_pack = made.ddd_per_pack[product]
    lines = np.bincount(event, minlength=len(events))[event]
    budget = events.target[event] / lines
    count, supply = _quantity(
        rng, events, event, per_pack, price=made.price[product, 0], budget=budget
    )
    planned = np.isin(generic, [generic_names().index(n) for n in (METFORMIN, SGLT2)])
    days = np.where(planned, events.refill[event], 0)
    packs = np.maximum(1, np.rint(days / per_pack)).astype(np.int64)
    count = np.where(planned, packs, count)
    supply = np.where(planned, np.minimum(90, np.floor(packs * per_pack)), supply)
    supply = supply.astype(np.int64)
    return DrugLines(event, product, count, price, supply)


def _generics(
    rng: np.random.Generator, events: Events, which: Flags, switch: Ints
) -> tuple[Ints, Ints]:
    """(event, generic) pairs drawn from the regimen; a purchase has at least one."""
    event_parts, generic_parts = [], []
    boost = _awarded()
    for r, (options, chance) in enumerate(_table()):
        mine = np.flatnonzero(which & (events.regimen == r))
        if not len(mine) or not len(options):
            continue
        late = (MONTH_OF[events.begin[mine]] >= VBP_MONTH)[:, None]
        wanted = chance[None, :] * np.where(late & boost[options][None, :], VBP_VOLUME, 1.0)
        hit = rng.random((len(mine), len(options))) < wanted
        empty = ~hit.any(axis=1) & (events.kind[mine] == SHOP)
        hit[empty, rng.integers(0, len(options), int(empty.sum()))] = True
        hit &= np.cumsum(hit, axis=1) <= 5
        who, option = np.nonzero(hit)
        event_parts.append(mine[who])
        generic_parts.append(options[option])
    refill = np.flatnonzero(which & (events.refill > 0))
    old, new = generic_names().index(METFORMIN), generic_names().index(SGLT2)
    switched = events.begin[refill] >= switch[events.person[refill]]
    event_parts.append(refill)
    generic_parts.append(np.where(switched, new, old))
    return np.concatenate(event_parts), np.concatenate(generic_parts)


@cache
def _awarded() -> Flags:
    return np.array([g["kind"] == "P" for g in generics()])


def _quantity(
    rng: np.random.Generator, events: Events, event: Ints, per_pack: Reals, *, price: Ints,
    budget: Reals,
) -> tuple[Ints, Ints]:  # fmt: skip
    """Packs and days of supply: 14, 28 or 84 days for the chronically ill, a few days else.

    Where care is dear the daily dose is higher, up to `_MOST_DOSE` defined daily doses.

    `price` is that of the window's start: habits do not follow an award, so volume does not jump.
    """
    n = len(event)
    chronic = np.isin(events.regimen[event], [REGIMENS.index(name) for name in _CHRONIC])
    chance = rng.random(len(events))[event]
    long = np.where(chance < 0.35, 14, np.where(chance < 0.85, 28, 84))
    need = np.where(chronic, long, rng.integers(4, 8, n))
    packs = np.ceil(need / per_pack - 0.2)
    dose = np.clip(np.rint(_DRUG_SHARE * budget / np.maximum(packs * price, 1)), 1, _MOST_DOSE)
    packs = np.minimum(packs * dose, np.floor(0.7 * budget / price))
    shop = events.kind[event] == SHOP
    bought = np.clip(np.rint(budget / price), 1, np.ceil(90 / per_pack))
    count = np.maximum(1, np.where(shop, bought, packs)).astype(np.int64)
    daily = np.where(shop, 1.0, dose)
    supply = np.minimum(90, np.floor(count * per_pack / daily)).astype(np.int64)
    return count, np.where(chronic | (shop & (supply >= 14)), supply, 0)
