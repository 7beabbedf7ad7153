"""Make screenshots small: 8-bit RGB PNGs become palette PNGs; flat screens lose nothing to the eye.

`python -m tests.png_palette FOLDER` does so with every PNG of a folder that is not small yet.
"""

from __future__ import annotations

import struct
import sys
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_HEAD = b"\x89PNG\r\n\x1a\n"
_COLOURS = 256


def shrink(png: bytes) -> bytes:
    """The same picture in the colours it uses most; the rest, edges of letters, become the next."""
    pixels = _decode(png)
    red, green, blue = np.moveaxis(pixels.astype(np.uint32), 2, 0)
    packed, index, times = np.unique(
        red << 16 | green << 8 | blue, return_inverse=True, return_counts=True
    )
    every = np.stack([packed >> 16, packed >> 8 & 255, packed & 255], axis=1).astype(np.int32)
    kept = every[np.argsort(times)[::-1][:_COLOURS]]
    nearest = np.array([int(np.abs(kept - each).sum(axis=1).argmin()) for each in every], np.uint8)
    return _encode(nearest[index.reshape(pixels.shape[:2])], kept)


def _decode(png: bytes) -> NDArray[np.uint8]:
    width, height, depth, kind = struct.unpack(">IIBB", png[16:26])
    assert (depth, png[28]) == (8, 0), "8 bits, not interlaced"
    channels = {2: 3, 6: 4}[kind]
    data, place = b"", 8
    while place < len(png):
        size, name = struct.unpack(">I4s", png[place : place + 8])
        data += png[place + 8 : place + 8 + size] if name == b"IDAT" else b""
        place += size + 12
    rows = np.frombuffer(zlib.decompress(data), np.uint8).reshape(height, 1 + width * channels)
    above, found = np.zeros(width * channels, np.uint8), []
    for row in rows:
        above = _unfilter(int(row[0]), row[1:].copy(), above, channels)
        found.append(above)
    return np.stack(found).reshape(height, width, channels)[:, :, :3]


def _unfilter(
    kind: int, row: NDArray[np.uint8], above: NDArray[np.uint8], step: int
) -> NDArray[np.uint8]:
    if kind == 0:
        return row
    if kind == 2:
        return row + above
    if kind == 1:
        return np.cumsum(row.reshape(-1, step), axis=0, dtype=np.uint8).reshape(-1)
    out = [0] * step + row.tolist()
    up = [0] * step + above.tolist()
    for at in range(step, len(out)):
        left, over, corner = out[at - step], up[at], up[at - step]
        out[at] = (out[at] + (left + over >> 1 if kind == 3 else _paeth(left, over, corner))) & 255
    return np.array(out[step:], np.uint8)


def _paeth(left: int, over: int, corner: int) -> int:
    guess = left + over - corner
    near = (abs(guess - left), abs(guess - over), abs(guess - corner))
    return (left, over, corner)[near.index(min(near))]


def _encode(index: NDArray[np.uint8], colours: NDArray[np.int32]) -> bytes:
    height, width = index.shape
    rows = np.hstack([np.zeros((height, 1), np.uint8), index]).tobytes()
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", colours.astype(np.uint8).tobytes()),
        (b"IDAT", zlib.compress(rows, 9)),
        (b"IEND", b""),
    )
    return _HEAD + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in parts
    )


if __name__ == "__main__":
    for path in Path(sys.argv[1]).glob("*.png"):
        picture = path.read_bytes()
        if picture[25] != 3:  # no palette yet
            path.write_bytes(shrink(picture))
