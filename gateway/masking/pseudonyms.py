"""Keyed tokens of whole columns: HMAC-SM3 or HMAC-SHA-256, cut to 128 bits, as 32 hex digits.

The MAC's key is the hexadecimal text of the derived key, in ASCII: 64 bytes, one block of either
hash. A long column under SHA-256 goes through polars-hash (one call for all rows, no loop in
Python); SM3, and what is short, through OpenSSL by way of `cryptography`, with the key's two blocks
hashed once and copied. Both are checked against `hmac` and published vectors.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.hmac import HMAC

from gateway.masking.keys import KeyMaterial

TOKEN_BYTES = 16
_LONG = 4096  # rows from which starting polars pays
_PROBE = 1 << 16  # rows on which repetition is judged
_REPEATED = 0.7  # share of distinct values below which each is hashed once


def token(key: KeyMaterial, text: str) -> str:
    """The token of one text."""
    return _digests(key, [text.encode()])[:TOKEN_BYTES].hex()


def tokens(key: KeyMaterial, values: pa.Array) -> pa.Array:
    """The tokens of a column of texts, as pa.string() of the same length; null stays null."""
    values = values.cast(pa.string())
    probe = values.slice(0, _PROBE)
    if len(values) > _LONG and pc.count_distinct(probe).as_py() < _REPEATED * len(probe):
        encoded = values.dictionary_encode()
        return _hashed(key, encoded.dictionary).take(encoded.indices)
    return _hashed(key, values)


def words(key: KeyMaterial, values: pa.Array) -> npt.NDArray[np.uint64]:
    """64 keyed bits for every text of a column; of null they mean nothing."""
    hexed = tokens(key, pc.fill_null(values.cast(pa.string()), ""))
    raw = bytes.fromhex("".join(hexed.to_pylist()))
    return np.frombuffer(raw, dtype=">u8").astype(np.uint64)[::2]


def _hashed(key: KeyMaterial, values: pa.Array) -> pa.Array:
    if key.suite == "international" and len(values) > _LONG:
        return _by_polars(key, values)
    known = values.drop_null()
    made = _hex_column(_digests(key, [text.encode() for text in known.to_pylist()]))
    if not values.null_count:
        return made
    places = pc.cumulative_sum(values.is_valid().cast(pa.int64()))
    return made.take(pc.if_else(values.is_valid(), pc.subtract(places, 1), None))


def _mac_key(key: KeyMaterial) -> str:
    return key.expose().hex()


def _digests(key: KeyMaterial, messages: Sequence[bytes]) -> bytes:
    """The first 16 bytes of every message's MAC, end to end."""
    algorithm = hashes.SM3() if key.suite == "gm" else hashes.SHA256()
    begun = HMAC(_mac_key(key).encode(), algorithm)
    made = []
    for message in messages:
        mac = begun.copy()
        mac.update(message)
        made.append(mac.finalize()[:TOKEN_BYTES])
    return b"".join(made)


def _hex_column(raw: bytes) -> pa.Array:
    """Strings of 32 hex digits laid over one buffer: no string object per row."""
    width = 2 * TOKEN_BYTES
    rows = len(raw) // TOKEN_BYTES
    offsets = np.arange(rows + 1, dtype=np.int32) * width
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(raw.hex().encode())]
    return pa.Array.from_buffers(pa.string(), rows, buffers)


def _by_polars(key: KeyMaterial, values: pa.Array) -> pa.Array:
    # Loaded for long columns only: most processes never mask one.
    import polars as pl  # noqa: PLC0415
    import polars_hash  # noqa: F401, PLC0415 - registers `chash`

    frame = pl.DataFrame({"value": pl.from_arrow(values)})
    mac = pl.col("value").chash.hmac_sha256(key=_mac_key(key))  # type: ignore[attr-defined]
    made = frame.select(mac.str.head(2 * TOKEN_BYTES))
    return made.to_arrow().column(0).combine_chunks().cast(pa.string())
