"""Counts as bands, in the words of the disclosure profile: `<20`, `1000+ rounded to 10`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gateway.cohorts.index import Ints

_SMALL = re.compile(r"<([0-9]+)")
_RANGE = re.compile(r"([0-9]+)-([0-9]+)")
_OPEN = re.compile(r"([0-9]+)\+ rounded to ([1-9][0-9]*)")


class BandsUnclear(ValueError):
    """The profile's bands are not understood: nothing can be told under it."""


@dataclass(frozen=True)
class _Band:
    """Counts from `first` to `last`; without a last one they are rounded to `step`."""

    text: str
    first: int
    last: int | None
    step: int = 1


@dataclass(frozen=True)
class Bands:
    """All bands, small to large; every count is in one of them."""

    bands: tuple[_Band, ...]

    @classmethod
    def of(cls, texts: Sequence[str]) -> Bands:
        """The bands as a profile writes them; raises `BandsUnclear`."""
        found = tuple(_read(text) for text in texts)
        expected = 0
        for number, band in enumerate(found):
            if band.first != expected or (band.last is None) is not (number == len(found) - 1):
                raise BandsUnclear(f"bands leave a gap or overlap at {band.text!r}")
            expected = 0 if band.last is None else band.last + 1
        if not found:
            raise BandsUnclear("there are no bands")
        return cls(found)

    def tell(self, number: int) -> str:
        """The band of a count; large counts are rounded."""
        band = next(one for one in self.bands if one.last is None or number <= one.last)
        if band.last is not None:
            return band.text
        # Half to even, and never below the band: 1004 is told as 1000.
        return str(max(band.first, round(number / band.step) * band.step))

    def meaning(self, told: str) -> tuple[int, int | None]:
        """The least and the most that a told band can stand for."""
        for band in self.bands:
            if band.text == told and band.last is not None:
                return band.first, band.last
        last = self.bands[-1]
        least, most = (int(told) + side * (last.step // 2) for side in (-1, 1))
        # A tie goes to the even neighbour: of 1010 neither end is meant, of 1020 both are.
        least, most = least + (self.tell(least) != told), most - (self.tell(most) != told)
        return max(last.first, least), most

    @property
    def least(self) -> int:
        """Counts below it are told as one band, whether or not there is anybody."""
        return (self.bands[0].last or 0) + 1


def _read(text: str) -> _Band:
    if found := _SMALL.fullmatch(text):
        return _Band(text, 0, int(found[1]) - 1)
    if found := _RANGE.fullmatch(text):
        return _Band(text, int(found[1]), int(found[2]))
    if found := _OPEN.fullmatch(text):
        return _Band(text, int(found[1]), None, int(found[2]))
    raise BandsUnclear(f"a band is not understood: {text!r}")


@dataclass(frozen=True)
class Rules:
    """What a merged profile says of cohorts."""

    bands: Bands
    delta: int
    criteria: int
    step: int

    @classmethod
    def of(cls, profile: Mapping[str, Any]) -> Rules:
        """The rules of a profile for cohorts; raises `BandsUnclear` for any other."""
        try:
            bands = Bands.of(profile["bands"])
            return cls(
                bands,
                int(profile["differencing_min_delta"]),
                int(profile["criteria_max"]),
                int(profile["count_round"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise BandsUnclear("the profile is none for cohorts") from error

    def narrowed(self, total: str, parts: Sequence[str | None]) -> bool:
        """Whether, of parts that add up to a total, what is told tells one small part closely:
        to no more possible counts than rounding leaves of a large one. None: a part is withheld."""
        least, most = self.bands.meaning(total)
        spans = [(0, None) if told is None else self.bands.meaning(told) for told in parts]
        for at, (low, high) in enumerate(spans):
            if high is None or low > 0:
                continue
            others = [span for number, span in enumerate(spans) if number != at]
            tops = [top for _, top in others]
            first = 0 if None in tops else max(0, least - sum(top or 0 for top in tops))
            last = high if most is None else min(high, most - sum(bottom for bottom, _ in others))
            if last - first + 1 <= self.step:
                return True
        return False


WINDOW = 5
"""A quartile is the mean of so many neighbouring values (SPEC §4.3.7)."""


def quartiles(months: Ints) -> dict[str, int]:
    """The three quartiles of whole months, each smoothed over its neighbours, then rounded."""
    ordered = np.sort(months)
    found = {}
    for name, share in (("p25", 1), ("p50", 2), ("p75", 3)):
        centre = (len(ordered) - 1) * share // 4
        first = max(0, min(centre - WINDOW // 2, len(ordered) - WINDOW))
        near = ordered[first : first + WINDOW]
        found[name] = int((2 * int(near.sum()) + len(near)) // (2 * len(near)))
    return found
