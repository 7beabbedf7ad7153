"""SM2 signatures by the formulas of GB/T 32918.2, in plain integers: slow, unsafe with secrets.

Written from the standard for checking what the gateway signs; it shares no code with it but SM3.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from cryptography.hazmat.primitives.hashes import SM3, Hash

Point: TypeAlias = tuple[int, int] | None  # None: the point at infinity

P: Final = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF
A: Final = P - 3
B: Final = 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93
N: Final = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
G: Final = (
    0x32C4AE2C1F1981195F9904466A39C9948FE30BBFF2660BE1715A4589334C74C7,
    0xBC3736A2F4F6779C59BDCEE36B692153D0A9877CC62A474002DF32E52139F0A0,
)
SIGNER: Final = b"1234567812345678"


def plus(one: Point, other: Point) -> Point:
    """The sum of two points."""
    if one is None or other is None:
        return other if one is None else one
    (x1, y1), (x2, y2) = one, other
    if x1 == x2 and (y1 + y2) % P == 0:
        return None
    if one == other:
        slope = (3 * x1 * x1 + A) * pow(2 * y1, -1, P) % P
    else:
        slope = (y2 - y1) * pow(x2 - x1, -1, P) % P
    x = (slope * slope - x1 - x2) % P
    return x, (slope * (x1 - x) - y1) % P


def times(number: int, point: Point) -> Point:
    """A point added to itself `number` times."""
    total: Point = None
    while number:
        if number & 1:
            total = plus(total, point)
        point, number = plus(point, point), number >> 1
    return total


def hashed(public: tuple[int, int], message: bytes, signer: bytes = SIGNER) -> int:
    """e: the hash of the signer's Z and the message."""
    digest = Hash(SM3())
    digest.update(_sm3(len(signer) * 8, signer, public) + message)
    return int.from_bytes(digest.finalize())


def _sm3(bits: int, signer: bytes, public: tuple[int, int]) -> bytes:
    digest = Hash(SM3())
    digest.update(bits.to_bytes(2) + signer)
    for number in (A, B, *G, *public):
        digest.update(number.to_bytes(32))
    return digest.finalize()


def sign(scalar: int, nonce: int, message: bytes) -> tuple[int, int]:
    """r and s with this very nonce, as the standard's example gives it."""
    public, drawn = times(scalar, G), times(nonce, G)
    assert public is not None
    assert drawn is not None
    r = (hashed(public, message) + drawn[0]) % N
    return r, pow(1 + scalar, -1, N) * (nonce - r * scalar) % N


def holds(public: tuple[int, int], signature: bytes, message: bytes) -> bool:
    """Whether `signature` (r and s, 32 octets each) is this key's over `message`."""
    r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
    t = (r + s) % N
    if len(signature) != 64 or not (0 < r < N and 0 < s < N) or t == 0:
        return False
    found = plus(times(s, G), times(t, public))
    return found is not None and (hashed(public, message) + found[0]) % N == r
