"""Text as the patterns read it: full-width forms made ASCII, invisible characters left out.

Every full-width character becomes one character, so only left-out characters move offsets; the
map back is kept for those texts alone (NFKC would change lengths: ℃, ①, ㎎).
"""

from __future__ import annotations

import re
from typing import NamedTuple

_INVISIBLE = re.compile("[\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
_WIDE = {**{code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}, 0x3000: 0x20, 0x2212: 0x2D}
_NEEDS = re.compile("[\uff01-\uff5e\u3000\u2212]")


class Folded(NamedTuple):
    """`text` as patterns read it; `back[i]` is where its character i stands in the original."""

    text: str
    back: list[int] | None

    def original(self, start: int, end: int) -> tuple[int, int]:
        """The span of the original that reads as [start, end) here; `start < end`."""
        if self.back is None:
            return start, end
        return self.back[start], self.back[end - 1] + 1


def fold(text: str) -> Folded:
    """The text folded, with its way back to the original's characters."""
    back = None
    if not text.isascii() and _INVISIBLE.search(text):
        back = [at for at, char in enumerate(text) if not _INVISIBLE.match(char)]
        text = "".join([text[at] for at in back])
    if _NEEDS.search(text):
        text = text.translate(_WIDE)
    return Folded(text, back)
