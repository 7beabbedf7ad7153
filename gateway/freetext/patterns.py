"""What identifiers look like in Chinese text: one fused list, tried only where a cheap sign is.

Patterns run over folded text, so digits are ASCII. Borders are digits, never words: identifiers
stand glued to Chinese characters. No check digit is asked for: a mistyped number is masked too.
The group `v`, where there is one, is what is masked.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple


def _bare(text: str) -> str:
    return re.sub(r"[ \-.]", "", text)


def _card(text: str) -> bool:
    digits = _bare(text)
    return 15 <= len(digits) <= 19


def _always(_: str) -> bool:
    return True


class Pattern(NamedTuple):
    """A kind of identifier: `sign` is cheap and found wherever `regex` matches."""

    kind: str
    sign: re.Pattern[str]
    regex: re.Pattern[str]
    holds: Callable[[str], bool]
    score: float


_PROV = "(?:1[1-5]|2[1-3]|3[1-7]|4[1-6]|5[0-4]|6[1-5]|71|8[1-3]|91)"
_DAY = r"(?:19|20)[0-9]{2}(?:年[0-9]{1,2}月[0-9]{1,2}[日号]?|[-/.][0-9]{1,2}[-/.][0-9]{1,2}|[01][0-9][0-3][0-9])"
_IS = r"(?:号码|编号|号|码)?(?:\([^()]{0,8}\))?(?:[::= ]|为|是){0,3}"
_ON = r"(?![0-9])"
_OFF = r"(?<![0-9])"
# Behind a letter stands a code of a drug or an article, unless the letters say "number".
_ALONE = "(?:(?<![A-Za-z])|(?<=N[Oo])|(?<=no)|(?<=ID)|(?<=id))"
_COUNTED = "(?!人(?!民)|[元万亿名户例次])"
_PLACE = r"[\u4e00-\u9fff]"

# What must stand in the text before the dearer pattern is tried.
_LONG = re.compile(r"[0-9](?:[ ()-]{0,3}[0-9]){5}")
_CARD = re.compile(r"[保险社]|个人")
_FILE = re.compile(r"[号码]|ID")
_MAIL = re.compile("@")
_CHAT = re.compile("微信|[Qq] ?[Qq]")
_DOTS = re.compile(r"[0-9]\.[0-9]{1,3}\.[0-9]")
_BORN = re.compile("[生诞]")
_HOME = re.compile("[0-9](?:号|弄|栋|幢|座|组|队|单元|室|层|楼)")
_AUTO = re.compile("[A-Z][ ·•]?[A-Z0-9]{4}")
_SIGN = {"INSURANCE_NO": _CARD, "MEDICAL_RECORD": _FILE, "EMAIL": _MAIL, "ACCOUNT": _CHAT} | {
    "IP": _DOTS,
    "BIRTH_DATE": _BORN,
    "ADDRESS": _HOME,
    "PLATE": _AUTO,
}
SIGNS = {_LONG, *_SIGN.values()}

PATTERNS = tuple(
    Pattern(kind, _SIGN.get(kind, _LONG), re.compile(text), holds, score)
    for kind, text, holds, score in (
        (
            "CN_ID",
            rf"{_OFF}{_PROV}[0-9]{{4}}[ -]?(?:18|19|20)[0-9]{{2}}[ -]?[01][0-9][ -]?[0-3][0-9][ -]?[0-9]{{3}}[0-9Xx]{_ON}",
            _always,
            0.95,
        ),
        (
            "CN_ID",
            rf"{_OFF}{_PROV}[0-9]{{4}}[0-9]{{2}}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])[0-9]{{3}}{_ON}",
            _always,
            0.6,
        ),
        (
            "CN_ID",
            rf"(?:身份证|公民身份){_IS}(?P<v>[0-9][0-9 -]{{13,20}}[0-9Xx]){_ON}",
            _always,
            0.9,
        ),
        (
            "PHONE",
            rf"{_OFF}(?:(?:\+|00)86[ -]?)?1[3-9][0-9](?:[ -]?[0-9]{{4}}){{2}}{_ON}",
            _always,
            0.8,
        ),
        (
            "PHONE",
            rf"{_OFF}\(?0(?:10|2[0-57-9]|[3-9][0-9]{{2}})(?:\)|[ -]|\) )[2-9][0-9]{{6,7}}(?:(?:-|转)[0-9]{{1,5}})?{_ON}",
            _always,
            0.8,
        ),
        (
            "PHONE",
            rf"(?:电话|联系方式|手机|座机|热线|致电|传真){_IS}(?P<v>(?:0[0-9]{{2,3}}[ -]?)?[2-9][0-9]{{6,7}}){_ON}",
            _always,
            0.7,
        ),
        (
            "BANK_CARD",
            rf"{_OFF}{_ALONE}[3-6][0-9]{{3}}(?:[ -]?[0-9]{{4}}){{2}}[ -]?[0-9]{{3,4}}(?:[ -]?[0-9]{{1,3}})?{_ON}",
            _card,
            0.8,
        ),
        (
            "BANK_CARD",
            rf"(?:银行卡|储蓄卡|信用卡|银行账户|银行账号|开户账号|卡号|账号){_IS}(?P<v>[0-9][0-9 -]{{10,22}}[0-9]){_ON}",
            _always,
            0.75,
        ),
        (
            "INSURANCE_NO",
            rf"(?:社保卡|医保卡|社会保障卡|社会保障|医疗保险|医保|社保|参保|个人|保险单|保单){_IS}(?P<v>[A-Za-z]{{0,4}}[0-9][A-Za-z0-9-]{{5,21}})(?![A-Za-z0-9]){_COUNTED}",
            _always,
            0.85,
        ),
        (
            "MEDICAL_RECORD",
            r"(?:住院|病案|病历|门诊|就诊|登记|病人|患者|检查|检验|标本|影像|条码|病理|处方|医嘱)(?:ID|id|流水)?(?:号码|编号|号|码|ID)(?:\([^()]{0,8}\))?(?:[::= ]|为|是){0,3}(?P<v>[A-Za-z]{0,5}-?[0-9][A-Za-z0-9-]{3,19})(?![A-Za-z0-9])",
            _always,
            0.85,
        ),
        (
            "PASSPORT",
            r"(?<![A-Za-z0-9])(?:[EeGg][0-9]{8}|[Ee][A-HJ-NP-Za-hj-np-z][0-9]{7}|[DSP][0-9]{7})(?![A-Za-z0-9])",
            _always,
            0.7,
        ),
        ("PASSPORT", rf"护照{_IS}(?P<v>[A-Za-z]{{0,2}}[0-9]{{6,9}}){_ON}", _always, 0.85),
        ("PERMIT", r"(?<![A-Za-z0-9])(?<!准字)[HMhm][0-9]{8}(?:[0-9]{2})?(?![0-9])", _always, 0.7),
        (
            "PERMIT",
            rf"(?:通行证|回乡证|台胞证|居住证|军官证|士官证|居留证){_IS}(?P<v>[\u4e00-\u9fff]?字?第?[A-Za-z]{{0,3}}[0-9]{{6,18}}){_ON}",
            _always,
            0.85,
        ),
        ("PERMIT", r"(?<![A-Za-z0-9])[A-Z]{1,2}[0-9]{6}\([0-9A]\)", _always, 0.8),
        (
            "USCC",
            r"(?<![0-9A-Za-z])[1-9ANYanyG][1-9][0-9]{6}[0-9A-HJ-NPQRTUWXY]{9}[0-9A-HJ-NPQRTUWXY](?![0-9A-Za-z])",
            _always,
            0.7,
        ),
        (
            "PLATE",
            r"[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼使][A-HJ-NP-Z][ ·•]?(?:[A-HJ-NP-Z0-9]{4}[A-HJ-NP-Z0-9挂学警港澳]|[A-HJ-NP-Z0-9]{6})(?![A-Za-z0-9])",
            lambda t: any(c.isdigit() for c in t),
            0.8,
        ),
        (
            "EMAIL",
            r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9][A-Za-z0-9._%+-]*@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}",
            _always,
            0.95,
        ),
        (
            "ACCOUNT",
            r"(?:微信|(?<![A-Za-z0-9])(?:QQ|qq|Q Q))(?:号码|号|ID)?(?:[::= ]|为|是){0,3}(?P<v>[A-Za-z0-9][A-Za-z0-9_-]{4,19})(?![A-Za-z0-9_-])",
            lambda t: any(c.isdigit() for c in t),
            0.75,
        ),
        (
            "IP",
            r"(?<![0-9.])(?:(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])\.){3}(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])(?![0-9.])",
            _always,
            0.6,
        ),
        (
            "BIRTH_DATE",
            rf"(?:出生(?:日期|年月日|年月|时间)?|生日|生于|诞生)(?:[::= ]|为|是|于){{0,3}}(?P<v>{_DAY}|(?:19|20)[0-9]{{2}}年[0-9]{{1,2}}月)",
            _always,
            0.9,
        ),
        ("BIRTH_DATE", rf"(?P<v>{_DAY})(?=出?生(?!效|产|成|化))", _always, 0.85),
        (
            "ADDRESS",
            rf"(?:{_PLACE}{{2,7}}?(?:省|自治区))?(?:{_PLACE}{{2,7}}?(?:市|自治州|地区|盟))?(?:{_PLACE}{{1,7}}?(?:区|县|旗|市))?(?:{_PLACE}{{1,6}}?(?:街道|镇|乡))?{_PLACE}{{1,8}}?(?:路|大街|街|大道|道|巷|胡同|弄|村|里|小区|新村|花园|苑)(?:{_PLACE}{{0,6}}?[0-9]{{1,5}}(?:号楼|号院|号|弄|栋|幢|座|组|队|单元|室|层|楼)[0-9A-Za-z-]{{0,6}}(?:号楼|号|栋|幢|座|单元|室|层|楼)?)+",
            _always,
            0.75,
        ),
    )
)
