"""The code: which amounts carry a bit, between which two roundings, and each tenant's own bits.

Every amount of at least four kept digits is a position of a Tardos code of its own: a secret bias,
the same for all tenants, and for each tenant a bit that is 1 with that probability. Three tenants
who mix their copies cannot avoid betraying one of themselves (Tardos 2003; biases for
c = 3 by Nuida and others 2009). Both are drawn by AES under keys derived for the release and the
tenant, so nothing is stored and no position is ever used twice.

The two roundings differ where it lasts: where the last kept digit is 4, 5 or 6 they lie on both
sides of where the next shorter rounding turns, at 9 and 0 on both sides of where cutting off does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

Ints: TypeAlias = npt.NDArray[np.int64]
Bools: TypeAlias = npt.NDArray[np.bool_]
Floats: TypeAlias = npt.NDArray[np.float64]
Words: TypeAlias = npt.NDArray[np.uint16]

LANES: Final = 8  # measures served by one block of the cipher
SMALLEST: Final = 1000  # units of the last kept digit: from here on one unit is at most 0.1 %
WHOLE: Final = 1 << 16
HALF: Final = WHOLE // 2
LOW: Final = round(0.21132487 * WHOLE)  # c = 3: (1 ± √⅓) ÷ 2, equally often
HIGH: Final = WHOLE - LOW

_POWERS: Final = np.array([10**e for e in range(19)], np.int64)
_DOWN: Final = np.array([-1, 0, 0, 0, 0, -1, -1, 0, 0, 0], np.int64)  # by last digit, if upward
_UP: Final = np.array([0, 1, 1, 1, 1, 1, 0, 1, 1, 1], np.int64)
_FREE: Final = np.array([0, 1, 1, 1, 0, 0, 0, 1, 1, 0], np.bool_)  # turned by the keyed direction


@dataclass(frozen=True)
class Places:
    """Where amounts lie in a release: their blocks and cells, and the number of the measure."""

    block: Ints
    cell: Ints
    measure: int


@dataclass(frozen=True)
class Carriers:
    """Amounts with the two figures each may be given as, and the bias of the bit that decides.

    `held` is false where nothing is carried: too small, or no amount at all.
    """

    low: Ints  # figure of bit 0: smaller in size
    high: Ints  # figure of bit 1
    bias: Words  # the bit is 1 for this many of 65 536 tenants
    held: Bools


def drawn(key: bytes, places: Places) -> Words:
    """A number 0 … 65 535 per place, by a pseudorandom function of the place."""
    group, lane = divmod(places.measure, LANES)
    return drawn_together(key, places.block, places.cell, group)[:, lane]


def drawn_together(key: bytes, block: Ints, cell: Ints, group: int) -> Words:
    """The numbers of a group of `LANES` measures at each of these cells."""
    text = np.empty((len(block), 2), "<u8")
    text[:, 0] = block | (group << 48)
    text[:, 1] = cell
    # A block cipher on distinct numbers is the pseudorandom function; nothing is enciphered.
    cipher = Cipher(algorithms.AES256(key), modes.ECB()).encryptor()  # noqa: S305
    return np.frombuffer(cipher.update(text.tobytes()), "<u2").reshape(-1, LANES)


def carriers(amounts: Ints, digits: int, draws: Words) -> Carriers:
    """The two figures of each amount (fen, rounded to `digits`), by its digits and the release."""
    size = np.abs(amounts)
    length = np.searchsorted(_POWERS, size, side="right")
    unit = _POWERS[np.maximum(length - digits, 0)]
    kept, rest = np.divmod(size, unit)
    held = (kept >= SMALLEST) & (rest == 0)
    last, before = kept % 10, kept // 10 % 10
    up = ~_FREE[last] | ((draws & 1) == 1)
    sign = np.sign(amounts)
    low = amounts + sign * unit * np.where(up, _DOWN[last], -1)
    high = amounts + sign * unit * np.where(up, _UP[last], 0)
    lasting = (last == 4) | (last == 5) | ((last == 6) & (before % 2 == 0))
    bias = np.where(lasting, HALF, np.where((draws & 2) == 2, HIGH, LOW)).astype(np.uint16)
    return Carriers(np.where(held, low, amounts), np.where(held, high, amounts), bias, held)


def bits(key: bytes, places: Places, bias: Words) -> Bools:
    """The bits of the tenant whose key this is."""
    return drawn(key, places) < bias
