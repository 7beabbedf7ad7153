"""Spans that may be a person's name, and what is known of each: numbers for the re-ranker.

Candidates are the tagger's spans of small probability, spans with a surname that a cue word
points at, what stands before a sex, and names with a middle dot. A feature never looks further than
eight characters.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import NamedTuple

from .tagger import Likely, Tagged

LEAST = 0.006
FLOOR = 0.004
BEGINS = 0.08
TERM = 9  # the longest term looked for

_CHARACTERS: dict[str, str] = json.loads(
    Path(__file__).with_name("characters.json").read_text(encoding="utf-8")
)
_RANK = {char: place for place, char in enumerate(dict.fromkeys(_CHARACTERS["surnames"]))}
_COMPOUND = frozenset(_CHARACTERS["compound"].split())
_GIVEN = frozenset(_CHARACTERS["given"])
_BORN_BY = _GIVEN | frozenset(_CHARACTERS["rarer"])  # proposes; only the usual ones weigh
_PATIENT = re.compile(
    r"(?:患者|病人|患儿|产妇|死者|伤者|参保人|本人|我叫|名叫|我是|叫|姓名|户主|成员|"
    r"系|为|姓 {1,4}名)[是为::, ]{0,4}$"
)
_KIN = re.compile(
    r"(?:[妻夫女子父母]|妻子|丈夫|女儿|儿子|父亲|母亲|[爸妈爷奶哥姐弟妹舅姑嫂叔]{1,2}|"
    r"外婆|配偶|孙[子女]|儿媳|女婿|侄子|岳[父母]|家属|联系人|同事|邻居|朋友|同学|网友|"
    r"老婆|老公|护工|监护人)[是为叫::, ]{0,2}$"
)
_STAFF = re.compile(
    r"(?:医[师生]|主任|教授|护士长?|大夫|[局院科处所站市区县]长|书记|药师|老师|专家|"
    r"[术主]者|主刀|助手?|麻醉师?|记[者录]人?|通讯员|会计|老板|店主|代表人?|演员|摄影|"
    r"同志|科|组|店员|客服|翻译|志愿者|律师|记者|主任|主持人?|麻醉|洗手|巡回|责[任护]|值班|主[管诊治]|经治|"
    r"保安|司机|窗口|患友|网格员|治疗师|技师|物理师|见证人|联系人|代诉人)[::, ]{0,2}$"
)
_PARTY = re.compile(
    r"(?:[举投被委受经复申交接班上审检代原见负][报诉人办核请验托告班级告责签]{1,2}|"
    r"[人者员告名字方])[::, ]{0,2}$"
)
_VERB = re.compile(
    r"(?:请|由|经|与|和|跟|对|给|把|被|听|向|找|据|谢谢?|感谢|举报|投诉|表扬|联系|"
    r"通知|@|转|替|的|是|到|授权|同意)$"
)
_JOINED = re.compile(r"[、/和及与跟]$")
_OPENS = re.compile(r"(?:^|[,。;:!?!(\s\"“])$")
_TITLE = re.compile(
    r"\s?(?:副?主任|医[生师]|主治|护士|教授|先生|女士|老[人师太汉]|同志|大夫|副?[局科院处市区县所镇村组队]长|书记|"
    r"院士|阿姨|大[爷妈娘叔伯]|同学|律师|会计|副?经理|[两二三]位|等[人三四五]|药师|技师|嫂|姐|哥)"
)
_PERSONAL = re.compile(r"[,( ]{0,2}(?:[男女](?![儿婿])|[0-9]{1,3}岁|性别|年龄|电话|身份证|\()")
_SAYS = re.compile(
    r"(?:诉|称|说|讲|反映|表示|反应|介绍|主诉|自述|咨询|办理|签|代|提供|陪|来|去|在|"
    r"因|于|系|今|昨|的|是|您|你|等|写|主持|查房|负责|审|配合|协助|报道|患|到|术|拒|"
    r"否认|有)"
)
_SHUTS = re.compile(r"(?:$|[,。;:、!?!)/\s\"”])")
_AND = re.compile(r"[、/和及与跟]")
_DOTTED = re.compile(r"[\u4e00-\u9fff]{1,7}(?:[·•・‧][\u4e00-\u9fff]{1,8}){1,3}")
_SOUNDS = re.compile(f"[{_CHARACTERS['sounds']}]{{3,9}}")
_MASKED = re.compile(r"[某氏×*XxX○]")
_HAN = re.compile(r"[\u4e00-\u9fff]+")
_ORDINARY = re.compile(
    r"[征病型炎症药片丸剂素酸钠唑林星汀坦胺平洛肽霉膏汤散院店局所部室科街路区县市省镇"
    r"村费卡险保年月日时分天次例个们吗呢吧了着过也都就还又不没很太被把让从给这那哪什怎"
    r"]"
)
_BORNE = re.compile(
    r"(?:^|[,。;:!?(\s\"“者人叫])([\u4e00-\u9fff]{2,4})(?=[,( ]{1,2}[男女]性?[, 。])"
)
_CALL = re.compile(
    r"(?:副?主任|医[生师]|护士长?|教授|先生|女士|小姐|老师|同志|大夫|副?[局科院处所市县区镇村队组班]长|"
    r"书记|总|工|师傅|阿姨|大[爷妈娘叔伯姐哥]|老[太汉爷头]太?|奶奶|爷爷|叔叔?|伯伯?|[姐哥嫂婶姨])"
)
_BETWEEN = re.compile(r"(?<=[\u4e00-\u9fff::、/ ])(?=([\u4e00-\u9fff]{2,3})(?:$|[,。;:、!?()/\s]))")
_WIDE = re.compile(
    r"(?<![\u4e00-\u9fff])[\u4e00-\u9fff](?: {1,4}[\u4e00-\u9fff]){1,2}(?![\u4e00-\u9fff])"
)
CUED = (_PATIENT, _KIN, _STAFF, _PARTY)


class Candidate(NamedTuple):
    """Characters [start, end) of the sentence and what the re-ranker weighs of them."""

    start: int
    end: int
    features: dict[str, float]


def candidates(text: str, tagged: Tagged, terms: Collection[str]) -> list[Candidate]:
    """Every span of `text` (folded, one sentence) that may be a name; `terms` hold none."""
    person = {(e.start, e.end): e.probability for e in tagged.spans if e.kind == "PERSON"}
    other = [each for each in tagged.spans if each.kind != "PERSON"]
    spans = dict(person)
    for start, end in (
        *_cued(text),
        *_borne(text),
        *_dotted(text),
        *_sounded(text),
        *_called(text, tagged.begins),
        *_bare(text),
        *_spaced(text),
        *_formed(text, tagged.begins),
    ):
        spans.setdefault((start, end), FLOOR)
    standing = _terms(text, terms) if spans else []
    found = []
    for (start, end), probability in sorted(spans.items()):
        features = _form(text[start:end].replace(" ", "") or " ") | _around(text, start, end)
        features["in a term"] = float(_within(start, end, standing))
        features["is a word"] = float(text[start:end] in terms)
        features["called"] = float(is_called(text[start:end]))
        features |= _model(start, end, probability, person, other) | _shares(tagged, start, end)
        found.append(Candidate(start, end, _crossed(features)))
    return found


def _shares(tagged: Tagged, start: int, end: int) -> dict[str, float]:
    """What the model's marginals say of the borders and of the characters between."""
    size, begins = end - start, tagged.begins
    return {
        "word begins": begins[start],
        "word ends": begins[end] if end < len(begins) else 1.0,
        "word inside": max(begins[start + 1 : end], default=0.0),
        "person share": sum(tagged.person[start:end]) / size,
        "noun share": sum(tagged.noun[start:end]) / size,
        "other share": sum(tagged.other[start:end]) / size,
    }


def is_called(word: str) -> bool:
    return word[0] in _RANK and bool(_CALL.fullmatch(word, 2 if word[:2] in _COMPOUND else 1))


def is_surname(word: str) -> bool:
    """Whether the word begins with a surname."""
    return word[0] in _RANK or word[:2] in _COMPOUND


def is_given(char: str) -> bool:
    """Whether given names are written with the character."""
    return char in _BORN_BY


def sounded(text: str, start: int, end: int) -> tuple[int, int] | None:
    """The run of characters for names of other tongues in which the span lies, if one does."""
    runs = (match.span() for match in _SOUNDS.finditer(text, max(0, start - TERM)))
    return next(((s, e) for s, e in runs if s <= start and end <= e), None)


def _called(text: str, begins: list[float]) -> Iterable[tuple[int, int]]:
    """A surname and what one calls its bearer by: 储科长, 叶医生."""
    for match in _CALL.finditer(text):
        for size in (1, 2):
            start = match.start() - size
            if start >= 0 and begins[start] >= BEGINS and is_called(text[start : match.end()]):
                yield start, match.end()


def _bare(text: str) -> Iterable[tuple[int, int]]:
    """Two or three characters between a cue or a comma of a list and the clause's end."""
    for match in _BETWEEN.finditer(text):
        start, end = match.span(1)
        before = text[max(0, start - 8) : start]
        if before.endswith("、") or any(cue.search(before) for cue in CUED):
            yield start, end


def _spaced(text: str) -> Iterable[tuple[int, int]]:
    """A name written wide in a form: 姓 名：王  芳."""
    for match in _WIDE.finditer(text):
        if match[0][0] in _RANK and any(cue.search(text[: match.start()][-8:]) for cue in CUED):
            yield match.span()


def _formed(text: str, begins: list[float]) -> Iterable[tuple[int, int]]:
    """A surname and usual characters of given names where the model lets a word begin."""
    for at, char in enumerate(text[:-1]):
        if char in _RANK and begins[at] >= BEGINS:
            size = 2 if text[at : at + 2] in _COMPOUND else 1
            for end in (at + size + 1, at + size + 2):
                given = text[at + size : end]
                if len(given) == end - at - size and all(each in _BORN_BY for each in given):
                    yield at, end


def _terms(text: str, terms: Collection[str]) -> list[tuple[int, int]]:
    """Where the terms of three characters or more stand."""
    return [
        (at, end)
        for at in range(len(text) - 2)
        for end in range(at + 3, min(len(text), at + TERM) + 1)
        if text[at:end] in terms
    ]


def _within(start: int, end: int, standing: list[tuple[int, int]]) -> bool:
    """Whether a term shares characters with the span and reaches beyond it."""
    return any(
        first < end and start < last and (first < start or end < last) for first, last in standing
    )


def _cued(text: str) -> Iterable[tuple[int, int]]:
    for at, char in enumerate(text):
        if char not in _RANK:
            continue
        before = text[max(0, at - 8) : at]
        pointed = any(cue.search(before) for cue in CUED)
        longest = 4 if text[at : at + 2] in _COMPOUND else 3
        for size in range(2, longest + 1):
            end = at + size
            if end > len(text) or not _HAN.fullmatch(text, at, end):
                break
            follows = _TITLE.match(text, end) or _PERSONAL.match(text, end)
            shut = pointed and (_SHUTS.match(text, end) or _SAYS.match(text, end))
            if shut or follows:
                yield at, end


def _borne(text: str) -> Iterable[tuple[int, int]]:
    """What stands before a sex at the head of a clause, whether or not it looks like a name."""
    for match in _BORNE.finditer(text):
        yield match.span(1)


def _dotted(text: str) -> Iterable[tuple[int, int]]:
    for match in _DOTTED.finditer(text):
        start = match.start()
        for cue in ("患者", "病人", "患儿", "医生", "同事", "我叫", "本人"):
            if text.startswith(cue, start):
                start += len(cue)
        yield start, match.end()


def _sounded(text: str) -> Iterable[tuple[int, int]]:
    """Runs of the characters that write names of other tongues by their sound."""
    for match in _SOUNDS.finditer(text):
        yield match.span()


def _form(word: str) -> dict[str, float]:
    surname = word[0] in _RANK
    compound = word[:2] in _COMPOUND and len(word) > 2
    given = word[2:] if compound else word[1:]
    common = sum(char in _GIVEN for char in given) / max(1, len(given))
    return {
        f"length {min(len(word), 5)}": 1.0,
        "surname": float(surname or compound),
        "frequent surname": float(_RANK.get(word[0], 999) < 60),
        "compound": float(compound),
        "long for a surname": float(len(word) > (4 if compound else 3) and "·" not in word),
        "given common": common * (surname or compound),
        "dotted": float(bool(re.search("[·•・‧]", word))),
        "sounded": float(bool(_SOUNDS.fullmatch(word))),
        "masked already": float(bool(_MASKED.search(word))),
        "small": float(word[0] in "小老阿" and len(word) < 4),
        "ordinary end": float(bool(_ORDINARY.match(word[-1]))),
        "ordinary inside": float(bool(_ORDINARY.search(word[1:-1]))),
        "not Han": float(not _HAN.match(word)),
    }


def _around(text: str, start: int, end: int) -> dict[str, float]:
    before = text[max(0, start - 8) : start]
    named = {
        "after patient": _PATIENT.search(before),
        "after kin": _KIN.search(before),
        "after staff": _STAFF.search(before),
        "after party": _PARTY.search(before),
        "after verb": _VERB.search(before),
        "after and": _JOINED.search(before),
        "opens": _OPENS.search(before),
        "title": _TITLE.match(text, end),
        "personal": _PERSONAL.match(text, end),
        "says": _SAYS.match(text, end),
        "shuts": _SHUTS.match(text, end),
        "and": _AND.match(text, end),
    }
    return {name: float(bool(found)) for name, found in named.items()}


def _model(
    start: int,
    end: int,
    probability: float,
    person: dict[tuple[int, int], float],
    other: list[Likely],
) -> dict[str, float]:
    touching = [p for (s, e), p in person.items() if s < end and start < e]
    rival = [each.probability for each in other if each.start < end and start < each.end]
    bounded = min(max(probability, FLOOR), 0.999)
    return {
        "log-odds": math.log(bounded / (1 - bounded)),
        "mass": min(1.0, sum(touching)),
        "best here": float(probability >= max(touching, default=0.0)),
        "rival": min(1.0, sum(rival)),
        "untagged": float(probability <= FLOOR),
    }


def _crossed(features: dict[str, float]) -> dict[str, float]:
    """With the products that a straight line through the single ones cannot say."""
    cue = max(features[f"after {who}"] for who in ("patient", "kin", "staff", "party"))
    ends = max(features["title"], features["personal"], features["says"], features["shuts"])
    pairs = {
        "cue & surname": cue * features["surname"],
        "cue & ends": cue * ends,
        "cue & ends & surname": cue * ends * features["surname"],
        "opens & personal": features["opens"] * features["personal"],
        "opens & says": features["opens"] * features["says"] * features["surname"],
        "title & surname": features["title"] * features["surname"],
        "opens & shuts": features["opens"] * features["shuts"] * features["surname"],
        "listed": features["after and"] * max(features["and"], features["shuts"]),
        "log-odds & no surname": features["log-odds"] * (1 - features["surname"]),
        "log-odds & no cue": features["log-odds"] * (1 - cue),
        "cue & given": cue * features["given common"],
        "sounded & cue": features["sounded"] * cue,
        "sounded & opens": features["sounded"] * features["opens"] * ends,
        "sounded & rival": features["sounded"] * features["rival"],
        "mass & surname": features["mass"] * features["surname"],
        "person & surname": features["person share"] * features["surname"],
        "noun & no surname": features["noun share"] * (1 - features["surname"]),
        "cue & noun": cue * features["noun share"],
        "cue & other": cue * features["other share"],
        "cut out": features["word begins"] * features["word ends"],
        "cut out & surname": features["word begins"] * features["word ends"] * features["surname"],
        "listed & surname": features["after and"] * ends * features["surname"],
    }
    return features | pairs
