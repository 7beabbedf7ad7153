"""Damage done on purpose to finished tables, so that import checks and quality reports have work.

With profile `none` nothing is touched. Every share comes from `defects.yaml`. What concerns an
encounter as a whole (lost on its way, coded locally) is decided by its number, so all tables agree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synthetic.bureau.arrays import Flags, stream
from synthetic.bureau.settings import Run, document

Shares: TypeAlias = Mapping[str, Any]  # Any: YAML, shares and a code
Damage: TypeAlias = Callable[[np.random.Generator, pa.Table, Shares], pa.Table]

UNKNOWN_CODE = "X99ZZZZ99Z0019999999999"
UNKNOWN_DX = "ZZ9999"
LOCAL_TYPE = "110104"  # a region's own outpatient visit; legal, and longer than the national code
_AGAIN = "5"  # last character of the second record of a settlement; a refund's is 1


@dataclass(frozen=True)
class Lost:
    """What never arrived: numbers of encounters and of their settlements."""

    encounters: pa.Array
    settlements: pa.Array


def damage(
    run: Run, name: str, table: pa.Table, block: int = 0, lost: Lost | None = None
) -> pa.Table:
    """The table with the defects its profile asks for, without what was lost on its way."""
    if run.defects == "none":
        return table
    if lost is not None:
        table = _arrived(table, lost)
    if name not in _DAMAGES:
        return table
    rng = stream(run.seed, f"defects-{name}", block)
    return _DAMAGES[name](rng, table, document("defects")[run.defects])


def lost_events(run: Run, block: int, size: int) -> Flags:
    """Which of a block's encounters the institutions reported but never delivered."""
    if run.defects == "none":
        return np.zeros(size, dtype=bool)
    rng = stream(run.seed, "defects-lost", block)
    return _hit(rng, document("defects")[run.defects]["lost"], size)


def _arrived(table: pa.Table, lost: Lost) -> pa.Table:
    names = set(table.schema.names)
    for column, gone in (("mdtrt_id", lost.encounters), ("setl_id", lost.settlements)):
        if column in names:
            return table.filter(pc.invert(pc.is_in(_values(table, column), value_set=gone)))
    return table


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


def _local(table: pa.Table, shares: Shares) -> pa.Table:
    """Some visits carry a local medical category in every table that has one."""
    number = pc.cast(pc.utf8_slice_codeunits(_values(table, "mdtrt_id"), 11), pa.int64())
    mixed = number.to_numpy(zero_copy_only=False) * 2_654_435_761 % 10_007 / 10_007
    visit = pc.equal(_values(table, "med_type"), "11").to_numpy(zero_copy_only=False)
    return _swap(table, "med_type", visit & (mixed < shares["local_type"]), LOCAL_TYPE)


def _delayed(rng: np.random.Generator, table: pa.Table, shares: Shares) -> pa.Table:
    """Rows that reach the platform two hours, or more than a day, after they were made."""
    late = rng.random(table.num_rows)
    seconds = np.where(late < shares["late"], 7_200, 0)
    seconds = np.where(late < shares["very_late"], 100_000, seconds) * 1_000_000
    delay = pa.array(seconds, pa.duration("us"))
    return _replace(table, "crte_time", pc.add(_values(table, "crte_time"), delay))


def _left_out(table: pa.Table, name: str, shares: Shares) -> pa.Table:
    """One vendor's hospitals, those of even numbers, leave some fields out."""
    if not shares["vendor_leaves_out"]:
        return table
    places = pc.utf8_slice_codeunits(_values(table, "fixmedins_code"), 11)
    even = pc.is_in(places, value_set=pa.array(list("02468")))
    values = _values(table, name)
    return _replace(table, name, pc.if_else(even, pa.scalar(None, values.type), values))


def _persons(rng: np.random.Generator, table: pa.Table, shares: Shares) -> pa.Table:
    return _blank(rng, table, "tel", shares["tel_missing"])


def _encounters(rng: np.random.Generator, table: pa.Table, shares: Shares) -> pa.Table:
    table = _blank(rng, table, "ipt_days", shares["ipt_days_missing"])
    table = _blank(rng, table, "dscg_maindiag_code", shares["maindiag_missing"])
    male = pc.equal(_values(table, "gend"), "1").to_numpy(zero_copy_only=False)
    hit = _hit(rng, shares["sex_conflict"], table.num_rows) & male
    table = _swap(table, "dscg_maindiag_code", hit, "O80.900")
    return _local(_left_out(table, "adm_dept_codg", shares), shares)


def _settlements(rng: np.random.Generator, table: pa.Table, shares: Shares) -> pa.Table:
    """Late ones, local categories, and settlements sent twice: same number, another record."""
    hit = _hit(rng, shares["duplicate"], table.num_rows)
    take = np.repeat(np.arange(table.num_rows), 1 + hit)
    again = pa.array(np.diff(take, prepend=-1) == 0)
    table = _delayed(rng, _local(table, shares), shares).take(pa.array(take))
    ids = _values(table, "setl_id")
    renamed = pc.binary_join_element_wise(pc.utf8_slice_codeunits(ids, 0, -1), _AGAIN, "")
    return _replace(table, "setl_id", pc.if_else(again, renamed, ids))


def _fees(rng: np.random.Generator, table: pa.Table, shares: Shares) -> pa.Table:
    n = table.num_rows
    table = _swap(table, "med_list_codg", _hit(rng, shares["code_unknown"], n), UNKNOWN_CODE)
    table = _delayed(rng, table, shares)
    wrong = pa.array(_hit(rng, shares["product_wrong"], n))
    price = _values(table, "pric")
    raised = pc.cast(pc.multiply(price, pa.scalar(2)), price.type)
    table = _replace(table, "pric", pc.if_else(wrong, raised, price))
    table = _drifted(rng, table, shares)
    for name in ("bilg_dept_codg", "med_chrgitm_type"):
        table = _left_out(table, name, shares)
    return _local(table, shares)


def _drifted(rng: np.random.Generator, table: pa.Table, shares: Shares) -> pa.Table:
    """One feeder sends "1" for "01"."""
    feeder = pc.equal(_values(table, "fixmedins_code"), shares["drifting_feeder"])
    some = _hit(rng, shares["drifting"], table.num_rows)
    hit = feeder.to_numpy(zero_copy_only=False) & some
    level = _values(table, "chrgitm_lv")
    short = pc.utf8_ltrim(level, "0")
    return _replace(table, "chrgitm_lv", pc.if_else(pa.array(hit), short, level))


def _diagnoses(rng: np.random.Generator, table: pa.Table, shares: Shares) -> pa.Table:
    hit = _hit(rng, shares["code_unknown"], table.num_rows)
    return _swap(table, "diag_code", hit, UNKNOWN_DX)


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
    "setl_diag_list_d": _diagnoses,
    "drg_rslt_d": _groups,
}
