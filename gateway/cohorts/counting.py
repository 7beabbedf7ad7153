"""Questions counted on the indexes of releases: mapped once, and the last cohorts kept at hand.

Earlier questions are compared by counting them anew, so what is compared is exact. Their sizes are
remembered: cohorts of very different size need not be compared person by person.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path
from threading import Lock
from typing import Any, Final

from gateway.cohorts.evaluate import Cohort, Counted, count
from gateway.cohorts.index import CohortIndex, open_index
from gateway.cohorts.journal import Asked
from gateway.cohorts.question import CohortQuestion

AT_HAND: Final = 64
_SIZES: Final = 4096
_OPEN: Final = 4


class Counting:
    """Counts questions on releases below one folder. Safe from several threads; deterministic."""

    def __init__(self, releases: Path) -> None:
        self._root = releases
        self._lock = Lock()
        self._indexes: OrderedDict[str, CohortIndex] = OrderedDict()
        self._at_hand: OrderedDict[tuple[str, str], Counted] = OrderedDict()
        self._sizes: OrderedDict[tuple[str, str], dict[str, int]] = OrderedDict()

    def index(self, release: str) -> CohortIndex:
        """The index of a release."""
        with self._lock:
            found = self._indexes.get(release)
            if found is None:
                found = open_index(self._root / release[:3] / release)
                self._indexes[release] = found
                while len(self._indexes) > _OPEN:
                    self._indexes.popitem(last=False)
            return found

    def count(self, release: str, question: CohortQuestion) -> Counted:
        """The cohorts of a question."""
        place = release, question.digest
        with self._lock:
            if place in self._at_hand:
                self._at_hand.move_to_end(place)
                return self._at_hand[place]
        made = count(self.index(release), question)
        sizes = {one.key: len(one.members) for one in (*made.steps, *made.years)}
        with self._lock:
            self._at_hand[place], self._sizes[place] = made, sizes
            _trim(self._at_hand, AT_HAND)
            _trim(self._sizes, _SIZES)
        return made

    def near(
        self, release: str, counted: Counted, earlier: Iterable[Asked], within: int
    ) -> list[Cohort]:
        """The cohorts told before that any of the counted ones could be near, or the same as."""
        new = {one.key: len(one.members) for one in (*counted.steps, *counted.years)}
        found = []
        for one in earlier:
            place = release, one.digest
            with self._lock:
                sizes = self._sizes.get(place)
            if sizes is not None and not _may_be_near(sizes, new, within):
                continue
            if one.told is not None:  # codes that this release lacks are had by nobody in it
                cohorts = one.told.cohorts(self.count(release, one.question))
                found += [each for each in cohorts if _any_near(each, new, within)]
        return found


def _may_be_near(sizes: dict[str, int], new: dict[str, int], within: int) -> bool:
    return any(abs(one - other) < within for one in sizes.values() for other in new.values())


def _any_near(cohort: Cohort, new: dict[str, int], within: int) -> bool:
    size = len(cohort.members)
    return cohort.key in new or any(abs(size - other) < within for other in new.values())


def _trim(held: OrderedDict[tuple[str, str], Any], most: int) -> None:  # of any values
    while len(held) > most:
        held.popitem(last=False)
