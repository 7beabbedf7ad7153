"""One build on its way: which job can start when, and what has come in so far.

Services are staged; once all that are linked with each other are there, their seasons are counted
and protected; once these are done, and the warehouse is judged good enough, each is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gateway.catalogue.own import holds_own_alone
from gateway.releases.contents import Facts
from gateway.releases.jobs import (
    Appraisal,
    Reaped,
    Work,
    appraise,
    load,
    own_plan,
    season,
    write,
    write_own_alone,
)
from gateway.releases.keys import fingerprint
from gateway.releases.manifest import Manifest
from gateway.releases.own.release import OwnPlan
from gateway.releases.parallel import Crew
from gateway.releases.prepare import Prepared
from gateway.releases.seasons import longest

Group = tuple[str, ...]
_GUESSED = 20  # jobs per service, until they can be counted


@dataclass(frozen=True)
class Reuse:
    """What of a build lay in staging already."""

    facts: int = 0
    facts_of: int = 0
    seasons: int = 0
    seasons_of: int = 0


class Run:
    """The state of a build; everything here happens in the process that was asked for it."""

    def __init__(self, work: Work, folder: Path) -> None:
        self._work, self._folder = work, folder
        self._groups: list[Group] = []
        self._prepared: dict[str, Prepared] = {}
        self._alone: list[str] = []  # services that hold own rows alone
        self._plans: dict[str, OwnPlan] = {}  # of these
        self._reaped: dict[Group, dict[str, Reaped]] = {}
        self._due: dict[Group, int] = {}  # seasons that are not done yet
        self._appraisal: Appraisal | None = None
        self._done = 0
        self._expected = 1
        self.finished: list[tuple[Path, Manifest]] = []

    @property
    def share(self) -> float:
        """How much of the build is done, as far as its jobs are known."""
        return self._done / self._expected

    @property
    def reuse(self) -> Reuse:
        """What was taken up from an earlier build, finished or not."""
        loaded = self._prepared.values()
        reaped = [one for own in self._reaped.values() for one in own.values()]
        return Reuse(
            sum(one.reused for one in loaded),
            sum(len(one.staged) + (one.records is not None) for one in loaded),
            sum(one.reused for one in reaped),
            len(reaped),
        )

    def appraised(self, labels: Sequence[str]) -> Appraisal:
        """What was found of the warehouse; looked at anew where these periods were not."""
        known = self._appraisal
        if known is None or not set(labels) <= known.quality.keys() or not self._gated():
            return appraise(self._work, labels, gated=True)
        return known

    def start(self, hands: Crew, groups: Sequence[Group]) -> None:
        """Load the services; those of one group are linked and wait for each other."""
        services = self._work.catalogue.services
        self._hands = hands
        self._alone = [n for group in groups for n in group if holds_own_alone(services[n])]
        self._groups = [group for group in groups if not {*group} & {*self._alone}]
        self._expected = _GUESSED * sum(map(len, groups))
        for name in self._alone:
            hands.start_apart(partial(self._told, name), own_plan, self._work, name)
        for group in self._groups:
            grain = longest(self._work.catalogue.services[name] for name in group)
            for name in group:
                then = partial(self._loaded, group, name)
                hands.start_apart(then, load, self._work, name, grain)

    def _loaded(self, group: Group, name: str, made: Prepared) -> None:
        self._done += 1
        self._prepared[name] = made
        if all(one in self._prepared for one in group):
            self._grow(group)
        self._appraise_if_ready()

    def _told(self, name: str, made: OwnPlan) -> None:
        self._done += 1
        self._plans[name] = made
        self._appraise_if_ready()

    def _appraise_if_ready(self) -> None:
        """Once it is known of which periods everything tells."""
        known = len(self._prepared) + len(self._plans)
        if known == sum(map(len, self._groups)) + len(self._alone):
            self._expected = self._done + 1 + sum(self._due.values()) + known
            labels = {p.label for one in self._prepared.values() for p in one.plan.periods}
            labels |= {month for plan in self._plans.values() for month in plan.months}
            self._hands.start(
                self._on_appraised, appraise, self._work, sorted(labels), self._gated()
            )

    def _gated(self) -> bool:
        """Whether poor quality stops this build: it does not stop the report of it."""
        services = self._work.catalogue.services
        names = (*self._prepared, *self._plans)
        return any(services[name].disclosure.subject != "open" for name in names)

    def _grow(self, group: Group) -> None:
        """Hand out the seasons of a group."""
        labels = sorted({label for name in group for label in self._prepared[name].seasons})
        self._due[group] = len(labels)
        for label in labels:
            own = {n: one for n in group if label in (one := self._prepared[n]).seasons}
            then = partial(self._harvested, group, label)
            self._hands.start(then, season, self._work, label, own)

    def _harvested(self, group: Group, label: str, made: Reaped) -> None:
        self._done += 1
        self._due[group] -= 1
        self._reaped.setdefault(group, {})[label] = made
        self._write_if_ready(group)

    def _on_appraised(self, appraisal: Appraisal) -> None:
        self._done += 1
        self._appraisal = appraisal
        for group in self._groups:
            self._write_if_ready(group)
        for name, plan in self._plans.items():
            facts = self._facts(name, appraisal)
            self._hands.start(self._written, write_own_alone, self._work, plan, facts, self._folder)

    def _write_if_ready(self, group: Group) -> None:
        if self._due.get(group) != 0 or self._appraisal is None:
            return
        reaped = [made.kept for _, made in sorted(self._reaped[group].items())]
        for name in group:
            kept = [own[name] for own in reaped if name in own]
            facts = self._facts(name, self._appraisal)
            self._hands.start(
                self._written, write,
                self._work, self._prepared[name], kept, facts, self._folder,
            )  # fmt: skip

    def _facts(self, name: str, appraisal: Appraisal) -> Facts:
        work = self._work
        return Facts(
            profiles=work.profiles[name],
            cells={},
            definitions=work.catalogue.definitions_digest(work.catalogue.services[name]),
            quality=appraisal.quality,
            providers=appraisal.providers,
            waivers=appraisal.waivers,
            failing=appraisal.failing,
            rounding_key=fingerprint(work.key),
            inputs=appraisal.inputs,
            contradicted=frozenset(),
        )

    def _written(self, made: tuple[Path, Manifest]) -> None:
        self._done += 1
        self.finished.append(made)
