"""Sentences written by hand with the names in brackets, and the two figures they are scored by."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

FRESH = Path(__file__).parent / "data" / "freetext_names_fresh.txt"
BLIND = Path(__file__).parent / "data" / "freetext_names_blind.txt"
STYLES = Path(__file__).parent / "data" / "freetext_names_styles.txt"
WARDS = Path(__file__).parent / "data" / "freetext_names_wards.txt"


class Marked(NamedTuple):
    """`group` begins with C for clinical, O for open text; `names` are [start, end) of `text`."""

    group: str
    text: str
    names: list[tuple[int, int]]


class Score(NamedTuple):
    """Names masked whole, names, predictions that touch a name, predictions."""

    covered: int
    names: int
    touching: int
    predicted: int

    @property
    def cover(self) -> float:
        return self.covered / self.names

    @property
    def relevant(self) -> float:
        return self.touching / max(1, self.predicted)


def marked(path: Path = FRESH) -> list[Marked]:
    """The sentences of a file: group, tab, text."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        group, _, bracketed = line.partition("\t")
        text, names = "", []
        for part in re.split(r"(\[[^\]]*\])", bracketed):
            if part.startswith("["):
                names.append((len(text), len(text) + len(part) - 2))
                text += part[1:-1]
            else:
                text += part
        rows.append(Marked(group, text, names))
    return rows


def score(rows: list[Marked], found: list[list[tuple[int, int]]]) -> Score:
    """The figures of these rows."""
    covered = names = touching = predicted = 0
    for row, spans in zip(rows, found, strict=True):
        masked = {at for start, end in spans for at in range(start, end)}
        names += len(row.names)
        covered += sum(masked >= set(range(start, end)) for start, end in row.names)
        predicted += len(spans)
        touching += sum(any(a < e and s < b for a, b in row.names) for s, e in spans)
    return Score(covered, names, touching, predicted)
