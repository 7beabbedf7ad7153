"""Damage done on purpose to finished tables, so that import checks and quality reports have work.

With profile `none` nothing is touched. Every share comes from `defects.yaml`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synthetic.bureau.arrays import Flags, stream
from synthetic.bureau.settings import Run, document

Shares: TypeAlias = Mapping[str, float]
Damage: TypeAlias = Callable[[np.random.Generator, pa.Table, Shares], pa.Table]

UNKNOWN_CODE = "X99ZZZZ99Z0019999999999"
_FEEDER = "H99010200005"  # the one institution that sends "1" for "01"


def damage(run: Run, name: str, table: pa.Table, block: int = 0) -> pa.Table:
    """The table with the defects its profile asks for."""
    if run.defects == "none" or name not in _DAMAGES:
        return table
    rng = stream(run.seed, f"defects-{name}", block)
    return _DAMAGES[name](rng, table, document("defects")[run.defects])


def _replace(table: pa.Table, name: str, new: pa.Array) -> pa.Table:
    """The table with one column's values, keeping the column's type and nullability."""
    at = table.schema.get_field_index(name)
    field = table.schema.field(at)
    if pa.types.is_dictionary(field.type) and not pa.types.is_dictionary(new.type):
        new = new.dictionary_encode()
    return table.set_column(at, field.with_nullable(True), new)


def _values(table: pa.Table, name: str) -> pa.Array:
    """The column as one plain array."""
    chunk = table.column(name).combine_chunks()
    found = chunk.chunk(0) if isinstance(chunk, pa.ChunkedArray) else chunk
    return found.dictionary_decode() if pa.types.is_dictionary(found.type) else found


def _hit(rng: np.random.Generator, share: float, size: int) -> Flags:
    return rng.random(size) < share


def _blank(rng: np.random.Generator, table: pa.Table, name: str, share: float) -> pa.Table:
    hit = pa.array(_hit(rng, share, table.num_rows))
    values = _values(table, name)
    return _replace(table, name, pc.if_else(hit, pa.scalar(None, values.type), values))


def _swap(table: pa.Table, name: str, hit: Flags, value: str) -> pa.Table:
    return _replace(table, name, pc.if_else(pa.array(hit), value, _values(table, name)))


def _persons(rng: np.random.Generator, table: pa.Table, shares: Shares) -> pa.Table:
    return _blank(rng, table, "tel", shares["tel_missing"])


def _encounters(rng: np.random.Generator, table: pa.Table, shares: Shares) -> pa.Table:
    table = _blank(rng, table, "ipt_days", shares["ipt_days_missing"])
    table = _blank(rng, table, "dscg_maindiag_code", shares["maindiag_missing"])
    male = pc.equal(_values(table, "gend"), "1").to_numpy(zero_copy_only=False)
    hit = _hit(rng, shares["sex_conflict"], table.num_rows) & male
    return _swap(table, "dscg_maindiag_code", hit, "O80.900")


def _settlements(rng: np.random.Generator, table: pa.Table, shares: Shares) -> pa.Table:
    values = _values(table, "medins_setl_id")
    take = np.arange(table.num_rows)
    hit = _hit(rng, shares["duplicate"], table.num_rows)
    take[hit] = np.maximum(take[hit] - 1, 0)
    return _replace(table, "medins_setl_id", values.take(pa.array(take)))


def _fees(rng: np.random.Generator, table: pa.Table, shares: Shares) -> pa.Table:
    n = table.num_rows
    table = _swap(table, "med_list_codg", _hit(rng, shares["code_unknown"], n), UNKNOWN_CODE)
    late = rng.random(n)
    seconds = np.where(late < shares["late"], 7_200, 0)
    seconds = np.where(late < shares["very_late"], 100_000, seconds) * 1_000_000
    delay = pa.array(seconds, pa.duration("us"))
    table = _replace(table, "crte_time", pc.add(_values(table, "crte_time"), delay))
    wrong = pa.array(_hit(rng, shares["product_wrong"], n))
    price = _values(table, "pric")
    raised = pc.cast(pc.multiply(price, pa.scalar(2)), price.type)
    table = _replace(table, "pric", pc.if_else(wrong, raised, price))
    feeder = pc.equal(_values(table, "fixmedins_code"), _FEEDER)
    level = _values(table, "chrgitm_lv")
    return _replace(table, "chrgitm_lv", pc.if_else(feeder, pc.utf8_ltrim(level, "0"), level))


def _groups(rng: np.random.Generator, table: pa.Table, shares: Shares) -> pa.Table:
    """A misgrouped case carries the group of the row before it, but its own costs."""
    take = np.arange(table.num_rows)
    hit = _hit(rng, shares["misgrouped"], table.num_rows)
    take[hit] = np.maximum(take[hit] - 1, 0)
    index = pa.array(take)
    for name in ("mdc", "adrg", "drg_code", "rw", "std_fee"):
        table = _replace(table, name, _values(table, name).take(index))
    return table


_DAMAGES: dict[str, Damage] = {
    "psn_info_b": _persons,
    "mdtrt_d": _encounters,
    "setl_d": _settlements,
    "fee_list_d": _fees,
    "drg_rslt_d": _groups,
}
