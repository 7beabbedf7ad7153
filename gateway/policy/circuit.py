"""Two small rules for an engine that lives in another process: when it is asked, and by what.

Both fail closed. The circuit begins open: an engine is asked only after it has been seen to answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

FAILURES = 3
"""Failures in a row after which everything is refused at once, until a probe is answered."""
LIVE_WITHIN = 5.0
"""Seconds a replaced revision may still decide; an emergency stop is effective after that."""


@dataclass(frozen=True)
class Circuit:
    """Closed: questions go through. Open: they are refused without being asked, until a probe is
    answered as it must be; no lucky answer to another question closes it."""

    closed: bool = False
    failures: int = 0

    def proved(self) -> Circuit:
        """A probe was answered as it must be."""
        return Circuit(closed=True)

    def disproved(self) -> Circuit:
        """A probe was answered otherwise: whoever answers there does not decide by our rules."""
        return Circuit(failures=self.failures + 1)

    def succeeded(self) -> Circuit:
        return Circuit(closed=True) if self.closed else self

    def failed(self) -> Circuit:
        failures = self.failures + 1
        return Circuit(self.closed and failures < FAILURES, failures)


@dataclass(frozen=True)
class Revisions:
    """The revision published, and since when others are no longer it."""

    current: str
    replaced: Mapping[str, float] = field(default_factory=dict)

    def publish(self, version: str, now: float) -> Revisions:
        """`version` decides from now on; those replaced long ago are forgotten."""
        if version == self.current:
            return self
        recent = {name: since for name, since in self.replaced.items() if now - since < LIVE_WITHIN}
        recent.pop(version, None)
        return replace(self, current=version, replaced={**recent, self.current: now})

    def accept(self, version: str, now: float) -> bool:
        """May an answer by this revision be used? One never published here may not."""
        if version == self.current:
            return True
        since = self.replaced.get(version)
        return since is not None and now - since < LIVE_WITHIN
