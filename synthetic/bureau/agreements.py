"""Agreed volumes of procurement (vbp_agree_d): what hospitals undertook to buy, from former use."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from synthetic.bureau.arrays import Array, Ints, sums
from synthetic.bureau.block import Block, City
from synthetic.bureau.catalogue import generics
from synthetic.bureau.columns import assemble, coded, dates, decimal
from synthetic.bureau.days import MONTH_OF, day_of
from synthetic.bureau.institutions import LOCAL, NONE
from synthetic.warehouse.schema import TABLES

MONTHS = 48
PART = 0.7  # of what the hospital used before is agreed


@dataclass(frozen=True)
class _Term:
    """One agreement year of a batch, from use in months [low, high)."""

    batch: str
    kind: str
    begin: str
    end: str
    low: int
    high: int


_TERMS = (
    _Term("VBP-SYN-01", "V", "2022-10-01", "2023-09-30", 12, 21),
    _Term("VBP-SYN-01", "V", "2023-10-01", "2024-09-30", 12, 21),
    _Term("VBP-SYN-01", "V", "2024-10-01", "2025-09-30", 21, 33),
    _Term("VBP-SYN-01", "V", "2025-10-01", "2026-09-30", 33, 45),
    _Term("VBP-SYN-02", "P", "2024-07-01", "2025-06-30", 18, 30),
    _Term("VBP-SYN-02", "P", "2025-07-01", "2026-06-30", 30, 42),
)


def used(city: City, block: Block) -> Array:
    """Packs by [institution, generic, month]; what refunds undid counts nothing."""
    lines, events = block.lines, block.events
    kept = (lines.item < city.items.drugs) & (lines.day >= 0) & (block.where >= 0)
    kept &= ~block.settlements.refund[np.maximum(block.where, 0)]
    mine = np.flatnonzero(kept)
    generic = city.products.generic[lines.item[mine]]
    shape = (len(city.places.code), len(generics()), MONTHS)
    cell = events.inst[lines.event[mine]] * shape[1] + generic
    cell = cell * MONTHS + np.minimum(MONTH_OF[lines.day[mine]], MONTHS - 1)
    return sums(cell, lines.count[mine], int(np.prod(shape))).reshape(shape)


def vbp_agree(city: City, packs: Array) -> pa.Table:
    """vbp_agree_d: a row per batch, hospital, selected product and agreement year."""
    places, made = city.places, city.products
    hospitals = np.flatnonzero((places.place == LOCAL) & (places.level != NONE))
    parts = [_agreed(city, packs, hospitals, term) for term in _TERMS]
    term = np.repeat(np.arange(len(_TERMS)), [len(p[0]) for p in parts])
    inst, product, agreed = (np.concatenate([p[k] for p in parts]) for k in range(3))
    begin = np.array([day_of(t.begin) for t in _TERMS])[term]
    end = np.array([day_of(t.end) for t in _TERMS])[term]
    columns = {
        "vbp_batch": coded(term, [t.batch for t in _TERMS]).dictionary_decode(),
        "fixmedins_code": coded(inst, places.code).dictionary_decode(),
        "med_list_codg": coded(product, city.items.code[: len(made.generic)]).dictionary_decode(),
        "begndate": dates(begin),
        "enddate": dates(end),
        "agre_cnt": decimal(agreed * 10_000, 16, 4),
    }
    table = assemble(TABLES["vbp_agree_d"], columns, len(term))
    return table.sort_by([(name, "ascending") for name in TABLES["vbp_agree_d"].key])


def _agreed(city: City, packs: Array, hospitals: Ints, term: _Term) -> tuple[Ints, Ints, Ints]:
    """(hospital, selected product, packs) of one agreement year; nothing is agreed on no use."""
    made = city.products
    batch = np.array([g["kind"] == term.kind for g in generics()])
    product = np.flatnonzero(made.selected & batch[made.generic])
    yearly = packs[hospitals, :, term.low : term.high].sum(axis=2) * 12 / (term.high - term.low)
    winners = np.bincount(made.generic[product], minlength=len(generics()))
    share = np.floor(PART * yearly[:, made.generic[product]] / winners[made.generic[product]])
    at, which = np.nonzero(share)
    return hospitals[at], product[which], share[at, which].astype(np.int64)
