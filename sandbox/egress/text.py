"""What plain text could smuggle: identifiers, encoded bytes, disorder no language has."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from math import log2
from typing import Final

from sandbox.egress.findings import Finding, look, stop

CARD_LENGTH: Final = 20_000
_ENCODED: Final = re.compile(r"[A-Za-z0-9+/_=-]{40,}")
_HEX: Final = re.compile(r"(?:[0-9a-fA-F]{2}[ :]?){20,}")
_NUMBER: Final = re.compile(r"[0-9](?:[ -]?[0-9]){10,}[Xx]?")
_TABLE: Final = re.compile(
    r"(?<![0-9.])(?:-?[0-9.]++ *+(?:[,;|][ \t]*+|\t[ \t]*+(?:[,;|][ \t]*+)?+)){8,}"
)
"""Every character can be read in one way only: a long line of digits or tabs took minutes."""
_MOST_DISORDER: Final = 5.6
"""Bits a character of a piece of Latin text; base64 has 5.9 and more, prose about 4.3."""
_PIECE: Final = 512


def examined(text: str, most: int = CARD_LENGTH) -> list[Finding]:
    """Findings on a text: a model card, a log."""
    found = []
    if len(text) > most:
        found.append(stop("too_long", "text", f"A text has {most} characters at most."))
    for number, line in enumerate(text.splitlines(), 1):
        found += _line(f"line {number}", line)
    if any(_disorder(piece) > _MOST_DISORDER for piece in _pieces(text)):
        found.append(look("disorder", "text", "Parts of it are less ordered than any language."))
    return found


def _line(where: str, line: str) -> Iterator[Finding]:
    if _NUMBER.search(line):
        yield stop("identifier", where, "It holds a number as long as a telephone's or an id's.")
    if _ENCODED.search(line) or _HEX.search(line):
        yield stop("encoded", where, "It holds a run of letters and digits that reads as encoded.")
    if _TABLE.search(line):
        yield stop("table_in_text", where, "It holds a row of figures; a table leaves as CSV.")


def _pieces(text: str) -> Iterator[str]:
    latin = re.sub(r"[^\x21-\x7e]", "", text)
    for start in range(0, len(latin) - _PIECE + 1, _PIECE):
        yield latin[start : start + _PIECE]


def _disorder(piece: str) -> float:
    counts = Counter(piece)
    return -sum(n / len(piece) * log2(n / len(piece)) for n in counts.values())
