"""What a waiver of data quality is, and what it covers.

A figure or blocking rule that fails stops a release of the months where it does, unless a waiver
that two people signed covers it there. A waiver ends by itself: after its last day nothing is
built on it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

from gateway.identity.model import Document
from gateway.identity.states import Transitions

WAIVER_TRANSITIONS: Transitions = {
    "proposed": frozenset({"signed", "withdrawn"}),
    "signed": frozenset({"withdrawn"}),
    "withdrawn": frozenset(),
}
KPIS: Final = ("completeness", "consistency", "timeliness", "accuracy")
LONGEST_DAYS: Final = 180
"""A waiver holds no longer than this from the day it is proposed."""
_RULE = re.compile(r"R(0[1-9]|1\d|2[0-5])|R19b")


def can_be_waived(name: str) -> bool:
    """Whether this is the name of a figure or of an integrity rule."""
    return name in KPIS or _RULE.fullmatch(name) is not None


@dataclass(frozen=True)
class Waiver:
    """One waiver and how far it has come."""

    id: str
    covers: tuple[str, ...]
    first: str  # months, as 2024-03
    last: str
    reason: str
    until: date
    proposed_by: str
    proposed_at: datetime
    state: str
    signed_by: str | None = None
    signed_at: datetime | None = None

    def document(self) -> Document:
        """The waiver for records, seals and lists."""
        return {
            "waiver": self.id,
            "covers": list(self.covers),
            "from": self.first,
            "to": self.last,
            "reason": self.reason,
            "until": self.until.isoformat(),
            "proposed_by": self.proposed_by,
            "proposed_at": self.proposed_at.astimezone(UTC).isoformat(),
            "signed_by": self.signed_by,
            "signed_at": self.signed_at.astimezone(UTC).isoformat() if self.signed_at else None,
            "state": self.state,
        }

    def holds(self, today: date) -> bool:
        """Whether a release may be built on it today."""
        return self.state == "signed" and self.signed_by is not None and today <= self.until

    def covers_all_of(self, name: str, months: Collection[str]) -> bool:
        """Whether it names this figure or rule for every one of the months."""
        return name in self.covers and all(self.first <= month <= self.last for month in months)


@dataclass(frozen=True)
class Verdict:
    """Which failures nothing covers, by what fails, and the waivers that were needed."""

    open: Mapping[str, tuple[str, ...]]
    used: tuple[Waiver, ...]


def judge(
    failing: Mapping[str, Sequence[str]],
    months: Mapping[str, Sequence[str]],
    waivers: Iterable[Waiver],
    today: date,
) -> Verdict:
    """What of the failures, by period, is covered; `months` are those of each period."""
    good = sorted((one for one in waivers if one.holds(today)), key=lambda one: one.id)
    left: dict[str, list[str]] = {}
    used: list[Waiver] = []
    for period, names in sorted(failing.items()):
        for name in names:
            fit = next((one for one in good if one.covers_all_of(name, months[period])), None)
            if fit is None:
                left.setdefault(name, []).append(period)
            elif fit not in used:
                used.append(fit)
    return Verdict({name: tuple(where) for name, where in sorted(left.items())}, tuple(used))
