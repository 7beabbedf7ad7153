"""Which classification item an unmapped column may belong to, for a person to confirm.

Evidence is, in this order: the national field name or an interface name of it, its Chinese title,
what the sampled values are (identifiers with a check digit, code formats, days). A proposal never
classifies by itself: it is printed, with why, and nothing is shown of the values.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from types import MappingProxyType

from synthetic.warehouse.schema import TABLES, Column

SAMPLE = 500
_MOST = 0.8
"""Share of the sampled values that must be of a form for the form to be evidence."""


@dataclass(frozen=True)
class Proposal:
    """`item` and `level` as proposed (empty where nothing is known), and why; `sure` is how good
    the evidence is: 1 a national name, less for titles and forms, 0 none."""

    column: str
    item: str
    level: str
    why: str
    sure: float


def propose(columns: Mapping[str, Sequence[object]], levels: Mapping[str, str]) -> list[Proposal]:
    """A proposal for each column, in order; `levels` is the level of every item. Of the values, the
    first 500 that are there are looked at."""
    return [_proposed(name, values, levels) for name, values in columns.items()]


def _proposed(name: str, values: Sequence[object], levels: Mapping[str, str]) -> Proposal:
    found = list(_evidence(name, _sampled(values)))
    if not found:
        return Proposal(name, "", "", "nothing known: treat as L5 until somebody says more", 0.0)
    item, why, sure = max(found, key=lambda each: (each[2], levels.get(each[0], "")))
    # A form that is more secret than the name says outweighs the name: a name is easily wrong.
    for other, reason, certainty in found:
        if certainty >= _FORM and levels.get(other, "") > levels.get(item, ""):
            item, why, sure = other, reason, certainty
    return Proposal(name, item, levels.get(item, ""), why, sure)


_NAME, _FORM, _TITLE, _WEAK = 1.0, 0.9, 0.8, 0.5
Evidence = tuple[str, str, float]


def _evidence(name: str, values: Sequence[str]) -> Iterator[Evidence]:
    short = re.sub(r"[^a-z0-9]+", "_", name.casefold()).strip("_")
    if short in _names():
        yield _names()[short], f"national field {short}", _NAME
    titled = name.strip()
    if titled in _titles():
        yield _titles()[titled], f"title {titled}", _TITLE
    for form, (item, check, sure) in _FORMS.items():
        if values and sum(map(check, values)) >= _MOST * len(values):
            yield item, f"values are {form}", sure


def _sampled(values: Iterable[object]) -> list[str]:
    made: list[str] = []
    for value in values:
        if value is None or value == "":
            continue
        made.append(value.isoformat() if isinstance(value, date | datetime) else str(value).strip())
        if len(made) == SAMPLE:
            break
    return made


@cache
def _names() -> Mapping[str, str]:
    return MappingProxyType(
        {name: c.item for c in _columns() for name in (*c.interface_names, c.name)}
    )


@cache
def _titles() -> Mapping[str, str]:
    return MappingProxyType({column.title_zh: column.item for column in _columns()})


def _columns() -> Iterator[Column]:
    return (column for table in TABLES.values() for column in table.columns)


_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def resident_id(text: str) -> bool:
    """Eighteen characters with a day of birth and the check character of GB 11643 (ISO 7064)."""
    if not re.fullmatch(r"[1-9]\d{16}[\dXx]", text, re.ASCII):
        return False
    try:
        date(int(text[6:10]), int(text[10:12]), int(text[12:14]))
    except ValueError:
        return False
    total = sum(w * int(digit) for w, digit in zip(_WEIGHTS, text[:17], strict=True))
    return "10X98765432"[total % 11] == text[17].upper()


def bank_card(text: str) -> bool:
    """Sixteen to nineteen digits that begin as cards do and pass Luhn's check."""
    if (
        not re.fullmatch(r"(62|4|5[1-5]|3[57])\d{13,18}", text, re.ASCII)
        or not 16 <= len(text) <= 19
    ):
        return False
    doubled = [2 * int(digit) for digit in text[-2::-2]]
    return (sum(map(int, text[-1::-2])) + sum(d // 10 + d % 10 for d in doubled)) % 10 == 0


def credit_code(text: str) -> bool:
    """A unified social credit code (GB 32100) with the right last character."""
    signs = "0123456789ABCDEFGHJKLMNPQRTUWXY"
    if not re.fullmatch(rf"[{signs}]{{18}}", text):
        return False
    total = sum(pow(3, at, 31) * signs.index(sign) for at, sign in enumerate(text[:17]))
    return signs[-total % 31] == text[17]


def _matches(pattern: str) -> Callable[[str], bool]:
    compiled = re.compile(pattern, re.ASCII)
    return lambda text: compiled.fullmatch(text) is not None


# The hundred most frequent surnames; nine of ten names begin with one of them.
_SURNAMES = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏"
    "魏吕丁任沈姚卢姜崔钟谭陆汪范金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵"
    "万钱严覃武戴莫孔向汤"
)


def _person_name(text: str) -> bool:
    return re.fullmatch(r"[\u4e00-\u9fff]{2,4}", text) is not None and text[0] in _SURNAMES


_FORMS: Mapping[str, tuple[str, Callable[[str], bool], float]] = MappingProxyType(
    {
        "resident identity numbers": ("C01-03", resident_id, _FORM),
        "bank cards": ("C08-05", bank_card, _FORM),
        "mobile numbers": ("C01-07", _matches(r"(\+?86)?1[3-9]\d{9}"), _FORM),
        "unified social credit codes": ("C08-01", credit_code, _FORM),
        "names of persons": ("C01-01", _person_name, _FORM),
        "addresses": (
            "C01-08",
            lambda t: bool(re.search(r"[省市区县].*(路|街|村|号|室|镇|乡)", t)),
            _FORM,
        ),
        "ICD-10 codes": ("C04-01", _matches(r"[A-Z]\d\d(\.[0-9x][0-9A-Zx]{0,5})?(\+.*)?"), _TITLE),
        "procedure codes": ("C04-04", _matches(r"\d\d\.\d{2,4}([0-9x]{0,4})?"), _WEAK),
        "ATC codes": ("C07-01", _matches(r"[A-Z]\d\d[A-Z]{2}\d\d"), _TITLE),
        "drug trace codes": ("C05-09", _matches(r"8\d{19}"), _WEAK),
        "days or times": (
            "C03-03",
            _matches(r"(19|20)\d\d-(0[1-9]|1[0-2])-([012]\d|3[01])([T ].*)?"),
            _WEAK,
        ),
    }
)
