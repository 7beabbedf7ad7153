"""Published test vectors of what masks and the key store are built on.

FF1: NIST, "FF1samples", samples 1 to 9. SM3: GB/T 32905-2016 annex A. HMAC-SHA-256: RFC 4231
case 2. SM4: GB/T 32907-2016 annex A; SM4-GCM: RFC 8998 appendix A.1.
"""

from __future__ import annotations

import hmac

import numpy as np
import pyarrow as pa
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hmac import HMAC

from gateway.masking import ff1
from gateway.masking.keys import KeyMaterial, Suite
from gateway.masking.operators import MaskError
from gateway.masking.pseudonyms import token, tokens

_KEY = "2B7E151628AED2A6ABF7158809CF4F3CEF4359D8D580AA4F7F036D6F04FC6A94"
_TEN, _ELEVEN = "39383736353433323130", "3737373770717273373737"
_LETTERS = "0123456789abcdefghi"
FF1 = [
    (32, "", 10, "0123456789", "2433477484"),
    (32, _TEN, 10, "0123456789", "6124200773"),
    (32, _ELEVEN, 36, _LETTERS, "a9tv40mll9kdu509eum"),
    (48, "", 10, "0123456789", "2830668132"),
    (48, _TEN, 10, "0123456789", "2496655549"),
    (48, _ELEVEN, 36, _LETTERS, "xbj3kv35jrawxv32ysr"),
    (64, "", 10, "0123456789", "6657667009"),
    (64, _TEN, 10, "0123456789", "1001623463"),
    (64, _ELEVEN, 36, _LETTERS, "xs8a0azh2avyalyzuwd"),
]


@pytest.mark.parametrize(("length", "tweak", "radix", "plain", "cipher"), FF1)
def test_ff1_meets_the_nist_samples(
    length: int, tweak: str, radix: int, plain: str, cipher: str
) -> None:
    key, tweaked = bytes.fromhex(_KEY[:length]), bytes.fromhex(tweak)
    assert ff1.encrypt(key, tweaked, plain, radix) == cipher
    assert ff1.decrypt(key, tweaked, cipher, radix) == plain


@pytest.mark.parametrize("digits", range(6, 19))
def test_ff1_of_a_column_is_ff1_of_its_values(digits: int) -> None:
    key = bytes.fromhex(_KEY)
    drawn = np.random.default_rng(digits).integers(0, 10**digits, 20).tolist()
    plain = np.array([*drawn, 0, 10**digits - 1], dtype=np.uint64)
    made = ff1.encrypt_column(key, plain, digits).tolist()
    assert made == [int(ff1.encrypt(key, b"", f"{each:0{digits}d}")) for each in plain.tolist()]


def test_ff1_refuses_small_domains() -> None:
    with pytest.raises(MaskError):
        ff1.encrypt(bytes(32), b"", "12345")


def test_sm3_and_sm4_meet_the_national_standards() -> None:
    digest = hashes.Hash(hashes.SM3())
    digest.update(b"abc")
    assert digest.finalize().hex() == (
        "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
    )
    block = bytes.fromhex("0123456789abcdeffedcba9876543210")
    sm4 = Cipher(algorithms.SM4(block), modes.ECB()).encryptor()  # noqa: S305 - the standard's own example
    assert sm4.update(block).hex() == "681edf34d206965e86b3e94f536e4246"


def test_sm4_gcm_meets_rfc_8998() -> None:
    key = bytes.fromhex("0123456789abcdeffedcba9876543210")
    nonce = bytes.fromhex("00001234567800000000abcd")
    plain = "aa" * 8 + "bb" * 8 + "cc" * 8 + "dd" * 8 + "ee" * 8 + "ff" * 8 + "ee" * 8 + "aa" * 8
    gcm = Cipher(algorithms.SM4(key), modes.GCM(nonce)).encryptor()
    gcm.authenticate_additional_data(bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2"))
    made = gcm.update(bytes.fromhex(plain)) + gcm.finalize()
    assert made.hex().startswith("17f399f08c67d5ee19d0dc9969c4bb7d")
    assert gcm.tag.hex() == "83de3541e4c2b58177e065a9bf7b62ec"


def test_the_mac_of_a_published_case() -> None:
    mac = HMAC(b"Jefe", hashes.SHA256())
    mac.update(b"what do ya want for nothing?")
    assert mac.finalize().hex().startswith("5bdcc146bf60754e6a042426089575c7")


@pytest.mark.parametrize(("suite", "algorithm"), [("gm", "sm3"), ("international", "sha256")])
def test_tokens_are_hmac_whatever_the_length_of_the_column(suite: Suite, algorithm: str) -> None:
    """Short columns go through OpenSSL, long ones of SHA-256 through polars-hash; the oracle is
    Python's own `hmac`. Repeated, distinct, empty and null values."""
    key = KeyMaterial(bytes(range(32)), "masking/2026.1", suite)
    text = key.expose().hex().encode()
    for values in (
        ["", "姓名", None, "9" * 200],
        [f"{number:018d}" for number in range(5000)] + [None, ""],
        [f"{number // 100:018d}" for number in range(5000)] + [None, ""],
    ):
        made = tokens(key, pa.array(values, pa.string())).to_pylist()
        oracle = [
            None if each is None else hmac.digest(text, each.encode(), algorithm).hex()[:32]
            for each in values
        ]
        assert made == oracle
        assert token(key, "姓名") == hmac.digest(text, "姓名".encode(), algorithm).hex()[:32]
