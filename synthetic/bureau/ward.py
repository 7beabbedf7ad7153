"""Inpatient lines, rolled to item and day: how a stay's cost falls on drugs and services."""

from __future__ import annotations

from functools import cache

import numpy as np

from synthetic.bureau.arrays import Array, Flags, Ints, Reals, stream, sums
from synthetic.bureau.catalogue import VBP_MONTH, VBP_VOLUME, Items, Products, generics
from synthetic.bureau.charges import chosen, priced, spread
from synthetic.bureau.days import MONTH_OF
from synthetic.bureau.events import STAY, Events
from synthetic.bureau.lines import Lines
from synthetic.bureau.settings import Run

# category: (share of amount medical, surgical; lines per day)
_PLAN = {
    "床位": (0.044, 0.030, 1.0),
    "护理": (0.044, 0.035, 1.0),
    "诊察": (0.022, 0.015, 1.0),
    "材料": (0.200, 0.380, 0.55),
    "化验": (0.145, 0.070, 0.85),
    "检查": (0.120, 0.060, 0.40),
    "治疗": (0.155, 0.080, 1.15),
    "手术": (0.070, 0.340, 0.15),
    "饮片": (0.014, 0.005, 0.08),
    "其他": (0.036, 0.025, 0.15),
}
_CHOICE = {
    "床位": {"普通床位费": 0.95, "监护床位费": 0.05},
    "护理": {"一级护理": 0.9, "特殊护理": 0.1},
    "诊察": {"住院诊察费": 1.0},
    "材料": {"一次性耗材": 0.62, "高值植入耗材": 0.13, "进口特殊耗材": 0.25},
    "化验": {
        "血常规": 0.3,
        "生化全套": 0.35,
        "凝血功能": 0.15,
        "肿瘤标志物": 0.1,
        "病原体核酸": 0.1,
    },
    "检查": {
        "CT检查": 0.3,
        "彩色多普勒超声": 0.35,
        "磁共振检查": 0.1,
        "心电图": 0.15,
        "电子胃镜": 0.1,
    },
    "治疗": {"静脉输液": 0.4, "氧气吸入": 0.2, "雾化吸入": 0.15, "康复训练": 0.15, "针灸治疗": 0.1},
    "手术": {"住院手术": 1.0},
    "饮片": {"中药饮片": 1.0},
    "其他": {"其他服务": 0.6, "远程会诊": 0.4},
}
_ONCE_A_DAY = 3  # the first three categories have one line per day, counted once
_DRUG_LINES = 2.1
_DRUG_SHARE = (0.90, 0.60)


def surgical(adrg: Array) -> Flags:
    """Surgical groups have a type letter A–J."""
    return np.array([a[1] <= "J" for a in adrg], dtype=bool)


def nights(events: Events) -> Ints:
    """Length of stay in days, at least one."""
    length: Ints = np.maximum(events.end - events.begin, 1)
    return length


def inpatient(
    run: Run, block: int, events: Events, which: Flags, operated: Flags, *,
    made: Products, items: Items,
) -> list[Lines]:  # fmt: skip
    """Drug and service lines of the stays under the mask; `operated` is per event."""
    rng = stream(run.seed, "ward", block)
    stay = np.flatnonzero(which & (events.kind == STAY))
    if not len(stay):
        return []
    drugs = _drugs(rng, events, stay, operated[stay], made)
    spent = sums(drugs.event, drugs.count * drugs.price, len(events))
    return [drugs, _services(rng, events, stay, operated[stay], spent=spent, items=items)]


@cache
def _ward_weights() -> tuple[Reals, Reals]:
    """How often each generic is given, before and after the procurement award (PT1)."""
    before = np.array([float(g["ip_weight"]) for g in generics()])
    won = np.array([g["kind"] == "P" for g in generics()])
    return before, np.where(won, before * VBP_VOLUME, before)


def _drugs(
    rng: np.random.Generator, events: Events, stay: Ints, operated: Flags, made: Products
) -> Lines:
    """Drug lines at catalogue prices, each near its part of the drug share, within safe doses."""
    length = nights(events)[stay]
    many = np.maximum(1, np.floor(length * _DRUG_LINES + rng.random(len(stay)))).astype(np.int64)
    event = np.repeat(stay, many)
    number = np.arange(len(event)) - np.repeat(np.cumsum(many) - many, many)
    day = np.minimum(
        events.begin[event] + number // 2, np.maximum(events.end[event] - 1, events.begin[event])
    )
    month = MONTH_OF[day]
    chance = rng.random(len(event))
    before, after = (np.cumsum(weights) for weights in _ward_weights())
    generic = np.where(
        month < VBP_MONTH,
        np.searchsorted(before, chance * before[-1], side="right"),
        np.searchsorted(after, chance * after[-1], side="right"),
    )
    product = made.draw(rng, generic, month)
    price = made.price[product, np.minimum(month, 47)]
    share = np.repeat(np.where(operated, _DRUG_SHARE[1], _DRUG_SHARE[0]), many)
    budget = events.target[event] * share / np.repeat(many, many)
    most = np.ceil(6 / made.ddd_per_pack[product])
    count = np.clip(np.rint(budget / made.price[product, 0]), 1, most).astype(np.int64)
    kept = price < 4 * budget
    kept[np.cumsum(many) - many] = True
    zero = np.zeros(len(event), dtype=np.int64)
    kept &= (price * count) < 0.5 * events.target[event]
    return Lines(event, product, count, price, day, zero).take(kept)


def _services(
    rng: np.random.Generator, events: Events, stay: Ints, operated: Flags, *, spent: Ints,
    items: Items,
) -> Lines:  # fmt: skip
    """Everything else: fills the stay's cost up to a rounding of fen per line."""
    length = nights(events)[stay]
    share = np.array([p[:2] for p in _PLAN.values()])[:, operated.astype(np.int64)].T
    per_day = np.array([p[2] for p in _PLAN.values()])
    many = np.floor(length[:, None] * per_day[None, :] + rng.random(share.shape))
    many[:, :_ONCE_A_DAY] = length[:, None]
    treatment = list(_PLAN).index("治疗")
    many[:, treatment] = np.maximum(many[:, treatment], 1)
    many = np.where(share > 0, many, 0).astype(np.int64).ravel()
    row = np.repeat(np.arange(len(many)), many)
    event, category = stay[row // len(_PLAN)], row % len(_PLAN)
    number = np.arange(len(row)) - np.repeat(np.cumsum(many) - many, many)
    days_in = nights(events)[event]
    at = number * days_in // np.maximum(many[row], 1)
    item = _items(rng, category, events.level[event], items)
    weight = share.ravel()[row] / np.maximum(many[row], 1)
    weight = weight * np.exp(0.35 * rng.standard_normal(len(row)) * (category >= _ONCE_A_DAY))
    total = np.maximum(events.target - spent, 0)
    amount = np.maximum(spread(event, weight, total), 1)
    lines = priced(
        event, item, amount, level=events.level[event], day=events.begin[event] + at,
        drugs=items.drugs,
    )  # fmt: skip
    once = category < _ONCE_A_DAY
    return Lines(
        lines.event, lines.item, np.where(once, 1, lines.count),
        np.where(once, amount, lines.price), lines.day, lines.supply,
    )  # fmt: skip


def _items(rng: np.random.Generator, category: Ints, level: Ints, items: Items) -> Ints:
    """An item of each line's category."""
    out = np.zeros(len(category), dtype=np.int64)
    for c, name in enumerate(_PLAN):
        mine = np.flatnonzero(category == c)
        out[mine] = chosen(rng, _CHOICE[name], level[mine], items)
    return out
