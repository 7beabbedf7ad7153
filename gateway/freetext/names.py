"""Persons' names in sentences: the tagger's posterior, weighed again by form and context."""

from __future__ import annotations

import json
import math
import re
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple

from .candidates import LEAST, Candidate, candidates
from .generous import in_slots, widened
from .tagger import Likely, Tagged, Tagger

Span = tuple[int, int, float]
Profile = Literal["default", "strict"]
POSSIBLE, PLACE = 0.008, 0.5
WEIGHTS = Path(__file__).with_name("names.json")


# Begins where a run does, so that a long one without a comma is gone through once.
_LIST = re.compile(r"(?<![\u4e00-\u9fff·])[\u4e00-\u9fff·]++(?:[、/][\u4e00-\u9fff·]++)+")
_ITEM = re.compile(r"[\u4e00-\u9fff·]+")


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


class Found(NamedTuple):
    """Names of a sentence, none overlapping; weaker candidates that a document may confirm; and,
    for the strict profile, its places and organisations."""

    names: list[Span]
    possible: list[Span]
    places: list[Likely]


def persons(model: Tagger, ranks: Ranker, sentences: list[str], profile: Profile) -> list[Found]:
    """For each folded sentence its names as (start, end, probability)."""
    cut = ranks.cuts[profile]
    found = []
    for text, tagged in zip(sentences, model.likely(sentences, LEAST), strict=True):
        scored = [
            (each.start, each.end, ranks.probability(each))
            for each in candidates(text, tagged, ranks.terms)
        ]
        names = _united([each for each in scored if each[2] >= cut])
        names = _listed(text, names, scored)
        weaker = [each for each in scored if POSSIBLE <= each[2] < cut]
        places = []
        if profile == "strict":
            names = _generous(text, tagged, ranks.terms, names)
            places = _places(tagged.spans)
        found.append(Found(names, weaker, places))
    return found


def _listed(text: str, names: list[Span], scored: list[Span]) -> list[Span]:
    """With the weaker candidates that stand in a list of which at least half are names."""
    possible = {(start, end): p for start, end, p in scored if p >= POSSIBLE}
    more: list[Span] = []
    for row in _LIST.finditer(text):
        places = [item.span() for item in _ITEM.finditer(text, *row.span())]
        taken = [any(s < end and start < e for s, e, _ in names) for start, end in places]
        if 2 * sum(taken) >= len(places):
            more += [(*place, possible[place]) for place in places if place in possible]
    return _united(names + more) if more else names


def _generous(text: str, tagged: Tagged, terms: frozenset[str], names: list[Span]) -> list[Span]:
    """With what stands where persons do, and with characters the tagger cut off a name."""
    wide = [(*widened(text, tagged, start, end), p) for start, end, p in names]
    return _united([*wide, *((*span, POSSIBLE) for span in in_slots(text, tagged, terms))])


def _places(spans: list[Likely]) -> list[Likely]:
    """The likeliest places and organisations, none overlapping."""
    kept: list[Likely] = []
    for each in sorted(spans, key=lambda span: -span.probability):
        if each.probability < PLACE:
            break
        if each.kind != "PERSON" and all(each.end <= k.start or k.end <= each.start for k in kept):
            kept.append(each)
    return kept


def _united(spans: list[Span]) -> list[Span]:
    united: list[Span] = []
    for start, end, p in sorted(spans):
        if united and start < united[-1][1]:
            first, last, best = united[-1]
            united[-1] = (first, max(last, end), max(best, p))
        else:
            united.append((start, end, p))
    return united
