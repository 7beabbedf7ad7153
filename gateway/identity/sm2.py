"""SM2 signatures with SM3 (GB/T 32918.2, GB/T 32905; GM/T 0003.2, 0004) by the system's OpenSSL 3.

`cryptography` has SM3 and SM4, but not SM2, so `libcrypto` is called directly. Signatures are the
64 octets r and s, as JWS has those of other curves; the signer's identifier is the usual one of
GM/T 0009. A scalar comes near no Python number but when a key is made or read.
"""

from __future__ import annotations

import ctypes
import secrets
from collections.abc import Mapping, Sequence
from ctypes import byref, c_char_p, c_int, c_size_t, c_void_p
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from gateway.errors import OperatorError

IDENTIFIER: Final = b"1234567812345678"
"""Who signs, as far as the hash is concerned: the default of GM/T 0009, section 10."""
ORDER: Final = 0xFFFFFFFE_FFFFFFFF_FFFFFFFF_FFFFFFFF_7203DF6B_21C6052B_53BBF409_39D54123
COORDINATE: Final = 32  # octets of a coordinate, of r and of s

_LIBRARIES: Final = ("libcrypto.so.3", "libcrypto.3.dylib", "libcrypto.so.4")
_SUBJECT = bytes.fromhex("3059301306072a8648ce3d020106082a811ccf5501822d034200")
"""A SubjectPublicKeyInfo on SM2's curve up to the point: OIDs of RFC 5480 and GM/T 0006."""
_SECRET = (bytes.fromhex("30310201010420"), bytes.fromhex("a00a06082a811ccf5501822d"))
"""An ECPrivateKey (RFC 5915) around the scalar; its public half is computed when it is read."""
_KNOWN_KEY = bytes.fromhex(
    "0409f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020"
    "ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13"
)
_KNOWN_SIGNATURE = bytes.fromhex(
    "f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3"
    "b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa"
)
"""The example of GB/T 32918.5, annex A: what a library must find valid before it is used."""


class Sm2Unavailable(OperatorError):
    """No library here computes SM2."""

    def __init__(self) -> None:
        super().__init__(
            "gm.unavailable",
            "SM2 needs OpenSSL 3 (libcrypto) with SM2 and SM3 on this machine, and there is none.",
            "本机没有支持 SM2 的 OpenSSL 3，无法使用国密配置。",
        )


@dataclass(frozen=True)
class Sm2PublicKey:
    """A point of the curve: 65 octets, 04 and both coordinates."""

    point: bytes

    def verify(self, signature: bytes, message: bytes) -> bool:
        """Whether this key signed `message`; `signature` is r and s, 32 octets each."""
        if len(signature) != 2 * COORDINATE:
            return False
        r, s = (int.from_bytes(half) for half in (signature[:COORDINATE], signature[COORDINATE:]))
        return library().verify(self.point, encode_dss_signature(r, s), message)


@dataclass(frozen=True, repr=False)
class Sm2PrivateKey:
    """A scalar and its point; never printed."""

    scalar: bytes
    public: Sm2PublicKey

    @classmethod
    def generate(cls) -> Sm2PrivateKey:
        """A new key: a scalar from 1 to n - 2 (GB/T 32918.1, section 6.1)."""
        return cls.of((secrets.randbelow(ORDER - 2) + 1).to_bytes(COORDINATE))

    @classmethod
    def of(cls, scalar: bytes) -> Sm2PrivateKey:
        """The key with this scalar; ValueError when it is out of range."""
        if len(scalar) != COORDINATE or not 1 <= int.from_bytes(scalar) <= ORDER - 2:
            raise ValueError("a scalar of SM2 has 32 octets and lies from 1 to n - 2")
        return cls(scalar, Sm2PublicKey(library().point(scalar)))

    def sign(self, message: bytes) -> bytes:
        """The signature of `message`: r and s, 32 octets each."""
        r, s = decode_dss_signature(library().sign(self.scalar, message))
        return r.to_bytes(COORDINATE) + s.to_bytes(COORDINATE)


class Library:
    """What is used of libcrypto; each call makes and frees what it works with."""

    def __init__(self, loaded: ctypes.CDLL) -> None:
        self._of = loaded
        for name, arguments in _POINTERS.items():
            function = getattr(loaded, name)
            function.restype, function.argtypes = c_void_p, arguments
        for name, arguments in _NUMBERS.items():
            function = getattr(loaded, name)
            function.restype, function.argtypes = c_int, arguments
        self._sm3 = loaded.EVP_MD_fetch(None, b"SM3", None)
        if not self._sm3:
            raise Sm2Unavailable

    def point(self, scalar: bytes) -> bytes:
        """The public point of a scalar, 65 octets."""
        key = self._secret(scalar)
        try:
            text = ctypes.create_string_buffer(len(_SUBJECT) + 1 + 2 * COORDINATE)
            place = c_void_p(ctypes.addressof(text))
            if self._of.i2d_PUBKEY(key, None) != len(text):
                raise Sm2Unavailable
            self._of.i2d_PUBKEY(key, byref(place))
            return text.raw[len(_SUBJECT) :]
        finally:
            self._of.EVP_PKEY_free(key)

    def sign(self, scalar: bytes, message: bytes) -> bytes:
        """The signature as DER."""
        key = self._secret(scalar)
        try:
            with _Digesting(self._of, key) as context:
                made, size = ctypes.create_string_buffer(80), c_size_t(80)
                arguments = made, byref(size), message, len(message)
                begun = self._of.EVP_DigestSignInit(context, None, self._sm3, None, key)
                if begun != 1 or self._of.EVP_DigestSign(context, *arguments) != 1:
                    raise Sm2Unavailable
                return made.raw[: size.value]
        finally:
            self._of.EVP_PKEY_free(key)

    def verify(self, point: bytes, signature: bytes, message: bytes) -> bool:
        """Whether the signature (DER) is the key's; a point off the curve signed nothing."""
        key = self._read("d2i_PUBKEY", _SUBJECT + point)
        if not key:
            return False
        try:
            with _Digesting(self._of, key) as context:
                begun = self._of.EVP_DigestVerifyInit(context, None, self._sm3, None, key)
                arguments = signature, len(signature), message, len(message)
                return begun == 1 and bool(self._of.EVP_DigestVerify(context, *arguments) == 1)
        finally:
            self._of.ERR_clear_error()
            self._of.EVP_PKEY_free(key)

    def _secret(self, scalar: bytes) -> c_void_p:
        before, after = _SECRET
        key = self._read("d2i_AutoPrivateKey", before + scalar + after)
        if not key:
            raise Sm2Unavailable
        return key

    def _read(self, reader: str, der: bytes) -> c_void_p:
        text = ctypes.create_string_buffer(der, len(der))
        key = getattr(self._of, reader)(None, byref(c_void_p(ctypes.addressof(text))), len(der))
        ctypes.memset(text, 0, len(der))
        return c_void_p(key)


class _Digesting:
    """A digest context that hashes the signer's identifier first."""

    def __init__(self, library: ctypes.CDLL, key: c_void_p) -> None:
        self._of = library
        self._digest = c_void_p(library.EVP_MD_CTX_new())
        self._key = c_void_p(library.EVP_PKEY_CTX_new(key, None))

    def __enter__(self) -> c_void_p:
        named = self._of.EVP_PKEY_CTX_set1_id(self._key, IDENTIFIER, len(IDENTIFIER))
        self._of.EVP_MD_CTX_set_pkey_ctx(self._digest, self._key)
        if named != 1:
            self.__exit__()
            raise Sm2Unavailable
        return self._digest

    def __exit__(self, *_: object) -> None:
        self._of.EVP_MD_CTX_free(self._digest)
        self._of.EVP_PKEY_CTX_free(self._key)


_POINTERS: Final[Mapping[str, Sequence[Any]]] = {
    "EVP_MD_fetch": (c_void_p, c_char_p, c_char_p),
    "EVP_MD_CTX_new": (),
    "EVP_PKEY_CTX_new": (c_void_p, c_void_p),
    "d2i_AutoPrivateKey": (c_void_p, c_void_p, ctypes.c_long),
    "d2i_PUBKEY": (c_void_p, c_void_p, ctypes.c_long),
}
_NUMBERS: Final[Mapping[str, Sequence[Any]]] = {
    "EVP_PKEY_CTX_set1_id": (c_void_p, c_char_p, c_size_t),
    "EVP_DigestSignInit": (c_void_p, c_void_p, c_void_p, c_void_p, c_void_p),
    "EVP_DigestSign": (c_void_p, c_void_p, c_void_p, c_char_p, c_size_t),
    "EVP_DigestVerifyInit": (c_void_p, c_void_p, c_void_p, c_void_p, c_void_p),
    "EVP_DigestVerify": (c_void_p, c_char_p, c_size_t, c_char_p, c_size_t),
    "i2d_PUBKEY": (c_void_p, c_void_p),
    "EVP_MD_CTX_set_pkey_ctx": (c_void_p, c_void_p),
    "EVP_MD_CTX_free": (c_void_p,),
    "EVP_PKEY_CTX_free": (c_void_p,),
    "EVP_PKEY_free": (c_void_p,),
    "ERR_clear_error": (),
}


@cache
def library() -> Library:
    """libcrypto, once it has found the standard's own example valid; else `Sm2Unavailable`."""
    for name in _LIBRARIES:
        try:
            found = Library(ctypes.CDLL(name))
        except (OSError, AttributeError, Sm2Unavailable):
            continue
        example = encode_dss_signature(
            int.from_bytes(_KNOWN_SIGNATURE[:COORDINATE]),
            int.from_bytes(_KNOWN_SIGNATURE[COORDINATE:]),
        )
        if found.verify(_KNOWN_KEY, example, b"message digest"):
            return found
    raise Sm2Unavailable
