"""The consumables catalogue, and which of its products each line of a consumable is.

The ward and the surgery charge three plain kinds of consumables. A line keeps its amount and its
catalogue class; by its unit price and, for most, by the case group it becomes a product: a stent in
a stenting group, a joint in a joint replacement.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pyarrow as pa

from synthetic.bureau.arrays import Array, Flags, Ints, Reals, stream
from synthetic.bureau.catalogue import Items
from synthetic.bureau.columns import assemble, coded, constant, dates
from synthetic.bureau.days import day_of
from synthetic.bureau.diagnoses import read
from synthetic.bureau.events import Events
from synthetic.bureau.lines import Lines
from synthetic.bureau.settings import Run
from synthetic.bureau.stays import Stays
from synthetic.warehouse.codes import rows
from synthetic.warehouse.schema import TABLES

BASES = ("一次性耗材", "高值植入耗材", "进口特殊耗材")
_EDGES = np.array([[2_000, 4_500], [40_000, 150_000], [20_000, 50_000]])  # fen a unit
_BANDS = 3
_SPECIAL = 0.85  # of the lines for which their case group has consumables of its own
_SELECTED = 0.75  # of volume, in a procurement batch
_BEGUN = {"MCS-SYN-01": "2021-01-01", "MCS-SYN-02": "2022-06-01"}
_MAKERS = 30


@cache
def kinds() -> tuple[dict[str, str], ...]:
    """Rows of the list of generic consumables."""
    return rows("mcs_generic")


@dataclass(frozen=True)
class Devices:
    """Products, by generic and maker; `running` are the makers' running shares per generic."""

    generic: Ints
    maker: Ints
    selected: Flags
    code: tuple[str, ...]
    name: tuple[str, ...]
    first: Ints
    running: Reals


def devices(seed: int) -> Devices:
    """The product list; shares of makers do not change in the window."""
    rng = stream(seed, "devices")
    many = np.array([int(k["makers"]) for k in kinds()])
    generic = np.repeat(np.arange(len(many)), many)
    first = np.cumsum(many) - many
    serial = np.arange(len(generic)) - first[generic]
    running = np.full((len(many), int(many.max())), 2.0)
    maker, selected = np.zeros(len(generic), dtype=np.int64), np.zeros(len(generic), dtype=bool)
    for g, count in enumerate(many):
        mine = slice(first[g], first[g] + count)
        maker[mine] = rng.choice(_MAKERS, count, replace=False)
        share = rng.dirichlet(np.full(count, 1.2)) + 0.02
        if kinds()[g]["vbp"]:
            won = np.arange(count) % 3 != 0
            share[won] *= _SELECTED / share[won].sum()
            share[~won] *= (1 - _SELECTED) / share[~won].sum()
            selected[mine] = won
        running[g, : count - 1] = np.cumsum(share / share.sum())[:-1]
    labels = [kinds()[g] for g in generic]
    code = tuple(f"{k['code']}{s + 1:05d}99999" for k, s in zip(labels, serial, strict=True))
    return Devices(
        generic, maker, selected, code, tuple(k["title_zh"] for k in labels), first, running
    )


@cache
def _choices() -> tuple[Array, Array]:
    """Generics on offer, -1 where there are no more, by [base, band] and by [entry, base, band]."""
    entries = read("stays").entry
    most = 6
    common = np.full((len(BASES), _BANDS, most), -1)
    special = np.full((len(entries), len(BASES), _BANDS, most), -1)
    for g, kind in enumerate(kinds()):
        base, groups = BASES.index(kind["base"]), kind["adrg"].split(";")
        for band in map(int, kind["band"].split(";")):
            if groups == [""]:
                _append(common[base, band], g)
            for e, entry in enumerate(entries):
                if any(_within(entry, part) for part in groups if part):
                    _append(special[e, base, band], g)
    return common, special


def _within(entry: dict[str, str], part: str) -> bool:
    """Whether a stay of that kind lies in a case group, or in `group:diagnosis`."""
    adrg, _, dx = part.partition(":")
    return entry["adrg"] == adrg and entry["code"].startswith(dx)


def _append(offered: Array, generic: int) -> None:
    offered[int((offered >= 0).sum())] = generic


def labelled(
    run: Run, block: int, made: Devices, items: Items, *, events: Events, stays: Stays, lines: Lines
) -> Ints:
    """Catalogue index of each line; consumables are counted on behind the other items."""
    rng = stream(run.seed, "device-lines", block)
    base = np.full(len(items.code), -1)
    for b, name in enumerate(BASES):
        base[items.service(name)] = b
    mine = np.flatnonzero(base[lines.item] >= 0)
    which = base[lines.item[mine]]
    band = (lines.price[mine, None] >= _EDGES[which]).sum(axis=1)
    stay = events.stay[lines.event[mine]]
    common, special = _choices()
    entry = np.append(stays.entry, 0)[stay]  # lines of no stay take the last, unseen
    own = special[entry, which, band]
    usual = common[which, band]
    chance, turn, share = rng.random((3, len(mine)))
    named = (stay >= 0) & (own[:, 0] >= 0) & ((chance < _SPECIAL) | (usual[:, 0] < 0))
    offered = np.where(named[:, None], own, usual)
    at = np.floor(turn * (offered >= 0).sum(axis=1)).astype(np.int64)
    generic = offered[np.arange(len(mine)), at]
    product = made.first[generic] + (share[:, None] >= made.running[generic]).sum(axis=1)
    out = lines.item.copy()
    out[mine] = len(items.code) + product
    return out


def mcs_cat(made: Devices, items: Items) -> pa.Table:
    """mcs_cat_b."""
    n = len(made.code)
    kind = [kinds()[g] for g in made.generic]
    base = np.array([items.service(k["base"]) for k in kind])
    batch = [k["vbp"] for k in kind]
    bought = np.array([bool(b) for b in batch])
    since = np.array([day_of(_BEGUN.get(b, "2020-01-01")) for b in batch])
    columns = {
        "med_list_codg": pa.array(made.code),
        "mcs_generic": pa.array([k["code"] for k in kind]),
        "mcs_genname": pa.array(made.name),
        "reg_name": pa.array(made.name),
        "mcs_class1": pa.array([k["code"][:3] for k in kind]),
        "mcs_class2": pa.array([k["code"][:5] for k in kind]),
        "mcs_class3": pa.array([k["parent"] for k in kind]),
        "mat_unt": constant("个", n),
        "prodentp_name": pa.array([f"虚构器械{m + 1:02d}厂" for m in made.maker]),
        "list_type": constant("301", n),
        "chrgitm_lv": coded(items.lv[base] - 1, ["01", "02", "03"]),
        "vbp_batch": pa.array([b or None for b in batch], pa.string()),
        "vbp_selected_flag": coded(np.where(bought, made.selected, -1), ["0", "1"]),
        "vbp_begndate": dates(since, bought),
        "begndate": dates(np.full(n, day_of("2020-01-01"))),
        "ver": constant("MCS-SYN-2026.1", n),
    }
    return assemble(TABLES["mcs_cat_b"], columns, n).sort_by("med_list_codg")
