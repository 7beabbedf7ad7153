"""A text cut into sentences the tagger reads, none so long that its cost or memory runs away."""

from __future__ import annotations

import re
from collections.abc import Iterator

LONGEST = 160
_STOP = re.compile(r"[。!?;\n\r\t]|[!?;]")
_PAUSE = re.compile(r"[,、,:: ]")


def sentences(text: str) -> Iterator[tuple[int, str]]:
    """Each sentence of a folded text with the character it starts at; together they are it."""
    start = 0
    for stop in _STOP.finditer(text):
        yield from _bounded(start, text[start : stop.end()])
        start = stop.end()
    yield from _bounded(start, text[start:])


def _bounded(start: int, sentence: str) -> Iterator[tuple[int, str]]:
    while len(sentence) > LONGEST:
        pauses = [match.end() for match in _PAUSE.finditer(sentence, 0, LONGEST)]
        cut = pauses[-1] if pauses and pauses[-1] > LONGEST // 2 else LONGEST
        yield start, sentence[:cut]
        start, sentence = start + cut, sentence[cut:]
    if sentence.strip():
        yield start, sentence
