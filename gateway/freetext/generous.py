"""What the strict profile masks beside what the re-ranker finds, without asking the re-ranker.

A name cut short by the tagger is widened, and a word of a name's length in a place where only
persons stand (我叫, 证人, 家属, 签名) is taken as it is, whatever the tagger calls it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from .candidates import is_given, is_surname, sounded
from .tagger import Tagged

BORDER, JOINED = 0.5, 0.9
_SLOT = re.compile(
    r"(?:我叫|名叫|本人|姓名|户主|证人|家属|联系人|监护人|委托人|代理人|举报人|投诉人|被投诉人|申请人|"
    r"经办人?|老板|店主|签[名字]|署名|代诉人?|陪护|记录人?|审核人?|报告人|收款人|"
    r"医[师生]|护士长?|主任|主刀|助手|麻醉师?|药师|技师|患者|病人|患儿|产妇|死者|"
    r"跟|配合|陪同|经由|联系|感谢|通知|转告)[是为叫::, ]{0,2}$"
)
_NAMING = re.compile(r"(?:我叫|名叫|姓名)[是为::, ]{0,2}$")
_TITLE = re.compile(r"同学|先生|女士|医[生师]|大夫|护士|教授|老师|师傅|阿姨|[,(]?[男女][,、)]")
_HAN = re.compile(r"[\u4e00-\u9fff]+")


def in_slots(text: str, tagged: Tagged, terms: Collection[str]) -> Iterable[tuple[int, int]]:
    """Words of two or three characters, led by a surname, after a role word or before a title.

    Args:
        text: a folded sentence.
        tagged: what the tagger says of it; a word begins and ends where it allows that.
        terms: words that are no names.
    """
    begins = [*tagged.begins, 1.0]
    for start in range(len(text) - 1):
        if begins[start] < BORDER or not is_surname(text[start : start + 2]):
            continue
        before = text[max(0, start - 8) : start]
        pointed, named = _SLOT.search(before), _NAMING.search(before)
        for end in (start + 2, start + 3):
            word = text[start:end]
            if end > len(text) or begins[end] < BORDER or not _HAN.fullmatch(word):
                continue
            if named or (word not in terms and (pointed or _TITLE.match(text, end))):
                yield start, end


def widened(text: str, tagged: Tagged, start: int, end: int) -> tuple[int, int]:
    """The name with a surname before it or a given character after it that the tagger cut off."""
    first, last = start, end
    run = sounded(text, start, end)
    if run:
        first, last = min(first, run[0]), max(last, run[1])
    if not is_surname(text[start:end]) and start and is_surname(text[start - 1 : end]):
        first = min(first, start - 1)
    short = end - start == 2 and is_surname(text[start:end]) and end < len(text)
    if short and is_given(text[end]) and [*tagged.begins, 1.0][end + 1] < JOINED:
        last = max(last, end + 1)
    return first, last
