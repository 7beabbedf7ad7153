"""How codes, titles and questions are compared: one spelling for all who write them.

Full-width letters and digits, case and spaces make no difference. Control characters, lone
surrogates and the like are no text at all.
"""

from __future__ import annotations

import re
import unicodedata

LONGEST_CODE = 64
LONGEST_QUESTION = 64
_NO_TEXT = frozenset({"Cc", "Cs", "Co", "Cn"})
_LETTERS = re.compile(r"[a-zü'’\s]+")
_HAN = re.compile(r"[\u3400-\u9fff]+")


def is_plain(text: str) -> bool:
    """Whether it is text of one line: no control character, no surrogate, nothing unassigned."""
    return not any(unicodedata.category(letter) in _NO_TEXT for letter in text)


def _folded(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).split())


def code_key(code: str) -> str:
    """What codes are found by."""
    return _folded(code).upper()


def title_key(title: str) -> str:
    """What titles are found by."""
    return _folded(title).casefold()


def letters(question: str) -> str:
    """The question as pinyin or initials without tones; empty if it is none (`ü` is `v`)."""
    folded = unicodedata.normalize("NFKC", question).casefold()
    if not _LETTERS.fullmatch(folded):
        return ""
    return re.sub(r"['’\s]", "", folded).replace("ü", "v")


def han(question: str) -> str:
    """The question if it is of Chinese characters alone, else nothing."""
    key = title_key(question)
    return key if _HAN.fullmatch(key) else ""
