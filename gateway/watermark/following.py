"""Figures that are made of marked amounts, worked out again from the parts as they are now given.

Exactly as a release works them out: whole numbers, one rounding, half away from zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from gateway.catalogue.kinds import Linear, Ratio
from gateway.catalogue.model import Measure
from gateway.watermark.code import Bools, Ints

Column = Sequence[str | int | float | None]
Numbers = npt.NDArray[np.generic]  # int64, or whole numbers of any size
_SAFE = 2**62


def money(fen: int) -> str:
    """Yuan with two decimals."""
    sign = "-" if fen < 0 else ""
    return f"{sign}{abs(fen) // 100}.{abs(fen) % 100:02d}"


def in_fen(column: Column) -> Ints:
    """Amounts as whole fen; 0 where nothing is published."""
    texts = (0 if v is None else int(str(v).replace(".", "", 1)) for v in column)
    return np.fromiter(texts, np.int64, len(column))


def worked_out(
    measure: Measure, units: Mapping[str, str], parts: Mapping[str, Column], rows: Bools
) -> dict[int, str | int | float]:
    """The figure of these rows, where it has one; a part that is no whole number gives none."""
    at = np.flatnonzero(rows)
    whole = {name: _whole(parts[name], units[name], at) for name in parts}
    define = measure.define
    if isinstance(define, Linear):
        cny = measure.unit == "CNY"
        terms = [factor * whole[name][0] for name, factor in define.terms.items()]
        known = np.logical_and.reduce([whole[name][1] for name in define.terms])
        sums = np.sum(terms, axis=0) if cny else np.zeros(len(at), np.int64)
        return {int(i): money(int(n)) for i, n, k in zip(at, sums, known, strict=True) if k and cny}
    if not isinstance(define, Ratio):
        return {}
    (num, has_num), (den, has_den) = whole[define.num], whole[define.den]
    scales = [2 if units[name] == "CNY" else 0 for name in (define.num, define.den)]
    held = has_num & has_den & (den != 0)
    figure = _quotients(define, np.where(held, num, 0), np.where(held, den, 1), scales)
    found = zip(at[held].tolist(), figure[held].tolist(), strict=True)
    return {i: _said(n, define.decimals, measure.unit) for i, n in found}


def scaled(
    measure: Measure,
    figures: Column,
    before: Mapping[str, Column],
    now: Mapping[str, Column],
    rows: Bools,
) -> dict[int, str | int | float]:
    """A share of another cell's figure, which stays: the share grows as its numerator did."""
    define = measure.define
    if not isinstance(define, Ratio):
        return {}
    at = np.flatnonzero(rows).tolist()
    old, new = (in_fen([parts[define.num][i] for i in at]) for parts in (before, now))
    found = {}
    for i, one, other in zip(at, old.tolist(), new.tolist(), strict=True):
        whole = round(float(figures[i] or 0) * 10**define.decimals)
        size = (2 * abs(whole * other) + abs(one)) // (2 * abs(one))
        sign = -1 if (whole < 0) != ((one < 0) != (other < 0)) else 1
        found[i] = _said(sign * size, define.decimals, measure.unit)
    return found


def _whole(column: Column, unit: str, at: Ints) -> tuple[Ints, Bools]:
    """A part as whole numbers (fen, or counts) and where it is one."""
    chosen = [column[i] for i in at]
    if unit == "CNY":
        return in_fen(chosen), np.array([v is not None for v in chosen], np.bool_)
    known = np.array([isinstance(v, int) for v in chosen], np.bool_)
    return np.array([v if isinstance(v, int) else 0 for v in chosen], np.int64), known


def _quotients(define: Ratio, num: Ints, den: Ints, scales: Sequence[int]) -> Numbers:
    """scale × num ÷ (divisor × den), in whole numbers of 10**-decimals."""
    up = 2 * define.scale * 10 ** (define.decimals + scales[1])
    below = define.divisor * 10 ** scales[0]
    fits = not len(num) or (int(np.abs(num).max()) * up + int(np.abs(den).max()) * below < _SAFE)
    top, bottom = (num, den) if fits else (num.astype(object), den.astype(object))
    base = abs(bottom) * below
    size = (abs(top) * up + base) // (2 * base)
    quotient = np.sign(num) * np.sign(den) * size
    less = 10**define.decimals if define.minus_one else 0
    return np.asarray(quotient - less)


def _said(number: int, decimals: int, unit: str) -> str | int | float:
    """As the release says it."""
    if unit == "CNY":
        fen = (
            number * 100 // 10**decimals if decimals <= 2 else round(number / 10 ** (decimals - 2))
        )
        return money(fen)
    return int(number) if decimals == 0 else number / 10**decimals
