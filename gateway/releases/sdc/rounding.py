"""Rounding of published figures: keyed for counts, significant digits for amounts, exact ratios.

All in integers. The law of `round_count`: one secret threshold per interval between two multiples
decides which way its inner values go. So equal counts are rounded equally everywhere (margins agree
across services), order is kept, multiples stay, and over all keys the mean is the count itself. A
coarse multiple is rounded from a fine one (tens from fives), never from the count: who holds the
figures of two profiles knows no more than who holds the finer ones. Rounded apart, the count would
lie where both roundings meet (40 in fives and 30 in tens: 36 to 39).
"""

from __future__ import annotations

from hashlib import blake2b

import numpy as np

from gateway.releases.sdc.lattice import Bools, Figures, Floats, Ints
from gateway.releases.sdc.profile import Profile

_POWERS = np.array([10**e for e in range(19)], np.int64)
_LIMIT = 4 * 10**18
_EXACT = 2**53  # whole numbers up to here are exact as floating point


def round_count(values: Ints, base: int, key: bytes, floor: int = 0) -> Ints:
    """Round to multiples of `base`; with `floor`, never below its first multiple ≥ `floor`."""
    if base < 1:
        raise ValueError("the rounding base is a positive number")
    rounded = values.astype(np.int64)
    for step in steps(base):
        rounded = _round(rounded, step, key)
    return np.maximum(rounded, -(-floor // base) * base) if floor else rounded


def steps(base: int) -> tuple[int, ...]:
    """The multiples a count is rounded to one after the other, each a multiple of the one before;
    none is smaller than five but the first."""
    for prime in range(2, base // 5 + 1):
        if base % prime == 0:
            return (*steps(base // prime), base)
    return (base,)


def _round(values: Ints, base: int, key: bytes) -> Ints:
    interval, inner = np.divmod(values, base)
    distinct, where = np.unique(interval, return_inverse=True)
    threshold = np.array([_threshold(int(i), base, key) for i in distinct], np.int64)
    up = inner > threshold[where.reshape(inner.shape)] if distinct.size else inner > 0
    rounded: Ints = (interval + up) * base
    return rounded


def round_significant(values: Ints, digits: int) -> Ints:
    """Round whole fen to significant digits, half away from zero."""
    if digits < 1:
        raise ValueError("an amount keeps at least one digit")
    size = np.abs(_bounded(values))
    length = np.searchsorted(_POWERS, size, side="right")
    unit = _POWERS[np.maximum(length - digits, 0)]
    rounded: Ints = np.sign(values) * ((size + unit // 2) // unit * unit)
    return rounded


def ratio(num: Figures, den: Figures, scale: int = 1, decimals: int = 4) -> Floats:
    """`scale × num ÷ den` to `decimals` places, half away from zero; NaN where den is 0.

    Exact before the one rounding, whatever the size of the whole numbers: long division in 64 bits,
    and for the few parts that do not fit, Python's own integers.
    """
    top, below = np.asarray(num), np.asarray(den)
    result = np.full(top.shape, np.nan)
    size, base = np.abs(top).astype(np.float64), np.abs(below).astype(np.float64)
    large = (size > _LIMIT / scale) | (base > _LIMIT / 10)
    large |= size * scale * 10.0**decimals > _EXACT * base
    fits, rest = (below != 0) & ~large, (below != 0) & large
    result[fits] = _quotients(
        top[fits].astype(np.int64), below[fits].astype(np.int64), scale, decimals
    )
    result[rest] = [
        _quotient(int(n) * scale, int(d), decimals)
        for n, d in zip(top[rest], below[rest], strict=True)
    ]
    return result


def _quotients(num: Ints, den: Ints, scale: int, decimals: int) -> Floats:
    whole = np.abs(den)
    quotient, rest = np.divmod(np.abs(num) * scale, whole)
    for _ in range(decimals):
        digit, rest = np.divmod(rest * 10, whole)
        quotient = quotient * 10 + digit
    quotient += 2 * rest >= whole
    signed: Floats = np.sign(num) * np.sign(den) * quotient / 10**decimals
    return signed


def _quotient(num: int, den: int, decimals: int) -> float:
    units = (2 * abs(num) * 10**decimals + abs(den)) // (2 * abs(den))
    signed = units if (num < 0) == (den < 0) else -units
    return float(signed / 10**decimals)


def percentile(values: Ints, starts: Ints, p: int, profile: Profile) -> tuple[Ints, Bools]:
    """The p-th percentile of each cell's sorted values, and whether the profile shows it.

    The value is the mean of `percentile_window` neighbouring order statistics around the nearest
    rank, so that no single record is published; half a fen goes away from zero.
    """
    count = np.diff(starts)
    window, needed = profile.count("percentile_window"), profile.min_n(p)
    if needed is None:
        return np.zeros(count.shape, np.int64), np.zeros(count.shape, np.bool_)
    shown = (count >= needed) & (count >= window)
    rank = -(-p * count // 100) - 1
    first = starts[:-1] + np.clip(rank - window // 2, 0, np.maximum(count - window, 0))
    running = np.concatenate([np.zeros(1, np.int64), np.cumsum(_bounded(values))])
    last = np.minimum(first + window, values.size)
    total = np.where(shown, running[last] - running[np.minimum(first, values.size)], 0)
    return np.sign(total) * ((2 * np.abs(total) + window) // (2 * window)), shown


def _threshold(interval: int, base: int, key: bytes) -> int:
    """A secret number 0 … base−1, uniform over keys: values further inside go up."""
    digest = blake2b(f"{base}:{interval}".encode(), key=key[:64], digest_size=8).digest()
    return int.from_bytes(digest, "big") * base >> 64


def _bounded(values: Ints) -> Ints:
    whole = np.asarray(values, np.int64)
    if whole.size and (int(whole.max()) > _LIMIT or int(whole.min()) < -_LIMIT):
        raise OverflowError("an amount is outside the range of exact rounding")
    return whole
