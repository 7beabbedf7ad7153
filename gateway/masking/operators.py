"""Mask operators: small frozen callables from a value to a safer value.

Laws, checked in tests/property/test_masking_laws.py: `None` stays `None`, masking twice changes
nothing more, and equal inputs give equal outputs. A value an operator does not understand raises
`MaskError`, whose message never repeats the value.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Literal, Protocol, TypeAlias

from gateway.errors import Unavailable
from gateway.masking.diagnoses import group_of

Value: TypeAlias = str | int | float | date | None

# Labels that stand for many values (total, rest) carry nothing to generalise.
_REST = frozenset({"*", "other"})
_COUNTRY = "0"  # the whole country, in which all provinces lie
# Chapters of diagnoses, and what a release has rolled up already: the sensitive codes of a chapter.
_ROLLED_UP = re.compile(r"CH\d\d|sensitive_other\.[A-Z0-9]{1,5}")
_REMAINDER = re.compile(r"other\.\d\d")  # what of a chapter no group holds
# ATC groups and the like-built codes of Chinese medicines (`ZA01A01`), with a route at the end.
_DRUG = re.compile(r"[A-Z]([A-Z0-9]{2}([A-Z0-9]([A-Z]([A-Z0-9]{2}(\.[a-z]+)?)?)?)?)?")


class MaskError(Unavailable):
    """A mask that is unknown or does not fit its column; the answer is withheld."""

    def __init__(self, message: str) -> None:
        super().__init__("mask_unusable", message, "脱敏规则无法应用，结果未予返回。")


class Mask(Protocol):
    """From a value to a safer value."""

    def __call__(self, value: Value) -> Value: ...


@dataclass(frozen=True)
class Keep:
    """`none`: the column may leave as it is; the policy said so."""

    def __call__(self, value: Value) -> Value:
        return value


@dataclass(frozen=True)
class Suppress:
    """`suppress`: nothing of the value leaves."""

    def __call__(self, value: Value) -> Value:
        return None


@dataclass(frozen=True)
class Const:
    """`const(text)`: that there is a value leaves, not which."""

    text: str

    def __call__(self, value: Value) -> Value:
        return None if value is None else self.text


@dataclass(frozen=True)
class Partial:
    """`partial(left,right)`: outer characters stay; a text too short for that is starred whole."""

    left: int
    right: int

    def __call__(self, value: Value) -> Value:
        if value is None:
            return None
        text = _text(value, "partial")
        hidden = len(text) - self.left - self.right
        if hidden <= 0:
            return "*" * len(text)
        return text[: self.left] + "*" * hidden + text[len(text) - self.right :]


@dataclass(frozen=True)
class AgeBand:
    """`gen_age(5|10[,top])`: the band an age, or a finer band, lies in; from `top` on (85 or 80, if
    none is given) one band."""

    width: Literal[5, 10]
    top: int = 0

    def __call__(self, value: Value) -> Value:
        if value is None or value in _REST:
            return value
        age = _leading_number(value)
        top = self.top or (85 if self.width == 5 else 80)
        if age >= top:
            return f"{top}+"
        if self.width == 5 and age < 5:
            return "0" if age == 0 else "1-4"
        start = age - age % self.width
        return f"{start}-{start + self.width - 1}"


@dataclass(frozen=True)
class DatePart:
    """`gen_date(month|quarter|year)`: the period a day or finer period lies in."""

    grain: Literal["month", "quarter", "year"]

    def __call__(self, value: Value) -> Value:
        if value is None or value in _REST:
            return value
        year, month, quarter = _dated(value)
        if self.grain == "year" or (month is None and quarter is None):
            return year
        if self.grain == "quarter" or month is None:
            return f"{year}Q{quarter}"
        return f"{year}-{month:02d}"


@dataclass(frozen=True)
class GeoLevel:
    """`gen_geo(county|city|prov)`: the division of that level an admdvs code lies in."""

    level: Literal["county", "city", "prov"]

    def __call__(self, value: Value) -> Value:
        if value is None or value in _REST or value == _COUNTRY:
            return value
        code = _text(value, "gen_geo")
        if not re.fullmatch(r"\d{6}", code):
            raise MaskError("gen_geo masks six-digit division codes only.")
        kept = {"county": 6, "city": 4, "prov": 2}[self.level]
        return code[:kept].ljust(6, "0")


@dataclass(frozen=True)
class IcdPart:
    """`gen_icd(3|group|chapter)`: the category, S03's group or the chapter of a diagnosis."""

    part: Literal["3", "group", "chapter"]

    def __call__(self, value: Value) -> Value:
        if value is None or value in _REST:
            return value
        written = _text(value, "gen_icd")
        if _ROLLED_UP.fullmatch(written) or (
            self.part == "group" and _REMAINDER.fullmatch(written)
        ):
            return written
        code = written.upper()
        if not re.match(r"[A-Z]\d\d", code):
            raise MaskError("gen_icd masks ICD-10 codes only.")
        if self.part == "3":
            return code[:3]
        chapter = _chapter(code[:3])
        if self.part == "chapter":
            return chapter
        return group_of(code) or chapter.replace("CH", "other.")


@dataclass(frozen=True)
class ProcedurePart:
    """`gen_proc(2)`: the two-digit chapter of an ICD-9-CM-3 procedure code."""

    def __call__(self, value: Value) -> Value:
        if value is None or value in _REST:
            return value
        code = _text(value, "gen_proc")
        if not re.fullmatch(r"\d\d(\.[0-9A-Za-z]{0,8})?", code, re.ASCII):
            raise MaskError("gen_proc masks ICD-9-CM-3 procedure codes only.")
        return code[:2]


@dataclass(frozen=True)
class DrugPart:
    """`gen_drug(atc1…atc4|generic)`: the ATC group of a drug code, or its generic with route."""

    part: Literal["atc1", "atc2", "atc3", "atc4", "generic"]

    def __call__(self, value: Value) -> Value:
        if value is None or value in _REST:
            return value
        code = _text(value, "gen_drug")
        if _ROLLED_UP.fullmatch(code):
            return code
        if not _DRUG.fullmatch(code):
            raise MaskError("gen_drug masks ATC codes and generics only.")
        if self.part == "generic":
            return code
        return code[: {"atc1": 1, "atc2": 3, "atc3": 4, "atc4": 5}[self.part]]


@dataclass(frozen=True)
class Band:
    """`band(10,20)`: the interval a number lies in: `<10`, `10-<20`, `20+`."""

    edges: tuple[Decimal, ...]

    def __call__(self, value: Value) -> Value:
        if value is None or value in self.labels:
            return value
        return self.labels[bisect_right(self.edges, number_of(value, "band"))]

    @property
    def labels(self) -> tuple[str, ...]:
        inner = (f"{low}-<{high}" for low, high in zip(self.edges, self.edges[1:], strict=False))
        return (f"<{self.edges[0]}", *inner, f"{self.edges[-1]}+")


@dataclass(frozen=True)
class Round:
    """`round(n)`: the nearest multiple of n, halves away from zero; the form of the value stays."""

    base: int

    def __call__(self, value: Value) -> Value:
        if value is None:
            return None
        exact = number_of(value, "round")
        # Adding nothing makes a negative zero a zero, as columns of decimals know no other.
        multiple = (exact / self.base).to_integral_value(ROUND_HALF_UP) * self.base + 0
        if isinstance(value, str):
            return str(multiple.quantize(Decimal(1).scaleb(min(0, _exponent(exact)))))
        return int(multiple) if isinstance(value, int) else float(multiple)


# First and last category of the 22 chapters of ICD-10, in order.
_CHAPTERS = (
    ("A00", "B99"), ("C00", "D48"), ("D50", "D89"), ("E00", "E90"), ("F00", "F99"), ("G00", "G99"),
    ("H00", "H59"), ("H60", "H95"), ("I00", "I99"), ("J00", "J99"), ("K00", "K93"), ("L00", "L99"),
    ("M00", "M99"), ("N00", "N99"), ("O00", "O99"), ("P00", "P96"), ("Q00", "Q99"), ("R00", "R99"),
    ("S00", "T98"), ("V01", "Y98"), ("Z00", "Z99"), ("U00", "U99"),
)  # fmt: skip


def _chapter(category: str) -> str:
    for number, (first, last) in enumerate(_CHAPTERS, start=1):
        if first <= category <= last:
            return f"CH{number:02d}"
    return "other"


def _dated(value: Value) -> tuple[str, int | None, int | None]:
    """Year, month if known, quarter if known."""
    text = value.isoformat() if isinstance(value, date) else _text(value, "gen_date")
    found = re.match(r"(\d{4})(?:-(0[1-9]|1[0-2])(?:\D.*)?|Q([1-4]))?$", text, re.DOTALL)
    if found is None:
        raise MaskError("gen_date masks dates and periods only.")
    year, month, quarter = found.groups()
    if month is not None:
        return year, int(month), (int(month) + 2) // 3
    return year, None, int(quarter) if quarter else None


def _leading_number(value: Value) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    found = (
        re.fullmatch(r"(\d{1,3})(-\d{1,3}|\+|\.\d+)?", value) if isinstance(value, str) else None
    )
    if found is None:
        raise MaskError("gen_age masks ages and age bands only.")
    return int(found[1])


def number_of(value: Value, mask: str) -> Decimal:
    """A value as an exact number; what is none is an error that names the mask."""
    try:
        if isinstance(value, bool | date) or value is None:
            raise MaskError(f"{mask} masks numbers only.")
        number = Decimal(str(value))
    except InvalidOperation:
        raise MaskError(f"{mask} masks numbers only.") from None
    if not number.is_finite():
        raise MaskError(f"{mask} masks finite numbers only.")
    return number


def _exponent(number: Decimal) -> int:
    exponent = number.as_tuple().exponent
    return exponent if isinstance(exponent, int) else 0


def _text(value: Value, mask: str) -> str:
    if not isinstance(value, str):
        raise MaskError(f"{mask} masks texts only.")
    return value
