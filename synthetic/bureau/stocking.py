"""What else is reported of packs besides sales: bought (3503), sent back (3504), given back by the
buyer (3506), and recalls of lots.

Small on purpose: purchases of every tenth pack that was sold, one pack in fifty that still lies on
a shelf, few returns, one substance recalled by lot, some devices under UDIs. A pack that was sold
twice (PT12) is never given back, so what is planted stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pyarrow as pa

from synthetic.bureau.arrays import Array, Ints, stream
from synthetic.bureau.block import Block, City
from synthetic.bureau.columns import assemble, coded, constant, dates, moments, padded
from synthetic.bureau.days import day_of
from synthetic.bureau.tracing import SHELF_LIFE, Packs, lot_numbers, pack_codes
from synthetic.warehouse.schema import TABLES

_BOUGHT, _SENT_BACK, _GIVEN_BACK = range(3)
_TYPES = ("3503", "3504", "3506")
_BOUGHT_SHARE, _SHELF_SHARE, _SENT_SHARE, _GIVEN_SHARE = 0.1, 0.02, 0.1, 0.002
_DEVICES = 3  # of each block
_RECALLED, _LOTS = "XN02BE01", 10  # whose products (paracetamol), and days of making each
_LAST = day_of("2025-12-31")
_ON_SALE, _SHELVED = 9, 8  # the digit after the product that tells kinds of packs apart


@dataclass(frozen=True)
class Moves:
    """One entry per report, `moment` in seconds since the window began, `item` into the catalogue
    of drugs and then devices."""

    kind: Ints
    item: Ints
    inst: Ints
    made: Ints
    moment: Ints
    code: pa.Array

    def take(self, index: Array) -> Moves:
        """The reports at these positions."""
        kind, item, inst = self.kind[index], self.item[index], self.inst[index]
        code = self.code.take(pa.array(index))
        return Moves(kind, item, inst, self.made[index], self.moment[index], code)


def _together(parts: Sequence[Moves]) -> Moves:
    def of(name: str) -> Ints:
        return np.concatenate([getattr(part, name) for part in parts])

    code = pa.concat_arrays([part.code for part in parts])
    return Moves(of("kind"), of("item"), of("inst"), of("made"), of("moment"), code)


def trac_flow(city: City, block: Block, packs: Packs) -> pa.Table:
    """trac_flow_d: a row per pack bought, sent back or given back, in the order of time."""
    rng = stream(city.run.seed, "stocking", block.number)
    parts = (
        *_of_sold(rng, block, packs),
        *_shelved(rng, block, packs),
        _of_devices(rng, city, block),
    )
    whole = _together(parts)
    moves = whole.take(np.argsort(whole.moment, kind="stable"))
    n = len(moves.kind)
    columns = {
        "flow_sn": padded(f"990100M{block.number:04d}", np.arange(n), 8),
        "flow_type": coded(moves.kind, _TYPES),
        "fixmedins_code": coded(moves.inst, city.places.code),
        "med_list_codg": coded(moves.item, [*city.items.code, *city.devices.code]),
        "manu_lotnum": lot_numbers(moves.made),
        "manu_date": dates(moves.made),
        "expy_end": dates(moves.made + SHELF_LIFE),
        "flow_time": moments(moves.moment),
        "trac_codg": moves.code,
    }
    return assemble(TABLES["trac_flow_d"], columns, n)


def drug_recl(city: City) -> pa.Table:
    """drug_recl_b: the lots of ten days of one common substance, recalled in November 2025."""
    codes = city.items.code[: city.items.drugs]
    found = sorted((code, n) for n, code in enumerate(codes) if code.startswith(_RECALLED))
    product = np.array([n for _, n in found]).repeat(_LOTS)
    made = np.tile(day_of("2024-12-01") + np.arange(_LOTS), len(found))
    n = len(made)
    columns = {
        "med_list_codg": coded(product, city.items.code),
        "manu_lotnum": lot_numbers(made),
        "recl_date": dates(np.full(n, day_of("2025-11-03"))),
        "recl_lv": constant("2", n),
    }
    return assemble(TABLES["drug_recl_b"], columns, n)


def _of_sold(rng: np.random.Generator, block: Block, packs: Packs) -> tuple[Moves, Moves]:
    """Purchases before a sale, and returns of the buyer after it."""
    _, place, often = np.unique(packs.code, return_inverse=True, return_counts=True)
    once = (often[place] == 1) & ~packs.split
    draw = rng.random(len(packs.code))
    before = _moves(_BOUGHT, block, packs.take(np.flatnonzero(once & (draw < _BOUGHT_SHARE))))
    later = np.flatnonzero(once & (draw > 1 - _GIVEN_SHARE))
    after = _moves(_GIVEN_BACK, block, packs.take(later))
    wait = rng.integers(86_400, 45 * 86_400, len(before.kind))
    days = rng.integers(3_600, 6 * 86_400, len(after.kind))
    return _at(before, before.moment - wait), _at(after, after.moment + days)


def _shelved(rng: np.random.Generator, block: Block, packs: Packs) -> tuple[Moves, Moves]:
    """Packs that were bought and not sold, and those of them that were sent back."""
    like = packs.take(np.flatnonzero(rng.random(len(packs.code)) < _SHELF_SHARE))
    n = len(like.code)
    there = _moves(_BOUGHT, block, like)
    code = pack_codes(block, like.product, np.arange(n), _SHELVED)
    bought = Moves(there.kind, there.item, there.inst, there.made, there.moment, code)
    sent = bought.take(np.flatnonzero(rng.random(n) < _SENT_SHARE))
    back = sent.moment + rng.integers(5 * 86_400, 30 * 86_400, len(sent.kind))
    kind = np.full(len(sent.kind), _SENT_BACK)
    gone = Moves(kind, sent.item, sent.inst, sent.made, sent.moment, sent.code)
    return bought, _at(gone, back)


def _moves(kind: int, block: Block, packs: Packs) -> Moves:
    """Reports of packs, each at the moment and the place of its sale."""
    event = block.lines.event[packs.line]
    moment = block.lines.day[packs.line] * 86_400 + block.events.second[event]
    return Moves(
        np.full(len(packs.line), kind),
        packs.product,
        block.events.inst[event],
        packs.made,
        moment,
        pack_codes(block, packs.product, packs.code, _ON_SALE),
    )


def _at(moves: Moves, moment: Ints) -> Moves:
    last = _LAST * 86_400 + 86_399
    return Moves(
        moves.kind, moves.item, moves.inst, moves.made, np.minimum(moment, last), moves.code
    )


def _of_devices(rng: np.random.Generator, city: City, block: Block) -> Moves:
    """A few devices bought and not used yet, under UDIs in GS1's readable form."""
    device = rng.integers(0, len(city.devices.code), _DEVICES)
    made = _LAST - rng.integers(60, 500, _DEVICES)
    inst = np.resize(np.unique(block.events.inst), _DEVICES)
    codes = [
        f"(01){_gtin(int(d))}(17){_yymmdd(int(m) + SHELF_LIFE)}(21){block.number:04d}{n:04d}"
        for n, (d, m) in enumerate(zip(device, made, strict=True))
    ]
    moment = (made + 40) * 86_400 + 36_000
    kind = np.full(_DEVICES, _BOUGHT)
    return Moves(kind, len(city.items.code) + device, inst, made, moment, pa.array(codes))


def _gtin(device: int) -> str:
    """Fourteen digits of the invented prefix 990, the last one checking the others."""
    body = f"0990{device:09d}"
    total = sum(int(digit) * (3, 1)[place % 2] for place, digit in enumerate(reversed(body)))
    return f"{body}{-total % 10}"


def _yymmdd(day: int) -> str:
    return (date(2022, 1, 1) + timedelta(days=day)).strftime("%y%m%d")
