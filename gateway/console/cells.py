"""Values as pages show them: one cell knows its text, how it is drawn and where it leads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import orjson

from gateway.pages.words import Words

_HERE = ZoneInfo("Asia/Shanghai")
_TONES = {
    "good": "active authorised live approved released open signed closed ok current in_force "
    "succeeded agreed",
    "warn": "draft review proposed submitted checked suspended limited canary shadow invited "
    "passed waiting ready held tested queued running kept next awaiting lifting asked",
    "stop": "revoked disabled refused rejected withdrawn failed expired declined cancelled",
}
_TONE_OF = {state: tone for tone, states in _TONES.items() for state in states.split()}


@dataclass(frozen=True, slots=True)
class Cell:
    """One value: `kind` is text, code, state, number, list or json."""

    text: str
    kind: str = "text"
    tone: str = ""
    href: str = ""
    items: Sequence[str] = ()


def cell(value: object, words: Words, kind: str = "", href: str = "") -> Cell:
    """A value of a document as a cell; `kind` says more than the value's type does."""
    if value is None or value in ("", [], {}):
        return Cell("—", href=href)
    if isinstance(value, str):
        return _text(value, words, kind, href)
    if isinstance(value, bool):
        return Cell(words.said_yes if value else words.said_no)
    if isinstance(value, int | float):
        return Cell(money(int(value)) if kind == "money" else f"{value:,}", "number")
    return _composed(value)


def _text(value: str, words: Words, kind: str, href: str) -> Cell:
    if kind == "time":
        return Cell(moment(value))
    if kind == "state":
        return Cell(words.of(f"value_{value}", value), "state", tone(value))
    if kind == "word":
        return Cell(words.of(f"value_{value}", value), href=href)
    return Cell(value, "code" if kind == "code" else "text", href=href)


def _composed(value: object) -> Cell:
    """Short lists as their items, anything deeper as JSON."""
    if isinstance(value, list | tuple) and all(isinstance(each, str | int) for each in value):
        return Cell("", "list", items=[str(each) for each in value])
    return Cell(orjson.dumps(value, option=orjson.OPT_INDENT_2, default=str).decode(), "json")


def tone(state: str) -> str:
    """The colour family of a state; states nobody has classed are neutral."""
    return _TONE_OF.get(state.lower(), "")


def money(fen: int) -> str:
    """Fen as yuan, as people read them."""
    sign, fen = ("-" if fen < 0 else ""), abs(fen)
    return f"{sign}¥{fen // 100:,}.{fen % 100:02d}"


def moment(text: str) -> str:
    """An instant of RFC 3339 as the office's clock shows it; what is none stays as it is."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return text
    if found.tzinfo is None:
        return text
    return found.astimezone(_HERE).strftime("%Y-%m-%d %H:%M:%S")
