"""Monthly totals that institutions report (recon_3201_d), compared with what has arrived."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synthetic.bureau.arrays import Array, sums
from synthetic.bureau.block import Block, City
from synthetic.bureau.columns import assemble, coded, money
from synthetic.bureau.days import EPOCH, MONTH_OF
from synthetic.bureau.settlements import REFUND_DELAY, with_refunds
from synthetic.warehouse.schema import TABLES

_MONTHS = 49  # a refund of the last evening may fall into the month behind the window
_TOTALS = ("medfee_sumamt", "fund_pay_sumamt", "acct_pay")
_RESULTS = ("000000", "000103", "000102")
_MICROSECONDS = 86_400_000_000


def reported(city: City, block: Block) -> Array:
    """[institution, month, (rows, total fee, fund, account)] as the institutions know them."""
    made, paid, events = block.settlements, block.payments, block.events
    row, refund = with_refunds(made)
    moment = made.day[row] * 86_400 + made.second[row] + refund * REFUND_DELAY
    sign = np.where(refund, -1, 1)
    values = [np.ones(len(row), dtype=np.int64)]
    values += [sign * part[row] for part in (made.medfee, paid.fund, paid.acct)]
    cell = events.inst[made.event[row]] * _MONTHS + MONTH_OF[moment // 86_400]
    return _summed(cell, values, len(city.places.code))


def received(city: City, settlements: pa.Table) -> Array:
    """The same from a finished block of setl_d."""
    place = pa.array(city.places.code)
    inst = pc.index_in(_plain(settlements, "fixmedins_code"), place).to_numpy()
    moment = _plain(settlements, "setl_time").cast(pa.int64()).to_numpy()
    month = MONTH_OF[moment // _MICROSECONDS - EPOCH]
    values = [np.ones(len(inst), dtype=np.int64)]
    values += [_fen(_plain(settlements, name)) for name in _TOTALS]
    return _summed(inst * _MONTHS + month, values, len(city.places.code))


def _plain(table: pa.Table, name: str) -> pa.Array:
    chunk = table.column(name).combine_chunks()
    found = chunk.chunk(0) if isinstance(chunk, pa.ChunkedArray) else chunk
    return found.dictionary_decode() if pa.types.is_dictionary(found.type) else found


def _fen(amounts: pa.Array) -> Array:
    """Decimals of two places as whole fen; the low words hold every amount there is."""
    words = np.frombuffer(amounts.buffers()[1], dtype=np.int64).reshape(-1, 2)
    return words[amounts.offset : amounts.offset + len(amounts), 0]


def _summed(cell: Array, values: list[Array], places: int) -> Array:
    found = [sums(cell, value, places * _MONTHS) for value in values]
    return np.stack(found, axis=-1).reshape(places, _MONTHS, len(values))


def recon_3201(city: City, said: Array, arrived: Array) -> pa.Table:
    """recon_3201_d: one row per institution and month with settlements."""
    inst, month = np.nonzero(said[:, :, 0])
    here, there = said[inst, month], arrived[inst, month]
    result = np.where((here == there).all(axis=1), 0, np.where(there[:, 0] == 0, 2, 1))
    labels = [f"{2022 + m // 12}{m % 12 + 1:02d}" for m in range(_MONTHS)]
    columns = {
        "fixmedins_code": coded(inst, city.places.code).dictionary_decode(),
        "ym": coded(month, labels).dictionary_decode(),
        "stmt_cnt": pa.array(here[:, 0].astype(np.int32)),
        "medfee_sumamt": money(here[:, 1]),
        "fund_pay_sumamt": money(here[:, 2]),
        "acct_pay": money(here[:, 3]),
        "stmt_rslt": coded(result, _RESULTS),
    }
    table = assemble(TABLES["recon_3201_d"], columns, len(inst))
    return table.sort_by([("fixmedins_code", "ascending"), ("ym", "ascending")])
