"""SM2 with SM3: the example of GB/T 32918.5 annex A, and two implementations against each other."""

from __future__ import annotations

import ctypes
import secrets

import pytest

from gateway.identity import sm2
from gateway.identity.sm2 import ORDER, Sm2PrivateKey, Sm2PublicKey, Sm2Unavailable, library
from tests.second import sm2 as second

SCALAR = bytes.fromhex("3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8")
NONCE = 0x59276E27D506861A16680F3AD9C02DCCEF3CC1FA3CDBE4CE6D54B80DEAC1BC21
POINT = (
    0x09F9DF311E5421A150DD7D161E4BC5C672179FAD1833FC076BB08FF356F35020,
    0xCCEA490CE26775A52DC6EA718CC1AA600AED05FBF35E084A6632F6072DA9AD13,
)
HASHED = 0xF0B43E94BA45ACCAACE692ED534382EB17E6AB5A19CE7B31F4486FDFC0D28640
SIGNED = bytes.fromhex(
    "f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3"
    "b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa"
)
MESSAGE = b"message digest"


def coordinates(key: Sm2PublicKey) -> tuple[int, int]:
    return int.from_bytes(key.point[1:33]), int.from_bytes(key.point[33:])


def test_the_standards_example_by_both() -> None:
    key = Sm2PrivateKey.of(SCALAR)
    assert coordinates(key.public) == POINT == second.times(int.from_bytes(SCALAR), second.G)
    assert second.hashed(POINT, MESSAGE) == HASHED
    r, s = second.sign(int.from_bytes(SCALAR), NONCE, MESSAGE)
    assert r.to_bytes(32) + s.to_bytes(32) == SIGNED
    assert key.public.verify(SIGNED, MESSAGE)
    assert second.holds(POINT, SIGNED, MESSAGE)


def test_each_implementation_finds_the_others_signatures_valid_and_changed_ones_not() -> None:
    for length in (0, 1, 64, 5_000):
        key, message = Sm2PrivateKey.generate(), secrets.token_bytes(length)
        made = key.sign(message)
        assert len(made) == 64
        assert second.holds(coordinates(key.public), made, message)
        r, s = second.sign(int.from_bytes(key.scalar), secrets.randbelow(ORDER - 1) + 1, message)
        assert key.public.verify(r.to_bytes(32) + s.to_bytes(32), message)
        place = secrets.randbelow(64)
        changed = made[:place] + bytes([made[place] ^ 1]) + made[place + 1 :]
        assert not key.public.verify(changed, message)
        assert not key.public.verify(made, message + b"\0")
        assert not Sm2PrivateKey.generate().public.verify(made, message)


@pytest.mark.parametrize(
    "signature",
    [b"", SIGNED[:63], SIGNED + b"\0", bytes(64), SIGNED[:32] + bytes(32), b"\xff" * 64],
    ids=["empty", "short", "long", "zero", "no s", "beyond n"],
)
def test_what_is_no_signature_is_not_valid(signature: bytes) -> None:
    assert not Sm2PrivateKey.of(SCALAR).public.verify(signature, MESSAGE)


def test_a_point_off_the_curve_and_a_scalar_out_of_range_are_no_keys() -> None:
    assert not Sm2PublicKey(b"\4" + bytes(31) + b"\1" + bytes(31) + b"\1").verify(SIGNED, MESSAGE)
    for scalar in (0, ORDER - 1, ORDER):
        with pytest.raises(ValueError, match="n - 2"):
            Sm2PrivateKey.of(scalar.to_bytes(32))
    with pytest.raises(ValueError, match="32 octets"):
        Sm2PrivateKey.of(SCALAR[1:])
    assert SCALAR.hex() not in repr(Sm2PrivateKey.of(SCALAR))


def test_without_a_library_that_passes_the_example_there_is_no_sm2(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sm2, "_KNOWN_SIGNATURE", SIGNED[:63] + b"\0")
    with pytest.raises(Sm2Unavailable, match="OpenSSL 3"):
        library.__wrapped__()
    monkeypatch.undo()

    def absent(_: str) -> ctypes.CDLL:
        raise OSError

    monkeypatch.setattr(ctypes, "CDLL", absent)
    with pytest.raises(Sm2Unavailable, match="OpenSSL 3"):
        library.__wrapped__()
