"""Verdicts for people: each check with its outcome and what to fix, in two languages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import yaml

from gateway.conformance.judging import RULES
from gateway.conformance.seen import Seen
from gateway.conformance.trials import Terms

Result: TypeAlias = Literal["passed", "failed", "not_shown"]
Texts: TypeAlias = dict[str, dict[str, str]]
SUITE: Final = "1"
"""Version of the suite; a report says which one its client passed."""


@dataclass(frozen=True)
class Verdict:
    """What came of a check; `message` is empty where it passed."""

    id: str
    result: Result
    title: dict[str, str]
    message: dict[str, str]

    def document(self) -> dict[str, object]:
        """As the API tells it: English under the plain name, Chinese beside it."""
        told: dict[str, object] = {
            "id": self.id,
            "result": self.result,
            "title": self.title["en"],
            "title_zh": self.title["zh"],
        }
        if self.message:
            told |= {"message": self.message["en"], "message_zh": self.message["zh"]}
        return told


@cache
def texts() -> dict[str, Any]:
    """Sentences of groups and checks; every rule has its own."""
    read: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "checks.yaml").read_bytes())
    return read


def verdicts(seen: Sequence[Seen], terms: Terms) -> list[Verdict]:
    """Every check, in order."""
    return [_verdict(name, rule(seen, terms)) for name, rule in RULES.items()]


def _verdict(name: str, found: bool | None) -> Verdict:
    said: Texts = texts()["checks"][name]
    if found is None:
        return Verdict(name, "not_shown", said["title"], said["todo"])
    if not found:
        return Verdict(name, "failed", said["title"], said["fix"])
    return Verdict(name, "passed", said["title"], {})


def passed(found: Sequence[Verdict]) -> bool:
    """Whether a client may go live by these: all of them, and none left out."""
    return len(found) == len(RULES) and all(each.result == "passed" for each in found)
