"""The fused recogniser of structured identifiers: a cheap sign first, then the patterns."""

from __future__ import annotations

import re
from typing import NamedTuple

from .folding import fold
from .patterns import PATTERNS, SIGNS

_DIGITS = re.compile(r"[0-9]{2}|[0-9][号栋弄幢座组队室]|@|[A-Z][ ·•]?[A-Z0-9]{4}")


class Span(NamedTuple):
    """Characters [start, end) of the original text, what they are and how sure."""

    start: int
    end: int
    kind: str
    score: float


def scan(text: str) -> list[Span]:
    """The identifiers of a text, in order, none overlapping: the surer, then longer, wins."""
    folded = fold(text)
    if not _DIGITS.search(folded.text):
        return []
    found = []
    signs = {sign: bool(sign.search(folded.text)) for sign in SIGNS}
    for pattern in PATTERNS:
        if not signs[pattern.sign]:
            continue
        group = "v" if "v" in pattern.regex.groupindex else 0
        for match in pattern.regex.finditer(folded.text):
            if pattern.holds(match[group]):
                start, end = folded.original(*match.span(group))
                found.append(Span(start, end, pattern.kind, pattern.score))
    return resolve(found)


def resolve(found: list[Span]) -> list[Span]:
    """Spans without overlap that cover all that any of them covered: nothing found is unmasked."""
    kept: list[Span] = []
    for span in sorted(found):
        if not kept or span.start >= kept[-1].end:
            kept.append(span)
            continue
        last = kept[-1]
        surer = max(last, span, key=lambda each: (each.score, each.end - each.start))
        kept[-1] = Span(last.start, max(last.end, span.end), surer.kind, surer.score)
    return kept
