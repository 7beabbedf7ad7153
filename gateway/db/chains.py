"""Hash chains of rows in the operational database: how an entry is hashed, and the walk that finds
what was altered, removed or put in between."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

NOTHING = "0" * 64
"""Hash of what does not exist: no document, the link of the first entry."""


def digest(document: Mapping[str, Any] | None) -> str:
    """SHA-256 of a document in its canonical form, hex."""
    if document is None:
        return NOTHING
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass
class Walk:
    """A walk along a chain from its first entry; `noun` is what people call an entry.

    `faults` are sentences, in the order of the chain; `link` is the hash of the newest entry seen.
    """

    noun: str
    faults: list[str] = field(default_factory=list)
    expected: int = 1
    link: str = NOTHING

    def step(self, number: int, prev_hash: str, stored: str, computed: str) -> None:
        """The next entry: its number, the link and hash it holds, and the hash of its content."""
        if number != self.expected:
            self.faults.append(f"{self._plural} {self.expected} to {number - 1} are missing")
        elif prev_hash != self.link:
            self.faults.append(f"{self.noun} {number} does not follow the {self.noun} before it")
        if stored != computed:
            self.faults.append(f"{self.noun} {number} was altered")
        self.expected, self.link = number + 1, stored

    def end(self, number: int, stored: str | None = None) -> list[str]:
        """The head kept beside the chain; gives all faults. Without `stored` only it counts."""
        if number != self.expected - 1:
            self.faults.append(f"{self._plural} {self.expected} to {number} are missing")
        elif stored is not None and stored != self.link:
            self.faults.append(f"the newest {self.noun} is not the one that was written")
        return self.faults

    @property
    def _plural(self) -> str:
        return "entries" if self.noun == "entry" else f"{self.noun}s"
