"""One build on its way: which job can start when, and what has come in so far.

Services are loaded; once all that are linked with each other are there, their seasons are counted
and protected; once these are done, and the warehouse is judged good enough, each is written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path

from gateway.releases.contents import Facts
from gateway.releases.jobs import Appraisal, Harvest, Work, appraise, load, season, write
from gateway.releases.keys import fingerprint
from gateway.releases.manifest import Manifest
from gateway.releases.parallel import Crew
from gateway.releases.prepare import Prepared
from gateway.releases.seasons import longest

Group = tuple[str, ...]
_GUESSED = 20  # jobs per service, until they can be counted


class Run:
    """The state of a build; everything here happens in the process that was asked for it."""

    def __init__(self, work: Work, folder: Path, now: datetime) -> None:
        self._work, self._folder, self._now = work, folder, now
        self._groups: list[Group] = []
        self._prepared: dict[str, Prepared] = {}
        self._harvests: dict[str, dict[str, Harvest]] = {}
        self._due: dict[Group, int] = {}  # seasons that are not done yet
        self._appraisal: Appraisal | None = None
        self._done = 0
        self._expected = 1
        self.finished: list[tuple[Path, Manifest]] = []

    @property
    def share(self) -> float:
        """How much of the build is done, as far as its jobs are known."""
        return self._done / self._expected

    def start(self, hands: Crew, groups: Sequence[Group]) -> None:
        """Load the services; those of one group are linked and wait for each other."""
        self._hands, self._groups = hands, list(groups)
        names = [name for group in groups for name in group]
        self._expected = _GUESSED * len(names)
        for group in groups:
            grain = longest(self._work.catalogue.services[name] for name in group)
            for name in group:
                hands.start(partial(self._loaded, group, name), load, self._work, name, grain)

    def _loaded(self, group: Group, name: str, made: Prepared) -> None:
        self._done += 1
        self._prepared[name] = made
        if all(one in self._prepared for one in group):
            self._grow(group)
        if len(self._prepared) == sum(map(len, self._groups)):
            self._expected = self._done + 1 + sum(self._due.values()) + len(self._prepared)
            labels = {p.label for one in self._prepared.values() for p in one.plan.periods}
            self._hands.start(self._appraised, appraise, self._work, sorted(labels))

    def _grow(self, group: Group) -> None:
        """Hand out the seasons of a group, and with them the rows."""
        held = {name: self._prepared[name].seasons for name in group}
        labels = sorted({label for own in held.values() for label in own})
        self._due[group] = len(labels)
        for name in group:
            self._prepared[name] = replace(self._prepared[name], seasons={})
        for label in labels:
            plans = {name: own[label] for name, own in held.items() if label in own}
            then = partial(self._harvested, group, label)
            self._hands.start(then, season, self._work, label, plans)

    def _harvested(self, group: Group, label: str, made: Mapping[str, Harvest]) -> None:
        self._done += 1
        self._due[group] -= 1
        for name, harvest in made.items():
            self._harvests.setdefault(name, {})[label] = harvest
        self._write_if_ready(group)

    def _appraised(self, appraisal: Appraisal) -> None:
        self._done += 1
        self._appraisal = appraisal
        for group in self._groups:
            self._write_if_ready(group)

    def _write_if_ready(self, group: Group) -> None:
        if self._due.get(group) != 0 or self._appraisal is None:
            return
        for name in group:
            harvests = self._harvests.pop(name, {})
            ordered = [harvests[label] for label in sorted(harvests)]
            facts = self._facts(name, self._appraisal)
            self._hands.start(
                self._written, write, self._prepared[name], ordered, facts, self._folder, self._now
            )

    def _facts(self, name: str, appraisal: Appraisal) -> Facts:
        work = self._work
        return Facts(
            profiles=work.profiles[name],
            cells={},
            definitions=work.catalogue.definitions_digest(work.catalogue.services[name]),
            quality=appraisal.quality,
            providers=appraisal.providers,
            waiver=work.waiver,
            rounding_key=fingerprint(work.key),
            inputs=appraisal.inputs,
            contradicted=frozenset(),
        )

    def _written(self, made: tuple[Path, Manifest]) -> None:
        self._done += 1
        self.finished.append(made)
