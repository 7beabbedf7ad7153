"""Everything that can be charged: drug products (monthly prices and shares) and services."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from synthetic.bureau.arrays import Array, Flags, Ints, Reals, stream
from synthetic.bureau.days import day_of, month_starts
from synthetic.warehouse.codes import rows

VBP_MONTH = 30  # 2024-07: PT1
VBP_START = "2024-07-01"
VBP_PRICE = 0.35
VBP_SHARE = 0.75
VBP_VOLUME = 1.111  # chance of a prescription; with fewer insured a year later volume is +8 %
EARLIER_VBP = "2021-10-01"
NEGO_START = "2024-01-01"
NEGO_DRUG = "A10BJ06.injection"
_MOST_MAKERS = 9
_MAKERS = 45
_ROUTE_LETTER = {"oral": "A", "injection": "B", "inhaled": "C", "topical": "D", "other": "E"}


@cache
def generics() -> tuple[dict[str, str], ...]:
    """Rows of the generic list, in order."""
    return rows("generics")


@cache
def generic_names() -> tuple[str, ...]:
    """'C08CA01.oral' … in the order of `generics`."""
    return tuple(f"{g['atc']}.{g['route']}" for g in generics())


@dataclass(frozen=True)
class Products:
    """Drug products: one per generic and maker. `price` is fen per pack by product and month."""

    generic: Ints
    maker: Ints
    selected: Flags
    price: Ints
    limit: Ints
    ddd_per_pack: Reals
    first: Ints
    running: Reals

    def draw(self, rng: np.random.Generator, generic: Ints, month: Ints) -> Ints:
        """A product of each generic by the makers' shares in that month."""
        running = self.running[generic, np.clip(month, 0, 47)]
        chance = rng.random(len(generic)).astype(np.float32)
        found: Ints = self.first[generic] + (chance[:, None] >= running).sum(axis=1)
        return found


def products(seed: int) -> Products:
    """The product list with the planted procurement award (PT1)."""
    rng = stream(seed, "products")
    generic: list[int] = []
    maker: list[int] = []
    selected: list[bool] = []
    price: list[Ints] = []
    first: list[int] = []
    running: list[Array] = []
    switch = _logistic()
    for g, row in enumerate(generics()):
        count = int(row["makers"])
        first.append(len(generic))
        chosen = _selected(row["kind"], count)
        makers = rng.choice(_MAKERS, count, replace=False)
        pack = _ddd_per_pack(row) * 100 * (1 + 0.05 * (rng.random(count) - 0.5))
        before, after = _shares(rng, row["kind"], chosen, count)
        share = before[None, :] * (1 - switch[:, None]) + after[None, :] * switch[:, None]
        lines = np.cumsum(share, axis=1) / share.sum(axis=1, keepdims=True)
        full = np.full((48, _MOST_MAKERS - 1), 2.0, dtype=np.float32)
        full[:, : count - 1] = lines[:, : count - 1]
        running.append(full)
        for m in range(count):
            generic.append(g)
            maker.append(int(makers[m]))
            selected.append(bool(chosen[m]))
            price.append(_prices(row, bool(chosen[m]), float(pack[m])))
    price_table = np.maximum(np.array(price), 10)
    chosen_all = np.array(selected)
    kind = np.array([generics()[g]["kind"] for g in generic])
    limited = np.isin(kind, ["V"]) & ~chosen_all
    limit = np.where(limited, price_table[:, 0] * 24 // 25, 0)
    per_pack = np.array([_ddd_per_pack(generics()[g]) for g in generic])
    return Products(
        np.array(generic), np.array(maker), chosen_all, price_table, limit, per_pack,
        np.array(first), np.stack(running),
    )  # fmt: skip


def _ddd_per_pack(row: dict[str, str]) -> float:
    return float(row["strength"]) * float(row["pac_cnt"]) / float(row["ddd"])


def _selected(kind: str, count: int) -> Array:
    """Originator (0) is never selected; of the others two thirds are."""
    chosen = np.zeros(count, dtype=bool)
    if kind in "VP":
        chosen[1 : 1 + max(1, (2 * (count - 1)) // 3)] = True
    return chosen


def _logistic() -> Reals:
    """Share of the switch done in each month: logistic over six weeks after the award."""
    middle = month_starts()[:48] + 15 - day_of(VBP_START) - 14
    return np.asarray(1 / (1 + np.exp(-middle / 5.0)), dtype=np.float64)


def _shares(rng: np.random.Generator, kind: str, chosen: Array, count: int) -> tuple[Reals, Reals]:
    """Makers' shares of volume before and after the award."""
    base = rng.dirichlet(np.full(count, 1.2)) + 0.02
    base /= base.sum()
    if kind not in "VP":
        return base, base
    won = base.copy()
    won[chosen] *= VBP_SHARE / won[chosen].sum()
    won[~chosen] *= (1 - VBP_SHARE) / won[~chosen].sum()
    return (won, won) if kind == "V" else (base, won)


def _prices(row: dict[str, str], chosen: bool, pack: float) -> Ints:
    """Fen per pack in each of the 48 months."""
    before, after = float(row["price_before"]), float(row["price_after"])
    price = np.full(48, before * pack)
    if row["kind"] == "V":
        price[:] = (after if chosen else before) * pack
    if row["kind"] == "P" and chosen:
        price[VBP_MONTH:] *= VBP_PRICE
    if row["kind"] in "KN":
        price[:] = after * pack
    fen: Ints = np.rint(price).astype(np.int64)
    return fen


def product_code(generic: int, serial: int) -> str:
    """National drug code: 23 characters X… (20 and Z for TCM patents), enterprise segment 99999."""
    row = generics()[generic]
    atc, letter = row["atc"], _ROUTE_LETTER[row["route"]]
    if atc.startswith("Z"):
        return f"Z{atc[1:5]}{atc[5:]}{letter}{generic:02d}{1:01d}{serial:02d}{0:02d}99999"
    return f"X{atc[:4]}{atc[4:]}{letter}1{letter}001{1:02d}{serial:02d}99999"


def maker_name(maker: int) -> str:
    """An obviously invented manufacturer."""
    return f"虚构制药{maker + 1:02d}厂"


@dataclass(frozen=True)
class Items:
    """All chargeable items: products first, then services. `lv` 1–3, `prop` in 1/10 000."""

    code: tuple[str, ...]
    name: tuple[str, ...]
    spec: tuple[str, ...]
    category: Ints
    list_type: tuple[str, ...]
    lv: Ints
    prop: Ints
    limit: Ints
    basic: Flags
    nego: Flags
    procured: Flags
    drugs: int

    def service(self, title: str) -> int:
        """Index of a service by its title."""
        return self.name.index(title, self.drugs)


def _spec(row: dict[str, str]) -> str:
    return f"{row['strength']}{row['unit']}×{row['pac_cnt']}"


def items(made: Products) -> Items:
    """The joint list of products and services."""
    drug = [generics()[g] for g in made.generic]
    service = rows("items")
    serial = np.arange(len(drug)) - made.first[made.generic] + 1
    codes = [product_code(int(g), int(s)) for g, s in zip(made.generic, serial, strict=True)]
    lv = [int(d["lv"]) for d in drug] + [int(s["lv"]) for s in service]
    prop = [{1: 0, 2: 1000, 3: 10_000}[int(d["lv"])] for d in drug]
    prop += [round(float(s["selfpay_prop"]) * 10_000) for s in service]
    tcm = [11 if d["atc"].startswith("Z") else 9 for d in drug]
    none = [False] * len(service)
    return Items(
        code=tuple(codes + [s["code"] for s in service]),
        name=tuple([d["title_zh"] for d in drug] + [s["title_zh"] for s in service]),
        spec=tuple([_spec(d) for d in drug] + [""] * len(service)),
        category=np.array(tcm + [int(s["parent"]) for s in service]),
        list_type=tuple(["101"] * len(drug) + [s["list_type"] for s in service]),
        lv=np.array(lv),
        prop=np.array(prop),
        limit=np.concatenate([made.limit, [int(s["limit"]) * 100 for s in service]]),
        basic=np.array([d["basic"] == "1" for d in drug] + none),
        nego=np.array([d["kind"] == "N" for d in drug] + none),
        procured=np.concatenate([made.selected, np.array(none)]),
        drugs=len(drug),
    )  # fmt: skip
