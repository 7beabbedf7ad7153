"""Drug sales with trace codes (sel_trac_d) of one block: pharmacies from 2025 on, clinics later.

PT12: sixty codes are sold twice, each at two pharmacies. PT7: one clinic swaps codes: what it hands
out, and therefore scans, is a cheaper product than the one it bills.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synthetic.bureau.arrays import Array, Flags, Ints, stream
from synthetic.bureau.block import Block, City
from synthetic.bureau.columns import assemble, coded, constant, dates, decimal, moments, padded
from synthetic.bureau.days import day_of
from synthetic.bureau.events import SHOP, VISIT
from synthetic.bureau.institutions import LOCAL, PRIMARY, Institutions
from synthetic.bureau.settings import BLOCK, PERSONS
from synthetic.bureau.tables_events import settlement_ids
from synthetic.warehouse.schema import TABLES

DUPLICATES = 60  # PT12
SWAPPED_SHARE = 0.30  # PT7: of the packs the clinic hands out
_FROM = {SHOP: day_of("2025-01-01"), VISIT: day_of("2025-07-01")}
_SPLIT_SHARE = 0.01
SHELF_LIFE = 1096  # days
_YOUNGEST, _OLDEST = 60, 500  # days between manufacture and sale


@dataclass(frozen=True)
class Packs:
    """One entry per pack, half a pack where it was split. `code` counts codes within the block."""

    line: Ints
    product: Ints
    code: Ints
    split: Flags
    made: Ints

    def take(self, index: Array) -> Packs:
        """The packs at these positions."""
        return Packs(*(getattr(self, f.name)[index] for f in fields(self)))


def swapping_clinic(places: Institutions) -> int:
    """PT7: the planted clinic, a primary institution in county 990101."""
    return int(places.pool(PRIMARY, LOCAL)[2])


def sold_packs(city: City, block: Block) -> Packs:
    """The packs of what was settled and not undone, in the order of their lines."""
    rng = stream(city.run.seed, "tracing", block.number)
    return _resold(rng, city, block, _scanned(rng, city, block))


def sel_trac(city: City, block: Block, packs: Packs) -> pa.Table:
    """sel_trac_d: a row per pack."""
    lines, events, items = block.lines, block.events, city.items
    line, n = packs.line, len(packs.line)
    event = lines.event[line]
    inst, day = events.inst[event], lines.day[line]
    moment = np.minimum(day * 86_400 + events.second[event] + 20, day * 86_400 + 86_399)
    prescribed = np.array([lv > 1 for lv in items.lv])[packs.product]
    columns = {
        "sel_sn": padded(f"990100L{block.number:04d}", np.arange(n), 8),
        "fixmedins_code": coded(inst, city.places.code),
        "med_list_codg": coded(packs.product, items.code),
        "fixmedins_bchno": padded("B", packs.product * 1000 + packs.made // 30 % 1000, 8),
        "manu_lotnum": lot_numbers(packs.made),
        "manu_date": dates(packs.made),
        "expy_end": dates(packs.made + SHELF_LIFE),
        "rx_flag": coded(prescribed, ["0", "1"]),
        "trdn_flag": coded(packs.split, ["0", "1"]),
        "finl_trns_pric": decimal(lines.price[line] * 10_000, 16, 6),
        "sel_retn_cnt": decimal(np.where(packs.split, 5_000, 10_000), 16, 4),
        "sel_retn_time": moments(moment),
        "rtal_docno": padded(f"D{block.number:04d}", event, 8),
        "mdtrt_setl_type": constant("1", n),
        "setl_id": settlement_ids(block, block.where[line], np.zeros(n, dtype=bool)),
        "drug_trac_codg": pack_codes(block, packs.product, packs.code),
    }
    return assemble(TABLES["sel_trac_d"], columns, n)


def lot_numbers(made: Ints) -> pa.Array:
    """A product's lot is what was made of it on a day."""
    return padded("L", np.maximum(made + 2000, 0), 8)


def pack_codes(block: Block, product: Ints, code: Ints, series: int = 9) -> pa.Array:
    """Twenty digits: seven of the product, thirteen of the pack; `series` is the first of these."""
    head = padded("899", product, 4)
    return pc.binary_join_element_wise(head, padded(f"{series}{block.number:04d}", code, 8), "")


def _scanned(rng: np.random.Generator, city: City, block: Block) -> Packs:
    """Packs of every traced line, a few split into halves that share their code."""
    lines, events = block.lines, block.events
    event = lines.event
    kind, where = events.kind[event], block.where
    local = (city.places.level == PRIMARY) & (city.places.place == LOCAL)
    begun = np.where(kind == SHOP, _FROM[SHOP], _FROM[VISIT])
    traced = (lines.item < city.items.drugs) & (where >= 0) & (lines.day >= begun)
    traced &= (kind == SHOP) | ((kind == VISIT) & local[events.inst[event]])
    traced &= ~block.settlements.refund[np.maximum(where, 0)]
    mine = np.flatnonzero(traced)
    line = np.repeat(mine, lines.count[mine])
    n = len(line)
    split = rng.random(n) < _SPLIT_SHARE
    age = rng.integers(_YOUNGEST, _OLDEST, n)
    product = _handed_out(rng, city, block, line)
    packs = Packs(line, product, np.arange(n), split, lines.day[line] - age)
    return packs.take(np.repeat(np.arange(n), 1 + split))


def _handed_out(rng: np.random.Generator, city: City, block: Block, line: Ints) -> Ints:
    """The product scanned: at the planted clinic often the cheapest of the same maker's class."""
    billed = block.lines.item[line]
    made = city.products
    cheapest = int(np.argmin(made.price[:, -1] / np.maximum(made.ddd_per_pack, 0.01)))
    there = block.events.inst[block.lines.event[line]] == swapping_clinic(city.places)
    swapped = there & (rng.random(len(line)) < SWAPPED_SHARE) & (billed != cheapest)
    return np.where(swapped, cheapest, billed)


def _resold(rng: np.random.Generator, city: City, block: Block, packs: Packs) -> Packs:
    """PT12: a pack takes the code of one of its product that another pharmacy sold before."""
    quota = _quota(PERSONS[city.run.size], block.number)
    lines, events = block.lines, block.events
    event = lines.event[packs.line]
    shop = np.flatnonzero((events.kind[event] == SHOP) & ~packs.split)
    order = shop[np.lexsort((packs.line[shop], lines.day[packs.line[shop]], packs.product[shop]))]
    first, second = order[0::2][: len(order) // 2], order[1::2]
    inst, day = events.inst[event], lines.day[packs.line]
    fit = (packs.product[first] == packs.product[second]) & (inst[first] != inst[second])
    fit &= day[first] < day[second]
    pairs = np.flatnonzero(fit)
    chosen = rng.choice(pairs, min(quota, len(pairs)), replace=False)
    code, made = packs.code.copy(), packs.made.copy()
    code[second[chosen]] = code[first[chosen]]
    made[second[chosen]] = made[first[chosen]]
    return Packs(packs.line, packs.product, code, packs.split, made)


def _quota(population: int, block: int) -> int:
    """How many of the sixty fall to this block: as even as whole numbers allow."""
    blocks = -(-population // BLOCK)
    return DUPLICATES * (block + 1) // blocks - DUPLICATES * block // blocks
