"""Pinyin of titles, at build time only: pypinyin knows which reading a word asks for."""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

from pypinyin import Style, lazy_pinyin

from gateway.codes.spelling import title_key

_RUNS = re.compile(r"[\u3400-\u9fff]+|[^\u3400-\u9fff]")
_SETS = (("gb2312", range(0xB0, 0xF8)), ("big5", range(0xA4, 0xFA)))


class Spelt(NamedTuple):
    """A title in letters without tones, whole and by its initials."""

    pinyin: str
    initials: str


def spelt(title: str) -> Spelt:
    """Syllable by syllable; what is no Chinese character stays as it is, in small letters."""
    syllables: list[str] = []
    for part in _RUNS.findall(title_key(title)):
        syllables += lazy_pinyin(part, style=Style.NORMAL)
    return Spelt("".join(syllables), "".join(one[:1] for one in syllables))


@cache
def sounds() -> tuple[tuple[str, str], ...]:
    """Syllables with the characters of the simplified and the traditional set that sound so."""
    heard: dict[str, list[str]] = {}
    for letter in sorted(_characters()):
        heard.setdefault(lazy_pinyin(letter, style=Style.NORMAL)[0], []).append(letter)
    spoken = (each for each in sorted(heard) if each.isascii() and each.isalpha())
    return tuple((syllable, "".join(heard[syllable])) for syllable in spoken)


def _characters() -> set[str]:
    """The Chinese characters of GB 2312 and Big5."""
    found = set()
    for name, leads in _SETS:
        for lead in leads:
            for trail in range(0x40, 0xFF):
                letter = bytes((lead, trail)).decode(name, "ignore")
                if len(letter) == 1 and "\u4e00" <= letter <= "\u9fff":
                    found.add(letter)
    return found
