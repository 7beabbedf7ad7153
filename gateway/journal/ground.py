"""What entries rest on: an answer is free only if the one it repeats was recorded.

An entry names the claims it was made under; those were in the queue with it. So the last few
thousand recorded events are enough to tell, whichever store took them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from gateway.journal.entry import Entry

_MOST = 20_000  # far more than a queue and a batch can hold


class Ground:
    """The events lately recorded. Belongs to the writer thread."""

    def __init__(self) -> None:
        self._events: OrderedDict[str, None] = OrderedDict()

    def add(self, entries: Iterable[Entry]) -> None:
        """These are on stable storage."""
        self._events.update((entry.event_id, None) for entry in entries if entry.charged)
        while len(self._events) > _MOST:
            self._events.popitem(last=False)

    def bears(self, entries: Iterable[Entry]) -> bool:
        """Whether all that these rest on is recorded, or comes before in the same batch."""
        coming: set[str] = set()
        for entry in entries:
            if any(e not in coming and e not in self._events for _, e in entry.rests_on):
                return False
            coming.add(entry.event_id)
        return True
