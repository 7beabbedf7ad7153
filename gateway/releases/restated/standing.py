"""Which cells of a season are not restated, and what earlier releases show of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from gateway.catalogue.model import Grain
from gateway.releases.carried import Carried
from gateway.releases.cellfile import addresses
from gateway.releases.earlier import Before, Earlier
from gateway.releases.engine.staging import Staged
from gateway.releases.facts import label_of
from gateway.releases.guarding import Protected
from gateway.releases.kernel import Bools, Ints
from gateway.releases.prepare import Prepared
from gateway.releases.restated.changes import Changes, changes_of, restated, same_rows
from gateway.releases.restated.reading import old_rows
from gateway.releases.sdc import PUBLISHED
from gateway.releases.shown import ROUNDED, Figure, Shown
from gateway.releases.table import Table

Merged = Mapping[str, object]  # a profile as the policy merged it
At = tuple[str, str]  # a service and the key of one of its profiles


@dataclass(frozen=True)
class Season:
    """One season of services that are linked, counted and protected but not yet published."""

    label: str
    prepared: Mapping[str, Prepared]
    tables: Mapping[str, Table]
    protected: Mapping[At, Protected]
    profiles: Mapping[str, Mapping[str, Merged]]
    rounded: Callable[[str, str], Ints]


def told_before(season: str, prepared: Mapping[str, Prepared]) -> dict[str, tuple[Before, ...]]:
    """The earlier releases that tell of a season, by service; none where every one of them was made
    of the same rows."""
    found = {
        name: tuple(b for b in one.before if _tells(b.release, season))
        for name, one in prepared.items()
    }
    alike = all(_alike(season, prepared[n], b.staged) for n, own in found.items() for b in own)
    return dict.fromkeys(found, ()) if alike else found


def _tells(release: Earlier, season: str) -> bool:
    manifest = release.manifest
    ahead = {(grain, label) for grain, own in manifest.estimated.items() for label in own}
    return any(_lies_in(label, season) for _, label in {*manifest.blocks} - ahead)


def _lies_in(period: str, season: str) -> bool:
    """Whether a period is one of a season's: both are written as labels."""
    return period.startswith(season) or (
        "-" in period and label_of(period, Grain.QUARTER) == season
    )


def _alike(season: str, one: Prepared, old: Mapping[str, Staged] | None) -> bool:
    return old is not None and same_rows(old, one.staged, season)


def as_key(before: Mapping[str, tuple[Before, ...]], season: str) -> dict[str, list[object]]:
    """All that acts on a season of what was told of it before."""
    return {name: [_made_of(one, season) for one in own] for name, own in before.items()}


def _made_of(one: Before, season: str) -> tuple[str, bool, dict[str, object] | None]:
    rows: dict[str, object] | None = None
    if one.staged is not None:
        rows = {fact: staged.seasons.get(season) for fact, staged in one.staged.items()}
    return one.release.manifest.release_id, one.release.carries, rows


def standing(season: Season) -> dict[At, Carried]:
    """By service and profile, the cells that stay as they were; nothing where no earlier release
    tells of the season, or what it was made from is the same."""
    before = told_before(season.label, season.prepared)
    if not any(before.values()):
        return {}
    hidden = _never_restated(season, before)
    fresh = {name: np.ones(len(table), np.bool_) for name, table in season.tables.items()}
    k = max(int(str(p["k_person"])) for own in season.profiles.values() for p in own.values())
    for state in _states(season, before):
        changes = _changes(season, state)
        again = restated(season.tables, changes, hidden, k) if changes else {}
        fresh = {name: own & again.get(name, False) for name, own in fresh.items()}
    return {
        (name, key): _carried(season, before[name], (name, key), ~own)
        for name, own in fresh.items()
        for key in season.profiles[name]
    }


def _states(
    season: Season, before: Mapping[str, tuple[Before, ...]]
) -> list[Mapping[str, Mapping[str, Staged] | None]]:
    """For each other state of the warehouse that is told of: what each service was made from."""
    found: dict[frozenset[tuple[str, str]], dict[str, Mapping[str, Staged] | None]] = {}
    for name, releases in before.items():
        for one in releases:
            state = frozenset(one.release.digests.items())
            found.setdefault(state, {})[name] = one.staged
    return [
        own
        for own in found.values()
        if not all(_alike(season.label, season.prepared[n], old) for n, old in own.items())
    ]


def _changes(
    season: Season, state: Mapping[str, Mapping[str, Staged] | None]
) -> dict[str, list[Changes]] | None:
    """None where it cannot be told who changed: then nothing is restated."""
    found: dict[str, list[Changes]] = {}
    for name, table in season.tables.items():
        if name not in state:
            found[name] = []
            continue
        if (old := state[name]) is None:
            return None
        own = changes_of(season.prepared[name], table, old, season.label)
        if own is None:
            return None
        found[name] = own
    return found


def _never_restated(season: Season, before: Mapping[str, tuple[Before, ...]]) -> dict[str, Bools]:
    """Cells that no profile shows, or whose count of persons would be told to have moved by few:
    a reader cannot know that as many went as came."""
    found = {}
    for name, table in season.tables.items():
        own = np.ones(len(table), np.bool_)
        few = np.zeros(len(table), np.bool_)
        for key in season.profiles[name]:
            own &= season.protected[name, key].flags != PUBLISHED
            for one in before[name]:
                few |= _moved_by_few(season, one.release, (name, key))
        found[name] = own | few
    return found


def _moved_by_few(season: Season, release: Earlier, at: At) -> Bools:
    name, key = at
    table = season.tables[name]
    measure = table.plan.service.disclosure.person_measure
    rows = old_rows(release, key, table.plan)
    if rows is None or measure is None:
        return np.zeros(len(table), np.bool_)
    row = rows.find(*_where(table))
    like = Figure(np.zeros(0, np.int64), np.zeros(0, np.uint8))
    now = season.rounded(name, key)
    few = np.zeros(len(table), np.bool_)
    k = int(str(season.profiles[name][key]["k_person"]))
    for cell in np.flatnonzero(row >= 0).tolist():
        told = rows.number(measure, int(row[cell]), like)
        few[cell] = told is not None and 0 < abs(told - int(now[cell])) < k
    return few


def _carried(season: Season, before: tuple[Before, ...], at: At, held: Bools) -> Carried:
    """What the newest release that is not withdrawn shows of the cells held."""
    name, key = at
    table = season.tables[name]
    sources = [one.release for one in before if one.release.carries]
    rows = old_rows(sources[-1], key, table.plan) if sources else None
    if rows is None:
        return Carried(None, held, np.full(len(table), -1, np.int64))
    return Carried(rows, held, rows.find(*_where(table)))


def _where(table: Table) -> tuple[Ints, Ints]:
    cells = np.arange(len(table))
    return addresses(Shown(table, cells, np.full(cells.size, ROUNDED, np.uint8)))
