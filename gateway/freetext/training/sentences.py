"""Training sentences from own templates and lexicons, drawn with a seed.

Nothing here comes from a corpus: templates and word lists were written for this project, so the
weights trained on them carry no third party's licence.
"""

from __future__ import annotations

import csv
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import yaml

import synthetic.warehouse.codes

_HERE = Path(__file__).parent
CODES = Path(synthetic.warehouse.codes.__file__).parent
_SLOT = re.compile(r"\{([a-z])\}")
_LISTS = {"j": "roles", "k": "kin", "p": "places", "h": "hospitals", "c": "companies"} | {
    "d": "drugs",
    "x": "diseases",
    "e": "eponyms",
    "w": "words",
}
Lexicon = dict[str, list[str]]


class Sentence(NamedTuple):
    """A text and the characters [start, end) of each person's name in it."""

    text: str
    names: list[tuple[int, int]]


def lexicon() -> Lexicon:
    """The word lists; lists of characters as lists too."""
    raw = yaml.safe_load((_HERE / "lexicon.yaml").read_text(encoding="utf-8"))
    words = {name: list(words) for name, words in raw.items()}
    for slot, codes in (("drugs", ("generic", "mcs_generic")), ("diseases", ("dx", "oprn"))):
        words[slot] += [title for code in codes for title in _titles(code)]
    return words


def terms(words: Lexicon) -> set[str]:
    """Words of three characters or more that no name lies in, and shorter ones that are none: herbs
    (白术, 柴胡) begin with surnames, and ordinary words do."""
    kinds = ("drugs", "diseases", "eponyms", "hospitals", "companies")
    long = {word for kind in kinds for word in words[kind] if len(word) >= 3}
    return long | {*words["plain"]} | {word for word in words["drugs"] if len(word) == 2}


def _titles(code: str) -> list[str]:
    """The titles of one of the simulator's code lists."""
    with (CODES / f"{code}.csv").open(encoding="utf-8", newline="") as file:
        return [row["title_zh"] for row in csv.DictReader(file)]


def templates() -> list[str]:
    """The sentences with slots."""
    lines = (_HERE / "templates.txt").read_text(encoding="utf-8").splitlines()
    return [line.removeprefix("- ") for line in lines if line and not line.startswith("#")]


def sentences(count: int, seed: int) -> list[Sentence]:
    """`count` sentences; the same seed gives the same ones."""
    draw, words = random.Random(seed), lexicon()  # noqa: S311 -- text for training, no secret
    forms = templates()
    return [_filled(draw, words, draw.choice(forms)) for _ in range(count)]


def name(draw: random.Random, words: Lexicon) -> str:
    """A name as people here bear them: mostly Han of two or three characters, some others."""
    kind = draw.random()
    if kind < 0.05:
        return draw.choice(words["wordnames"])
    if kind < 0.11:
        parts = [draw.choice(words["minority"]) for _ in range(draw.choice([1, 2, 2]))]
        return draw.choice("·•" if draw.random() < 0.7 else [""]).join(parts)
    if kind < 0.14:
        return draw.choice(words["foreign"])
    if kind < 0.17:
        surname = draw.choice(words["compound"])
    else:
        places = range(1, len(words["surnames"]) + 1)
        weights = [1 / (place + 12) for place in places]
        surname = draw.choices(words["surnames"], weights)[0]
    given = draw.choices(words["given"], k=1 if draw.random() < 0.3 else 2)
    if draw.random() < 0.25:  # no list of characters holds all that parents choose
        given[-1] = draw.choice(words["rarer"])
    return surname + "".join(given)


def nickname(draw: random.Random, words: Lexicon) -> str:
    """How neighbours and colleagues call one another: 老王, 小李, 王阿姨."""
    surname = draw.choice(words["surnames"][:120])
    if draw.random() < 0.55:
        return draw.choice("老小") + surname
    return surname + draw.choice(words["calls"])


def _filled(draw: random.Random, words: Lexicon, form: str) -> Sentence:
    text, names, at = "", [], 0
    for slot in _SLOT.finditer(form):
        text += form[at : slot.start()]
        at = slot.end()
        value = _value(draw, words, slot[1])
        if slot[1] in "nug":
            names.append((len(text), len(text) + len(value)))
        text += value
    return Sentence(text + form[at:], names)


def _value(draw: random.Random, words: Lexicon, slot: str) -> str:
    if slot in _DRAWN:
        return _DRAWN[slot](draw, words)
    if slot == "w" and draw.random() < 0.5:
        return draw.choice(words["plain"])
    return draw.choice(words[_LISTS[slot]])


def _wide(draw: random.Random, words: Lexicon) -> str:
    """A name of two characters as forms print it."""
    surname = draw.choice(words["surnames"][:200])
    return surname + " " * draw.randint(1, 3) + draw.choice(words["given"])


def _age(draw: random.Random, _: Lexicon) -> str:
    return str(draw.randint(1, 88))


_DRAWN: dict[str, Callable[[random.Random, Lexicon], str]] = {
    "n": name,
    "u": nickname,
    "g": _wide,
    "f": lambda draw, words: draw.choice(words["surnames"][:100]),
    "s": lambda draw, _: draw.choice("男女"),
    "a": _age,
    "b": _age,
}
