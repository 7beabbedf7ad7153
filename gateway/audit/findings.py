"""What a check of the journal found: each finding names the event it is about, each difference the
request or line."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it must be. `first` and `last` bound the events concerned."""

    code: str
    first: int
    last: int
    message: str


@dataclass(frozen=True)
class Difference:
    """Something that does not agree, with the id it is about."""

    code: str
    subject: str
    message: str


@dataclass
class Findings:
    """Findings in the order in which they were met."""

    items: list[Finding] = field(default_factory=list)

    def add(self, code: str, first: int, message: str, last: int | None = None) -> None:
        """Note a finding about one event, or about events `first` to `last`."""
        self.items.append(Finding(code, first, first if last is None else last, message))
