"""Persons' names in sentences: the tagger's posterior, weighed again by form and context."""

from __future__ import annotations

import json
import math
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple

from .candidates import LEAST, Candidate, candidates
from .tagger import Tagger

Profile = Literal["default", "strict"]
WEIGHTS = Path(__file__).with_name("names.json")


class Ranker(NamedTuple):
    """A logistic regression over candidates, where profiles cut, and terms that hold no name."""

    bias: float
    weights: dict[str, float]
    cuts: dict[str, float]
    terms: frozenset[str]

    def probability(self, candidate: Candidate) -> float:
        """How probably the candidate is a name, of (0, 1)."""
        weights = self.weights
        odds = self.bias + sum(
            weights.get(name, 0.0) * value for name, value in candidate.features.items() if value
        )
        return 1 / (1 + math.exp(-max(-30.0, min(30.0, odds))))


@lru_cache(maxsize=1)
def ranker() -> Ranker:
    """The packaged weights; `make names` writes them."""
    raw = json.loads(WEIGHTS.read_text(encoding="utf-8"))
    return Ranker(raw["bias"], raw["weights"], raw["cuts"], frozenset(raw["terms"]))


def persons(
    model: Tagger, ranks: Ranker, sentences: list[str], profile: Profile
) -> list[list[tuple[int, int, float]]]:
    """For each folded sentence the names as (start, end, probability), none overlapping."""
    cut = ranks.cuts[profile]
    found = []
    for text, likely in zip(sentences, model.likely(sentences, LEAST), strict=True):
        scored = ((each, ranks.probability(each)) for each in candidates(text, likely, ranks.terms))
        kept = [(each.start, each.end, p) for each, p in scored if p >= cut]
        found.append(_united(kept))
    return found


def _united(spans: list[tuple[int, int, float]]) -> list[tuple[int, int, float]]:
    united: list[tuple[int, int, float]] = []
    for start, end, p in sorted(spans):
        if united and start < united[-1][1]:
            first, last, best = united[-1]
            united[-1] = (first, max(last, end), max(best, p))
        else:
            united.append((start, end, p))
    return united
