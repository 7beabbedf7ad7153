"""The jobs of a build, each a pure function of what it is handed: load, season, write."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from gateway.catalogue.load import Catalogue
from gateway.catalogue.model import Grain, Service
from gateway.releases.cellfile import addresses, places_of, write_cells
from gateway.releases.cells import all_blocks
from gateway.releases.contents import Facts, contents, contradicted
from gateway.releases.contributions import FILE as CONTRIBUTIONS
from gateway.releases.contributions import Columns, contributed, write_contributions
from gateway.releases.filling import filled
from gateway.releases.guarding import Protected
from gateway.releases.kernel import Bools, Ints
from gateway.releases.manifest import Manifest, ReleaseError, sealed
from gateway.releases.measures import Layout, Rules, figures, finished
from gateway.releases.parallel import note
from gateway.releases.plan import Plan
from gateway.releases.prepare import Limits, Prepared, prepare
from gateway.releases.protection import protect_all
from gateway.releases.quality import FILE as QUALITY
from gateway.releases.quality import ByProvider, by_period, write_quality
from gateway.releases.sdc import COMPLEMENTARY, PRIMARY, PUBLISHED, Profile
from gateway.releases.sdc.lattice import Flags
from gateway.releases.sensitive import banned, rolled_up
from gateway.releases.sheet import Sheet, together
from gateway.releases.shown import Shown
from gateway.releases.source import Input, Source
from gateway.releases.store import cell_file
from gateway.releases.table import Table
from synthetic.integrity.quality import measure

Merged = Mapping[str, Any]  # a profile as the policy merged it


@dataclass(frozen=True)
class Work:
    """What all jobs of one build share."""

    catalogue: Catalogue
    warehouse: Path
    waiver: str | None
    profiles: Mapping[str, Mapping[str, Merged]]  # by service, then by profile key
    sensitive: Mapping[str, Any]
    key: bytes


@dataclass(frozen=True)
class Harvest:
    """What one season gives to the release of a service, by profile key."""

    sheets: Mapping[str, Sheet]
    contributions: Mapping[str, Columns]
    contradicted: frozenset[int]


@dataclass(frozen=True)
class Appraisal:
    """What was found of the warehouse as a whole."""

    inputs: tuple[Input, ...]
    quality: Mapping[str, Mapping[str, Any]]
    providers: Mapping[str, ByProvider]


def appraise(work: Work, labels: Sequence[str]) -> Appraisal:
    """Measure the quality of the periods and hash the tables; poor quality needs a waiver."""
    note("quality")
    measured = measure(work.warehouse, labels)
    found = measured.figures
    failed = max(
        (int(str(measured.get("blocked_rules") or 0)) for measured in found.values()), default=0
    )
    if failed and not work.waiver:
        raise ReleaseError(
            "quality_blocks",
            f"Data quality stops this release: {failed} block rules fail (`sluice warehouse check` "
            'names them). Repair the warehouse, or record a reason with --waiver "…".',
            f"数据质量未达标：{failed}条阻断规则未通过，请修复数据或以 --waiver 说明理由。",
        )
    source = Source(work.warehouse, work.catalogue.rollups_sql())
    try:
        return Appraisal(source.inputs(), found, by_period(labels, measured.institutions))
    finally:
        source.close()


def load(work: Work, name: str, grain: Grain) -> Prepared:
    """Read the facts of a service and cut them into seasons."""
    note(f"load {name}")
    service = work.catalogue.services[name]
    source = Source(work.warehouse, work.catalogue.rollups_sql(service))
    try:
        return prepare(
            work.catalogue,
            service,
            source,
            _limits(work, service),
            sensitive=rolled_up(service, work.sensitive),
            grain=grain,
        )
    finally:
        source.close()


def _limits(work: Work, service: Service) -> Limits:
    profiles = work.profiles.get(service.id, {}).values()
    if not profiles:
        raise ReleaseError("profile_missing", f"No scenario gives a profile for {service.id}.")
    return Limits(
        max(int(p["max_dims"]) for p in profiles),
        *(
            min(int(p[field]) for p in profiles)
            for field in ("k_person", "min_institutions", "min_exposure")
        ),
    )


def season(work: Work, label: str, plans: Mapping[str, Plan]) -> dict[str, Harvest]:
    """Count and protect one season of services that are linked among themselves."""
    tables = {}
    for service, plan in plans.items():
        note(f"count {service} {label}")
        tables[service] = Table.of(plan, all_blocks(plan))
    note(f"protect {label}")
    protected = _protected(work, tables)
    return {service: _harvest(work, table, protected) for service, table in tables.items()}


def _protected(work: Work, tables: Mapping[str, Table]) -> dict[tuple[str, str], Protected]:
    def rounded(service: str, key: str) -> Ints:
        rules = Rules(Profile.of(work.profiles[service][key]), work.key)
        return rules.count(tables[service].whole("persons"), rules.profile.k)

    def ban(service: str, key: str) -> Mapping[str, Sequence[int]]:
        plan = tables[service].plan
        return banned(plan.service, plan.domains, work.sensitive, work.profiles[service][key])

    return protect_all(tables, {s: work.profiles[s] for s in tables}, ban, rounded)


def _harvest(work: Work, table: Table, protected: Mapping[tuple[str, str], Protected]) -> Harvest:
    name = table.plan.service.id
    patterns = {key: protected[name, key] for key in work.profiles[name]}
    flags = {
        key: _narrowed(table, pattern.flags, int(work.profiles[name][key]["max_dims"]))
        for key, pattern in patterns.items()
    }
    kept = _any(np.isin(own, (PUBLISHED, COMPLEMENTARY)) for own in flags.values())
    cells = np.flatnonzero(kept)
    full = filled(table, kept, _any(own == PUBLISHED for own in flags.values()))
    sheets, contributions = {}, {}
    for key, own in flags.items():
        shown = Shown.of(full, own[cells])
        rules = Rules(Profile.of(work.profiles[name][key]), work.key)
        found = figures(shown, rules, patterns[key].withheld[cells])
        where = addresses(shown)
        sheets[key] = Sheet.of(shown, found, *where)
        contributions[key] = contributed(shown, where, rules.profile)
    return Harvest(sheets, contributions, contradicted(table))


def _any(marks: Iterable[Bools]) -> Bools:
    found: Bools = np.logical_or.reduce(list(marks))
    return found


def _narrowed(table: Table, flags: Flags, max_dims: int) -> Flags:
    """Without the cells that name more dims than the profile allows."""
    wide = [shape.n_dims > max_dims for shape in table.plan.shapes]
    own = np.repeat([wide[block.shape] for block in table.blocks], [len(b) for b in table.blocks])
    return np.where(own, PRIMARY, flags).astype(np.uint8)


def write(
    one: Prepared, harvests: Sequence[Harvest], facts: Facts, building: Path, now: datetime
) -> tuple[Path, Manifest]:
    """Put the seasons of a service together and write its release."""
    plan = one.plan
    note(f"write {plan.service.id}")
    folder = building / plan.service.id
    folder.mkdir()
    places = places_of(plan)
    counts = {}
    for key in sorted(facts.profiles):
        sheet = together([harvest.sheets[key] for harvest in harvests])
        sheet = finished(sheet, Layout.of(plan))
        counts[key] = write_cells(folder / cell_file(key), sheet)
    write_contributions(
        folder / CONTRIBUTIONS,
        {key: [h.contributions[key] for h in harvests] for key in facts.profiles},
        one.institutions,
        places,
    )
    labels = [period.label for period in plan.calendar]
    write_quality(folder / QUALITY, labels, facts.providers, one.institutions)
    known = replace(
        facts,
        cells=counts,
        contradicted=frozenset().union(*(harvest.contradicted for harvest in harvests)),
    )
    return folder, sealed(contents(one, folder, known), now)
