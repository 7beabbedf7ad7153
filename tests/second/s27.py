"""S27 a second time: plain Python over the source folder, nothing of the bundle or its SQL.

Slow and obvious: every list is read anew, every code is looked at, nothing is indexed.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pypinyin import Style, pinyin

Code = dict[str, str]
END = "9999-12-31"


def lists(folder: Path) -> list[dict[str, Any]]:
    """The declared lists with their codes, sorted by folded code."""
    told = yaml.safe_load((folder / "lists.yaml").read_text("utf-8"))
    for one in told["lists"]:
        for name in ("valid_from", "valid_to"):
            one[name] = str(one.get(name) or "")
        one["rows"] = sorted(_rows(folder, one), key=lambda row: fold(row["code"]).upper())
    return list(told["lists"])


def _rows(folder: Path, one: dict[str, Any]) -> Iterator[Code]:
    empty = dict.fromkeys(("title_en", "parent", "valid_from", "valid_to"), "")
    for code, title in (one.get("codes") or {}).items():
        yield {**empty, "code": code, "title_zh": title}
    if one.get("file"):
        with (folder / one["file"]).open(encoding="utf-8", newline="") as file:
            yield from ({**empty, **row} for row in csv.DictReader(file))


def fold(text: str) -> str:
    return re.sub(r"\s", "", unicodedata.normalize("NFKC", text))


def chosen(folder: Path, system: str, on: str, version: str | None = None) -> dict[str, Any]:
    """The version named, or the one in force on the day that began last."""
    found = [one for one in lists(folder) if one["system"] == system]
    if version is not None:
        return next(one for one in found if one["version"] == version)
    held = [one for one in found if one["valid_from"] <= on <= (one["valid_to"] or END)]
    return sorted(held, key=lambda one: one["valid_from"])[-1]


def standing(one: dict[str, Any], row: Code, on: str) -> str:
    if on < row["valid_from"] or on < one["valid_from"]:
        return "not_yet_valid"
    if on > (row["valid_to"] or END) or on > (one["valid_to"] or END):
        return "expired"
    return "valid"


def verdict(one: dict[str, Any], code: str, on: str) -> str:
    """What is to be said of a code of a list."""
    formed = one.get("pattern") is None or re.fullmatch(one["pattern"], code, re.ASCII)
    if one.get("withheld"):
        return "withheld" if formed else "malformed"
    for row in one["rows"]:
        if row["code"] == code:
            return standing(one, row, on)
    if any(fold(row["code"]).upper() == fold(code).upper() for row in one["rows"]):
        return "written_otherwise"
    if not formed:
        return "malformed"
    return "not_in_excerpt" if one.get("excerpt") or one.get("partial") else "unknown"


@cache
def syllables(title: str) -> list[str]:
    """Every Chinese character by its reading, every other by itself."""
    found: list[str] = []
    for part in re.findall(r"[\u3400-\u9fff]+|[^\u3400-\u9fff]", fold(title).casefold()):
        found += [one[0] for one in pinyin(part, style=Style.NORMAL, heteronym=False)]
    return found


def matched(row: Code, asked: str) -> int | None:
    """How close a code is to a question in code, title, pinyin or initials; None if it is not."""
    code, key = fold(row["code"]).upper(), fold(asked).upper()
    text, titles = (
        fold(asked).casefold(),
        [fold(row[n]).casefold() for n in ("title_zh", "title_en")],
    )
    typed = unicodedata.normalize("NFKC", asked).casefold()
    sounds = syllables(row["title_zh"])
    whole, first = "".join(sounds), "".join(one[0] for one in sounds)
    letters = ""
    if re.fullmatch(r"[a-zü'’\s]+", typed):
        letters = re.sub(r"['’\s]", "", typed).replace("ü", "v")
    rules = (
        code == key,
        code.startswith(key),
        text in titles,
        any(title.startswith(text) for title in titles),
        any(text in title for title in titles),
        bool(letters) and whole.startswith(letters),
        bool(letters) and first.startswith(letters),
        len(letters) > 2 and letters in whole,
        len(letters) > 2 and letters in first,
    )
    return next((rank for rank, holds in enumerate(rules) if holds), None)


def search(one: dict[str, Any], asked: str) -> list[str]:
    """The codes of a list that match, the closest first."""
    found = [(matched(row, asked), row["code"]) for row in one["rows"]]
    return [code for _, code in sorted((r, c) for r, c in found if r is not None)]
