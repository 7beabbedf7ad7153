"""Mask whole columns by a plan; a column without a mask is dropped, never passed through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from gateway.masking.grammar import parse_mask
from gateway.masking.operators import Keep, Mask, Value

Plan: TypeAlias = Mapping[str, Mask]
Columns: TypeAlias = Mapping[str, Sequence[Value]]


def plan(masks: Mapping[str, str]) -> Plan:
    """The operators of these mask texts; one unknown text makes the whole plan an error."""
    return {column: parse_mask(text) for column, text in masks.items()}


def apply(masks: Plan, columns: Columns) -> dict[str, Sequence[Value]]:
    """Every column that has a mask, masked, in the plan's order; all others are dropped."""
    return {name: _masked(mask, columns[name]) for name, mask in masks.items() if name in columns}


def _masked(mask: Mask, values: Sequence[Value]) -> Sequence[Value]:
    """The column, each distinct value masked once (an answer repeats few values many times)."""
    if isinstance(mask, Keep):
        return values
    seen: dict[tuple[type, Value], Value] = {}
    masked: list[Value] = []
    for value in values:
        key = (type(value), value)
        if key not in seen:
            seen[key] = mask(value)
        masked.append(seen[key])
    return masked
