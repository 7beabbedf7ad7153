"""From a mask's text in policy data (`gen_icd(3)`) to its operator; an unknown text is an error.

What needs a key (`pseud`, `hash_salted`, `token`, `dateshift`, `noise`, `fpe`) is parsed to a mask
that does nothing before `gateway.masking.plan` has bound it. No text names an unkeyed hash.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import lru_cache
from itertools import pairwise
from typing import Literal, TypeAlias, TypeVar

from gateway.masking.keyed import DateShift, Fpe, Keyed, Noise, Pseudonym, Token
from gateway.masking.operators import (
    AgeBand,
    Band,
    Const,
    DatePart,
    DrugPart,
    GeoLevel,
    IcdPart,
    Keep,
    Mask,
    MaskError,
    Partial,
    ProcedurePart,
    Round,
    Suppress,
)

_Make: TypeAlias = Callable[[list[str]], Mask | Keyed]
_Choice = TypeVar("_Choice")

_WIDTHS: Mapping[str, Literal[5, 10]] = {"5": 5, "10": 10}
_GRAINS: Mapping[str, Literal["month", "quarter", "year"]] = {
    "month": "month",
    "quarter": "quarter",
    "year": "year",
}
_LEVELS: Mapping[str, Literal["county", "city", "prov"]] = {
    "county": "county",
    "city": "city",
    "prov": "prov",
}
_ICD: Mapping[str, Literal["3", "group", "chapter"]] = {
    "3": "3",
    "group": "group",
    "chapter": "chapter",
}
_DRUG: Mapping[str, Literal["atc1", "atc2", "atc3", "atc4", "generic"]] = {
    "atc1": "atc1",
    "atc2": "atc2",
    "atc3": "atc3",
    "atc4": "atc4",
    "generic": "generic",
}


@lru_cache(maxsize=512)
def parse_mask(text: str) -> Mask | Keyed:
    """The operator a mask text names; equal texts give equal operators."""
    found = re.fullmatch(r"([a-z_]+)(?:\(([^()]*)\))?", text)
    make = _MAKERS.get(found[1]) if found else None
    if found is None or make is None:
        raise MaskError(f"There is no mask {text[:60]!r}.")
    words = [] if found[2] is None else [word.strip() for word in found[2].split(",")]
    try:
        return make(words)
    except (ValueError, KeyError, ArithmeticError):
        raise MaskError(f"The mask {text[:60]!r} has wrong arguments.") from None


def _one(words: list[str]) -> str:
    (word,) = words
    return word


def _chosen(choices: Mapping[str, _Choice], words: list[str]) -> _Choice:
    return choices[_one(words)]


def _bare(mask: Mask | Keyed) -> _Make:
    def make(words: list[str]) -> Mask | Keyed:
        if words:
            raise ValueError("takes no argument")
        return mask

    return make


def _age(words: list[str]) -> Mask:
    width = _WIDTHS["".join(words[:1])]
    if len(words) == 1:
        return AgeBand(width)
    (top,) = (_natural(word.removeprefix("top=")) for word in words[1:])
    if top % width or not 50 <= top <= 100:
        raise ValueError("the last band begins where another would, between 50 and 100")
    return AgeBand(width, top)


def _procedure(words: list[str]) -> Mask:
    if words != ["2"]:
        raise ValueError("two digits")
    return ProcedurePart()


def _column(word: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,63}", word):
        raise ValueError("not a column")
    return word


def _noise(words: list[str]) -> Keyed:
    law, epsilon, sensitivity, person = words
    made = Noise(Decimal(epsilon), Decimal(sensitivity), _column(person))
    positive = all(each.is_finite() and each > 0 for each in (made.epsilon, made.sensitivity))
    if law != "laplace" or not positive:
        raise ValueError("laplace noise of a positive scale")
    return made


def _partial(words: list[str]) -> Mask:
    left, right = (_natural(word) for word in words)
    return Partial(left, right)


def _band(words: list[str]) -> Mask:
    edges = tuple(Decimal(word) for word in words)
    if not all(edge.is_finite() for edge in edges) or any(a >= b for a, b in pairwise(edges)):
        raise ValueError("edges rise")
    return Band(edges)


def _round(words: list[str]) -> Mask:
    base = _natural(_one(words))
    if base == 0:
        raise ValueError("base is positive")
    return Round(base)


def _natural(word: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", word):
        raise ValueError("not a natural number")
    return int(word)


def _const(words: list[str]) -> Mask:
    return Const(",".join(words))


_MAKERS: Mapping[str, _Make] = {
    "none": _bare(Keep()),
    "suppress": _bare(Suppress()),
    "const": _const,
    "partial": _partial,
    "gen_age": _age,
    "gen_date": lambda words: DatePart(_chosen(_GRAINS, words)),
    "gen_geo": lambda words: GeoLevel(_chosen(_LEVELS, words)),
    "gen_icd": lambda words: IcdPart(_chosen(_ICD, words)),
    "gen_proc": _procedure,
    "gen_drug": lambda words: DrugPart(_chosen(_DRUG, words)),
    "band": _band,
    "round": _round,
    "pseud": _bare(Pseudonym("pseud")),
    "hash_salted": _bare(Pseudonym("hash_salted")),
    "token": _bare(Token()),
    "fpe": _bare(Fpe()),
    "dateshift": lambda words: DateShift(_column(_one(words))),
    "noise": _noise,
}
