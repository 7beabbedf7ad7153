"""What a check found in an output, without repeating any of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Weight(StrEnum):
    """What a finding means for the file."""

    STOP = "stop"
    """It does not leave as it is."""
    LOOK = "look"
    """A reviewer decides, having been told."""


@dataclass(frozen=True, order=True)
class Finding:
    """One finding: a stable code, where in the file, a sentence for its developer.

    Neither place nor sentence repeats a value of the file: they are shown before it is released.
    """

    weight: Weight
    code: str
    where: str
    sentence: str


def stop(code: str, where: str, sentence: str) -> Finding:
    """A finding for which the file does not leave."""
    return Finding(Weight.STOP, code, where, sentence)


def look(code: str, where: str, sentence: str) -> Finding:
    """A finding that a reviewer weighs."""
    return Finding(Weight.LOOK, code, where, sentence)


@dataclass(frozen=True)
class Rules:
    """The bounds, of the disclosure profile that egress names (SPEC DC7: `egress_sdc` DC2)."""

    k_person: int
    top1_share_max: float
    count_round: int
    amount_sig_digits: int
    max_dims: int


FIGURES: Final = 200
"""Figures of one metrics file: what a model's quality needs, and far fewer than its rows."""
ROWS: Final = 10_000
DIGITS: Final = 6
"""Significant digits of a metric. More would tell nothing of a model and could carry data."""
BYTES: Final = 10 << 20
"""All files of one request together (SPEC SC08, `egress_mb_request`)."""
