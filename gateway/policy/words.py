"""The words of the policy data as people read them: Chinese first, English beside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml


@cache
def _table() -> Mapping[str, Mapping[str, Any]]:  # three tables of words
    text = Path(__file__).with_name("words.yaml").read_bytes()
    found: Mapping[str, Mapping[str, Any]] = yaml.load(text, Loader=yaml.CSafeLoader)
    return found


def chinese(word: str) -> str | None:
    """The Chinese of a word, None where the table has none."""
    found = _table()["words"].get(word)
    return None if found is None else str(found)


def both(word: str) -> str:
    """A word in both languages; one that has no Chinese stands for itself."""
    zh = chinese(word)
    return f"{zh} {word.replace('_', ' ')}" if zh else f"`{word}`"


def listed(words: Iterable[str]) -> str:
    """Several words in both languages."""
    return "；".join(both(word) for word in words) or "—"


def service_title(service: str) -> str:
    """The name of one of the 28 services."""
    named = _table()["services"].get(service)
    return f"{named['zh']} {named['en']}" if named else service


def profile_title(profile: str) -> str:
    """The name of a disclosure profile; a merged one bears the names of both."""
    names = [_table()["profiles"].get(part, "") for part in profile.split("-")]
    return f"{profile} {'、'.join(name for name in names if name)}".strip()
