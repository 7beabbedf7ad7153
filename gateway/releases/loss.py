"""What complementary suppression costs: cells and amount kept, against the naive rule.

Both patterns are made of the same cells and withstand the same attacks. The naive one hides the
next smallest wherever a group is not safe (SPEC 4.3.3 to the letter); see `sdc.bounds`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.catalogue.load import load_catalogue
from gateway.catalogue.own import holds_own_alone
from gateway.releases.build import Order, chosen_with, unlinked, work_of
from gateway.releases.engine.staging import Staging
from gateway.releases.guarding import Protected
from gateway.releases.jobs import Work, counted, load, most_dims, narrowed, patterns_of
from gateway.releases.sdc import PRIMARY, PUBLISHED, next_smallest, relief
from gateway.releases.seasons import longest
from gateway.releases.table import Table
from gateway.settings import Settings
from gateway.warehouse.store import current


@dataclass(frozen=True)
class Kept:
    """Cells and their amount (fen) of one service under one profile.

    `fit` passed every test of their own; of these `naive` and `kept` are published.
    """

    service: str
    profile: str
    fit: tuple[int, int]
    naive: tuple[int, int]
    kept: tuple[int, int]

    def __add__(self, other: Kept) -> Kept:
        pairs = zip(self._figures, other._figures, strict=True)
        fit, naive, kept = ((a[0] + b[0], a[1] + b[1]) for a, b in pairs)
        return Kept(self.service, self.profile, fit, naive, kept)

    @property
    def _figures(self) -> tuple[tuple[int, int], ...]:
        return self.fit, self.naive, self.kept


def losses(
    settings: Settings,
    names: Sequence[str],
    now: datetime,
    progress: Callable[[str], None] = lambda doing: None,
) -> list[Kept]:
    """Count the current warehouse, protect it both ways, and say what each keeps.

    Nothing is published or changed but what staging keeps of the facts. All services that are
    linked with those named (all if none) are protected with them.
    """
    catalogue = load_catalogue(settings.policies)
    services = [
        one
        for one in chosen_with(catalogue, names)
        if one.disclosure.subject == "persons" and not holds_own_alone(one)
    ]
    staging = Staging(settings.home / "staging", now)
    staging.open()
    work = work_of(settings, catalogue, current(settings.warehouse), Order(tuple(names)), staging)
    found: dict[tuple[str, str], Kept] = {}
    for group in unlinked(catalogue, services):
        grain = longest(catalogue.services[name] for name in group)
        prepared = {name: load(work, name, grain) for name in group}
        for label in sorted({label for one in prepared.values() for label in one.seasons}):
            progress(f"{group[0]} {label}")
            own = {n: one for n, one in prepared.items() if label in one.seasons}
            for one in _season(work, counted(label, own)[0]):
                at = (one.service, one.profile)
                found[at] = found[at] + one if at in found else one
    return [found[at] for at in sorted(found)]


def _season(work: Work, tables: dict[str, Table]) -> list[Kept]:
    naive = patterns_of(work, tables, next_smallest)
    kept = patterns_of(work, tables, relief)
    return [
        Kept(
            service,
            key,
            _held(work, tables[service], key, kept[service, key], fit=True),
            _held(work, tables[service], key, naive[service, key]),
            _held(work, tables[service], key, pattern),
        )
        for (service, key), pattern in kept.items()
    ]


def _held(
    work: Work, table: Table, key: str, pattern: Protected, *, fit: bool = False
) -> tuple[int, int]:
    """Cells that are published, or that failed no test of their own, and their amount."""
    service = table.plan.service
    dims = most_dims(service, work.profiles[service.id][key])
    flags = narrowed(table, pattern.flags, dims)
    chosen = flags != PRIMARY if fit else flags == PUBLISHED
    return int(chosen.sum()), int(table.whole("magnitude")[chosen].sum())
