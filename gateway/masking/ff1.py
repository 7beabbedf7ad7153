"""FF1 format-preserving encryption (NIST SP 800-38G r1), for numbers whose form must stay.

Own code, because no package that is kept up computes FF1 over columns: pyffx is no standard mode,
ff3 is the mode NIST withdrew, fastfpe has one author and one value per call. `encrypt` is the
standard's text for any radix and length; `encrypt_column` does the same for decimal numbers of 6
to 18 digits, a whole column of one length at a time. Domains below one million are refused.
"""

from __future__ import annotations

from math import ceil, log2

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from gateway.masking.operators import MaskError

DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
MIN_DOMAIN = 1_000_000
MAX_COLUMN_DIGITS = 18
_ROUNDS = 10
_Words = npt.NDArray[np.uint64]


def encrypt(key: bytes, tweak: bytes, text: str, radix: int = 10) -> str:
    """The text of the same length over the same digits; `key` is an AES key."""
    return _feistel(key, tweak, text, radix, forward=True)


def decrypt(key: bytes, tweak: bytes, text: str, radix: int = 10) -> str:
    """What `encrypt` was given."""
    return _feistel(key, tweak, text, radix, forward=False)


def _feistel(key: bytes, tweak: bytes, text: str, radix: int, *, forward: bool) -> str:
    n = len(text)
    if not 2 <= radix <= len(DIGITS) or radix**n < MIN_DOMAIN:
        raise MaskError("Format-preserving encryption needs a domain of a million values or more.")
    u = n // 2
    v = n - u
    a, b = int(text[:u], radix), int(text[u:], radix)
    width = ceil(ceil(v * log2(radix)) / 8)
    header = _header(radix, n, len(tweak))
    rounds = range(_ROUNDS) if forward else range(_ROUNDS - 1, -1, -1)
    for i in rounds:
        modulus = radix ** (u if i % 2 == 0 else v)
        if forward:
            a, b = b, (a + _round(key, header, tweak, i, b.to_bytes(width, "big"))) % modulus
        else:
            a, b = (b - _round(key, header, tweak, i, a.to_bytes(width, "big"))) % modulus, a
    return _written(a, radix, u) + _written(b, radix, v)


def _round(key: bytes, header: bytes, tweak: bytes, i: int, half: bytes) -> int:
    d = 4 * ceil(len(half) / 4) + 4
    padding = b"\0" * ((-len(tweak) - len(half) - 1) % 16)
    message = header + tweak + padding + bytes([i]) + half
    block = b"\0" * 16
    for at in range(0, len(message), 16):
        block = _aes(key, bytes(x ^ y for x, y in zip(block, message[at : at + 16], strict=True)))
    stream = block
    for j in range(1, ceil(d / 16)):
        count = j.to_bytes(16, "big")
        stream += _aes(key, bytes(x ^ y for x, y in zip(block, count, strict=True)))
    return int.from_bytes(stream[:d], "big")


def _header(radix: int, n: int, tweak: int) -> bytes:
    head = bytes([1, 2, 1]) + radix.to_bytes(3, "big") + bytes([10, (n // 2) % 256])
    return head + n.to_bytes(4, "big") + tweak.to_bytes(4, "big")


def _aes(key: bytes, data: bytes) -> bytes:
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305 - FF1 is built on it
    return encryptor.update(data) + encryptor.finalize()


def _written(number: int, radix: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, radix)
        digits.append(DIGITS[digit])
    return "".join(reversed(digits))


def encrypt_column(key: bytes, numbers: _Words, digits: int) -> _Words:
    """Every number of `digits` decimal digits (leading zeros count), without a tweak."""
    if not 6 <= digits <= MAX_COLUMN_DIGITS:
        raise MaskError("A column of format-preserving numbers has 6 to 18 digits.")
    u = digits // 2
    v = digits - u
    a, b = np.divmod(numbers, np.uint64(10**v))
    first = _aes(key, _header(10, digits, 0))
    width = ceil(ceil(v * log2(10)) / 8)  # at most 4 bytes: one AES block and 8 bytes of it a round
    for i in range(_ROUNDS):
        modulus = np.uint64(10 ** (u if i % 2 == 0 else v))
        y = _round_column(key, first, i, b, width) % modulus
        a, b = b, (a + y) % modulus
    return a * np.uint64(10**v) + b


def _round_column(key: bytes, first: bytes, i: int, half: _Words, width: int) -> _Words:
    blocks = np.zeros((len(half), 16), dtype=np.uint8)
    blocks[:, 15 - width] = i
    blocks[:, 16 - width :] = half.astype(">u8").view(np.uint8).reshape(-1, 8)[:, 8 - width :]
    blocks ^= np.frombuffer(first, dtype=np.uint8)
    stream = np.frombuffer(_aes(key, blocks.tobytes()), dtype=np.uint8).reshape(-1, 16)
    d = 4 * ceil(width / 4) + 4
    return np.ascontiguousarray(stream[:, :d]).view(">u8").astype(np.uint64).reshape(-1)
