"""Mask whole columns by a plan; a column without a mask is dropped, never passed through.

`apply` masks sequences of Python values (an answer), `apply_arrow` tables of many rows (a view, a
job); they agree value by value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import pyarrow as pa

from gateway.masking.columnar import masked_column
from gateway.masking.grammar import parse_mask
from gateway.masking.keyed import KEYED, ByPerson, DateShiftMask, NoiseMask
from gateway.masking.keys import MaskingKeys
from gateway.masking.operators import Keep, Mask, MaskError, Value

Plan: TypeAlias = Mapping[str, Mask | ByPerson]
Columns: TypeAlias = Mapping[str, Sequence[Value]]


def plan(masks: Mapping[str, str], keys: MaskingKeys | None = None) -> Plan:
    """The operators of these mask texts; one unknown text, or a mask that needs a key where none is
    given, makes the whole plan an error."""
    return {column: _bound(text, keys) for column, text in masks.items()}


def _bound(text: str, keys: MaskingKeys | None) -> Mask | ByPerson:
    mask = parse_mask(text)
    if not isinstance(mask, KEYED):
        return mask  # type: ignore[return-value]  # what is not keyed is a Mask
    if keys is None:
        raise MaskError(f"The mask {text[:60]!r} needs a key, and there is none here.")
    return mask.bind(keys)


def apply(masks: Plan, columns: Columns) -> dict[str, Sequence[Value]]:
    """Every column that has a mask, masked, in the plan's order; all others are dropped."""
    return {
        name: _masked(mask, columns[name], columns)
        for name, mask in masks.items()
        if name in columns
    }


def apply_arrow(masks: Plan, table: pa.Table) -> pa.Table:
    """The same for an Arrow table: only columns with a mask, in the plan's order, as many rows."""
    named = {name: mask for name, mask in masks.items() if name in table.column_names}
    made = {}
    for name, mask in named.items():
        person = None
        if isinstance(mask, DateShiftMask | NoiseMask):
            if mask.person not in table.column_names:
                raise MaskError(f"The mask of {name} needs the column {mask.person}.")
            person = table.column(mask.person).combine_chunks()
        made[name] = masked_column(mask, table.column(name).combine_chunks(), person)
    return pa.table(made)


def _masked(mask: Mask | ByPerson, values: Sequence[Value], columns: Columns) -> Sequence[Value]:
    """The column, each distinct value masked once (an answer repeats few values many times)."""
    if isinstance(mask, Keep):
        return values
    if isinstance(mask, DateShiftMask | NoiseMask):
        if mask.person not in columns:
            raise MaskError(f"This mask needs the column {mask.person}.")
        whose = columns[mask.person]
        return [mask.of(value, person) for value, person in zip(values, whose, strict=True)]
    seen: dict[tuple[type, Value], Value] = {}
    masked: list[Value] = []
    for value in values:
        key = (type(value), value)
        if key not in seen:
            seen[key] = mask(value)  # type: ignore[operator]  # not ByPerson
        masked.append(seen[key])
    return masked
