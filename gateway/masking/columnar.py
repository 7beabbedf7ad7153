"""Masks over Arrow columns: each distinct value is masked once, by the same operator as one value.

Claims repeat: a day, an age, a county, a code stands in thousands of rows, so the operator runs on
the dictionary and the result is taken by index. What does not repeat (identifiers, amounts) has
code of its own below, with the operator as its oracle in the property tests.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gateway.masking import ff1
from gateway.masking.keyed import (
    SHIFT_DAYS,
    ByPerson,
    DateShiftMask,
    FpeMask,
    NoiseMask,
    PseudonymMask,
)
from gateway.masking.operators import Band, DatePart, Keep, Mask, MaskError, Round, Suppress
from gateway.masking.pseudonyms import tokens, words


def masked_column(mask: Mask | ByPerson, values: pa.Array, person: pa.Array | None) -> pa.Array:
    """The masked column, of the same length; `person` is given for masks that need it."""
    match mask:
        case Keep():
            made = values
        case Suppress():
            made = pa.nulls(len(values), values.type)
        case PseudonymMask():
            made = tokens(mask.key, _as_text(values))
        case FpeMask():
            made = _fpe(mask, values)
        case DateShiftMask():
            made = _shifted(mask, values, _whose(person, values))
        case NoiseMask():
            made = _noised(mask, values, _whose(person, values))
        case Band() if pa.types.is_decimal(values.type) or pa.types.is_integer(values.type):
            made = _banded(mask, values)
        case Round() if pa.types.is_decimal(values.type):
            texts = pa.array(_plain(values), pa.string())
            made = _by_distinct(mask, texts).cast(values.type)
        case DatePart() if pa.types.is_timestamp(values.type):
            made = _by_distinct(mask, values.cast(pa.date32(), safe=False))
        case _:
            made = _by_distinct(cast(Mask, mask), values)
    return made


def _by_distinct(mask: Mask, values: pa.Array) -> pa.Array:
    encoded = values.dictionary_encode()
    made = [mask(value) for value in _plain(encoded.dictionary)]
    kind = pa.string() if all(isinstance(each, str | None) for each in made) else values.type
    return pa.array(made, kind).take(encoded.indices)


def _as_text(values: pa.Array) -> pa.Array:
    """As `str` writes them; identifiers are texts and stay as they are."""
    if pa.types.is_string(values.type):
        return values
    if pa.types.is_integer(values.type):
        return values.cast(pa.string())
    return _by_distinct(lambda value: None if value is None else str(value), values)


def _whose(person: pa.Array | None, values: pa.Array) -> pa.Array:
    if person is None or pc.any(pc.and_(values.is_valid(), person.is_null())).as_py():
        raise MaskError("This mask needs to know whose every value is.")
    return _as_text(person)


def _shifted(mask: DateShiftMask, values: pa.Array, person: pa.Array) -> pa.Array:
    """Days of date32 move; timestamps are refused, as by the operator's law a day is masked."""
    if not pa.types.is_date32(values.type):
        raise MaskError("dateshift masks dates only.")
    span = np.uint64(2 * SHIFT_DAYS + 1)
    moved = (words(mask.key, person) % span).astype(np.int32) - SHIFT_DAYS
    return pc.add(values.cast(pa.int32()), pa.array(moved)).cast(pa.date32())


def _noised(mask: NoiseMask, values: pa.Array, person: pa.Array) -> pa.Array:
    whose = person.to_pylist()
    made = [mask.of(value, each) for value, each in zip(_plain(values), whose, strict=True)]
    if pa.types.is_decimal(values.type):
        return pa.array(made, pa.string()).cast(values.type)
    return pa.array(made, values.type)


def _plain(values: pa.Array) -> list[Any]:
    """Python values as the operators know them: a decimal is its text."""
    if pa.types.is_decimal(values.type):
        return [None if value is None else str(value) for value in values.to_pylist()]
    plain: list[Any] = values.to_pylist()
    return plain


def _banded(mask: Band, values: pa.Array) -> pa.Array:
    """Exact where all edges lie on the column's own decimal grid, value by value where not."""
    scale = values.type.scale if pa.types.is_decimal(values.type) else 0
    steps = [edge.scaleb(scale) for edge in mask.edges]
    digits = values.type.precision if pa.types.is_decimal(values.type) else 0
    if digits > 18 or any(step != step.to_integral_value() for step in steps):
        return pa.array([mask(value) for value in _plain(values)], pa.string())
    known = pc.fill_null(values, 0) if values.null_count else values
    grid = _integers(known)
    where = np.searchsorted(np.array([int(step) for step in steps]), grid, side="right")
    labels = pa.array(mask.labels, pa.string())
    return labels.take(pa.array(where, mask=~values.is_valid().to_numpy(zero_copy_only=False)))


def _integers(values: pa.Array) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Whole numbers, or the unscaled value of decimals of up to 18 digits."""
    if pa.types.is_integer(values.type):
        return np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.int64)
    wide = values.cast(pa.decimal128(38, values.type.scale))
    halves = np.frombuffer(wide.buffers()[1], dtype=np.int64)
    return halves[2 * wide.offset : 2 * (wide.offset + len(wide)) : 2]


def _fpe(mask: FpeMask, values: pa.Array) -> pa.Array:
    """All of one length up to 18 digits at once; others one by one."""
    lengths = pc.unique(pc.utf8_length(values.drop_null())).to_pylist()
    if len(lengths) != 1 or not 6 <= lengths[0] <= ff1.MAX_COLUMN_DIGITS:
        return _by_distinct(mask, values)
    known, width = values.drop_null(), lengths[0]
    if not pc.all(pc.match_substring_regex(known, "^[0-9]+$")).as_py():
        raise MaskError("fpe masks texts of 6 to 36 digits only.")
    numbers = known.cast(pa.int64()).to_numpy().astype(np.uint64)
    made = ff1.encrypt_column(mask.key.expose(), numbers, width)
    texts = pc.utf8_lpad(pa.array(made).cast(pa.string()), width, "0")
    places = pc.subtract(pc.cumulative_sum(values.is_valid().cast(pa.int64())), 1)
    return texts.take(pc.if_else(values.is_valid(), places, None))
