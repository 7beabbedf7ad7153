"""Slows down those who fail: failed authentications per source, counted in memory per minute.

A client's own count is kept together with the address it fails from, so nobody can lock a client
out from elsewhere. Only failures count; the limit is the same for clients that do not exist.
"""

from __future__ import annotations

import threading
from collections.abc import Hashable
from dataclasses import dataclass, field

WINDOW_SECONDS = 60.0
_MOST_SOURCES = 20_000


@dataclass
class FailureLimiter:
    """Fixed windows of one minute; a source over its limit waits for the next window."""

    per_client: int = 120
    per_address: int = 600
    _window: float = 0.0
    _counts: dict[Hashable, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def is_quiet(self, now: float) -> bool:
        """Whether nobody has failed within the minute, so that nobody needs to be looked up."""
        return not self._counts or now - self._window >= WINDOW_SECONDS

    def wait_seconds(self, ip: str, client_id: str, now: float) -> int:
        """0 when the attempt may go on, else the seconds until it may be tried again."""
        with self._lock:
            self._turn(now)
            over = (
                self._counts.get(ip, 0) >= self.per_address
                or self._counts.get((ip, client_id), 0) >= self.per_client
            )
            return max(1, int(self._window + WINDOW_SECONDS - now)) if over else 0

    def failed(self, ip: str, client_id: str, now: float) -> None:
        """Count one failed attempt."""
        with self._lock:
            self._turn(now)
            for source in (ip, (ip, client_id)):
                # A flood of invented names must not fill the memory; its address is counted first.
                if source in self._counts or len(self._counts) < _MOST_SOURCES:
                    self._counts[source] = self._counts.get(source, 0) + 1

    def _turn(self, now: float) -> None:
        if now - self._window >= WINDOW_SECONDS or now < self._window:
            self._window = now
            self._counts.clear()
