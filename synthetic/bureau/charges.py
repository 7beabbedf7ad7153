"""Service lines of outpatient visits: the consultation, and what fills the amount aimed at."""

from __future__ import annotations

from functools import cache

import numpy as np

from synthetic.bureau.arrays import Array, Flags, Ints, Reals, stream
from synthetic.bureau.catalogue import Items
from synthetic.bureau.events import VISIT, Events
from synthetic.bureau.lines import Lines
from synthetic.bureau.prescribing import REGIMENS
from synthetic.bureau.settings import Run
from synthetic.warehouse.codes import rows

_MIX = {
    "CT检查": 0.075, "彩色多普勒超声": 0.1, "磁共振检查": 0.02, "心电图": 0.06,
    "数字化摄影": 0.09, "电子胃镜": 0.02, "血常规": 0.15, "生化全套": 0.12, "凝血功能": 0.02,
    "肿瘤标志物": 0.02,
    "病原体核酸": 0.05, "静脉输液": 0.05, "针灸治疗": 0.06, "康复训练": 0.03, "雾化吸入": 0.03,
    "口腔治疗": 0.03, "门诊小手术": 0.03, "一次性耗材": 0.06, "进口特殊耗材": 0.01,
    "中药饮片": 0.15, "其他服务": 0.07, "挂号费": 0.03,
}  # fmt: skip

_UNCOVERED = np.array([1.18, 1.0, 0.7, 0.7])  # how often class C is chosen at level T, S, P, none


@cache
def choices(mix: tuple[tuple[str, float], ...]) -> Array:
    """Running weights of services by [level, service]; the dearer the level, the more class C."""
    uncovered = {r["title_zh"] for r in rows("items") if r["lv"] == "03"}
    weight = np.array([share for _, share in mix])
    out = np.array([name in uncovered for name, _ in mix])
    found = weight[None, :] * np.where(out[None, :], _UNCOVERED[:, None], 1.0)
    running = np.cumsum(found, axis=1)
    return np.asarray(running / running[:, -1:])


def chosen(rng: np.random.Generator, mix: dict[str, float], level: Ints, items: Items) -> Ints:
    """A service of the mix for each of the levels."""
    running = choices(tuple(mix.items()))
    index = (rng.random(len(level))[:, None] >= running[level]).sum(axis=1)
    options: Ints = np.array([items.service(name) for name in mix])
    found: Ints = options[np.minimum(index, len(mix) - 1)]
    return found


@cache
def prices() -> Array:
    """Fen by [service, level T/S/P/none] in the order of the item list."""
    return np.array(
        [[round(float(r[k]) * 100) for k in ("price_t", "price_s", "price_p", "price_p")]
         for r in rows("items")]
    )  # fmt: skip


def spread(event: Ints, weight: Reals, total: Ints) -> Ints:
    """Share each event's total over its lines by weight, in whole fen, never more than it."""
    whole = np.bincount(event, weights=weight, minlength=len(total))
    return np.floor(total[event] * (weight / whole[event])).astype(np.int64)


def priced(event: Ints, item: Ints, amount: Ints, *, level: Ints, day: Ints, drugs: int) -> Lines:
    """Lines near list price whose amounts come out as asked; whole counts."""
    listed = prices()[item - drugs, level]
    count = np.maximum(1, np.rint(amount / listed)).astype(np.int64)
    price = np.maximum(1, np.rint(amount / count)).astype(np.int64)
    return Lines(event, item, count, price, day, np.zeros(len(event), dtype=np.int64))


def outpatient(
    run: Run, block: int, events: Events, which: Flags, drugs: Ints, *, items: Items
) -> list[Lines]:
    """Consultation and service lines of the visits under the mask; `drugs` is Σ drug lines."""
    rng = stream(run.seed, "charges", block)
    visit = np.flatnonzero(which & (events.kind == VISIT))
    level = events.level[visit]
    desk = np.where(level == 2, items.service("一般诊疗费"), items.service("普通门诊诊察费"))
    fee = prices()[desk - items.drugs, level]
    zero = np.zeros(len(visit), dtype=np.int64)
    first = Lines(visit, desk, zero + 1, fee, events.begin[visit], zero)
    rest = np.maximum(events.target[visit] - drugs[visit] - fee, 0)
    chance = rng.random(len(visit))
    many = 1 + (chance < 0.62) + (chance < 0.32) * (rest > 12_000) + (rest > 40_000)
    many = np.where(rest >= 300, many, 0)
    event = np.repeat(visit, many)
    item = chosen(rng, _MIX, events.level[event], items)
    dialysis = events.regimen[event] == REGIMENS.index("dialysis")
    leading = np.diff(event, prepend=-1) != 0
    item = np.where(dialysis & leading, items.service("血液透析"), item)
    weight = np.exp(0.5 * rng.standard_normal(len(event)))
    weight *= np.where(dialysis & leading, 12.0, 1.0)
    weight *= np.sqrt(prices()[item - items.drugs, 0])
    total = np.zeros(len(events), dtype=np.int64)
    total[visit] = rest
    amount = spread(event, weight, total)
    kept = amount > 0
    event, item, amount = event[kept], item[kept], amount[kept]
    lines = priced(
        event, item, amount, level=events.level[event], day=events.begin[event],
        drugs=items.drugs,
    )  # fmt: skip
    return [first, lines]
