"""The values of a look-up: what is asked, and what the reader finds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal, TypeAlias

Operation: TypeAlias = Literal[
    "search", "lookup", "validate-code", "validate-list", "translate", "bundles", "download"
]
Json: TypeAlias = dict[str, Any]  # a JSON object
MOST_CODES = 1000
MOST_FOUND = 100
DEFAULT_FOUND = 20
FARTHEST = 10_000


@dataclass(frozen=True)
class Question:
    """A question about codes, in order: texts bounded and of one spelling."""

    operation: Operation
    system: str | None = None
    version: str | None = None
    on: date | None = None
    bundle: str | None = None
    code: str = ""
    codes: tuple[str, ...] = ()
    display: str | None = None
    q: str = ""
    target: str | None = None
    target_version: str | None = None
    limit: int = DEFAULT_FOUND
    offset: int = 0
    grant_id: str | None = None
    purpose: str | None = None
    given: tuple[str, ...] = ()  # the names of what the caller gave


@dataclass(frozen=True)
class Listed:
    """A list of a bundle."""

    n: int
    system: str
    version: str
    served: bool
    codes: int
    heading: Mapping[str, Any]  # as sources.Heading was written

    def in_force(self, on: date) -> bool:
        """Whether it held on that day; a day that is not known does not bound."""
        day = on.isoformat()
        return (
            str(self.heading.get("valid_from") or "")
            <= day
            <= str(self.heading.get("valid_to") or "9999-12-31")
        )

    def told(self) -> Json:
        """As an answer tells it."""
        mark = {"mark": "虚构"} if self.heading["invented"] else {}
        nothing = dict.fromkeys(("standard", "issued", "excerpt", "valid_from", "valid_to"))
        return nothing | {**self.heading, **mark, "served": self.served, "codes": self.codes}


@dataclass(frozen=True)
class Found:
    """A code of a list."""

    listed: Listed
    code: str
    title_zh: str
    title_en: str
    parent: str
    valid_from: str
    valid_to: str
    more: Mapping[str, str]

    def standing(self, on: date) -> Literal["valid", "not_yet_valid", "expired"]:
        """Whether the code may be used on that day, by its own days and those of its list."""
        day = on.isoformat()
        first = max(self.valid_from, str(self.listed.heading.get("valid_from") or ""))
        last = min(
            self.valid_to or "9999-12-31",
            str(self.listed.heading.get("valid_to") or "9999-12-31"),
        )
        if day < first:
            return "not_yet_valid"
        return "valid" if day <= last else "expired"

    def told(self, on: date) -> Json:
        """As an answer tells it."""
        return {
            "system": self.listed.system,
            "version": self.listed.version,
            "code": self.code,
            "display": self.title_zh,
            "display_en": self.title_en or None,
            "parent": self.parent or None,
            "valid_from": self.valid_from or None,
            "valid_to": self.valid_to or None,
            "status": self.standing(on),
            "invented": bool(self.listed.heading["invented"]),
            "properties": dict(self.more),
        }
