"""Work that a serving process repeats by itself: read the news, settle what is due, push.

A database that cannot be used for a moment and a damaged row end one round, never the thread:
who must not work with old news asks how old they are (`check_fresh` of each follower) and refuses.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from sqlalchemy.exc import SQLAlchemyError

from gateway.errors import Unavailable

_log = logging.getLogger(__name__)


class Rounds:
    """Calls `work` again and again, each time after a pause of `seconds`, on a thread of its own.

    A round that fails is logged by its kind only: what an error says can hold a row's values.
    """

    def __init__(self, name: str, seconds: float, work: Callable[[], object]) -> None:
        self._name, self._seconds, self._work = name, seconds, work
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def running(self) -> bool:
        """Whether rounds are being made: started, and not stopped since."""
        return self._thread is not None

    @property
    def ending(self) -> bool:
        """Whether a long round should break off, because `stop` is waiting for it."""
        return self._ending.is_set()

    def start(self) -> None:
        """Begin; the first round comes after one pause. Starting twice is starting once."""
        if self._thread is None:
            self._ending.clear()
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End; returns when the round that was under way is over."""
        if self._thread is not None:
            self._ending.set()
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while not self._ending.wait(self._seconds):
            self._round()

    def _round(self) -> None:
        try:
            self._work()
        except (SQLAlchemyError, Unavailable):
            _log.warning("%s: the database cannot be used; will try again", self._name)
        except Exception as error:  # noqa: BLE001 — the thread outlives one bad round
            _log.error("%s: a round failed: %s", self._name, type(error).__name__)
