"""Failed logins are recorded, but an attacker must not be able to fill the disk with them.

Of each (reason, address) one failure per window is recorded at once, standing also for those
held back since the last record.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from threading import Lock

WINDOW = timedelta(minutes=1)
MOST_KEYS = 10_000


class FailureBudget:
    """Decides which failed logins get an audit event of their own."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._held: dict[tuple[str, str], tuple[datetime, int]] = {}

    def take(self, reason: str, ip: str, now: datetime) -> int:
        """How many failures to record now as one event; 0 holds this one back."""
        with self._lock:
            key = (reason, ip) if self._known(reason, ip, now) else (reason, "")
            opened, held = self._held.get(key, (now - WINDOW, 0))
            if now - opened < WINDOW:
                self._held[key] = (opened, held + 1)
                return 0
            self._held[key] = (now, 0)
            return held + 1

    def _known(self, reason: str, ip: str, now: datetime) -> bool:
        """Whether the address may have a key of its own: old keys go, then all share one."""
        if (reason, ip) in self._held or len(self._held) < MOST_KEYS:
            return True
        self._held = {
            key: value for key, value in self._held.items() if value[1] or now - value[0] < WINDOW
        }
        return len(self._held) < MOST_KEYS
