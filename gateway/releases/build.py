"""Build releases: every permitted cell of the services, protected once, published atomically."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from gateway.catalogue.load import Catalogue, load_catalogue
from gateway.catalogue.model import Service
from gateway.policy.documents import read_documents
from gateway.policy.profiles import merged_profiles, profile_key
from gateway.releases.cellfile import write_cells
from gateway.releases.contents import Facts, contents
from gateway.releases.contributions import FILE as CONTRIBUTIONS
from gateway.releases.contributions import write_contributions
from gateway.releases.kernel import Ints
from gateway.releases.keys import fingerprint, rounding_key
from gateway.releases.manifest import Manifest, ReleaseError, sealed
from gateway.releases.measures import Rules, figures
from gateway.releases.parallel import Tell, side_by_side
from gateway.releases.prepare import Limits, Prepared, prepare
from gateway.releases.protection import Protected, protect_all
from gateway.releases.publish import publish, workplace
from gateway.releases.sdc import PRIMARY, Profile
from gateway.releases.sdc.lattice import Flags
from gateway.releases.sensitive import banned, rolled_up
from gateway.releases.shown import HIDDEN, Figure, Shown
from gateway.releases.source import Input, Source
from gateway.releases.store import cell_file
from gateway.releases.table import Table
from gateway.settings import Settings
from gateway.warehouse.store import current as current_warehouse
from synthetic.integrity.quality import quality


@dataclass(frozen=True)
class Order:
    """What to build: services by id (all if none), and a reason to go on despite poor quality."""

    services: tuple[str, ...] = ()
    waiver: str | None = None


@dataclass(frozen=True)
class Step:
    """Where a build is: what it does and the share of the whole that is done."""

    doing: str
    done: float


Progress = Callable[[Step], None]


@dataclass(frozen=True)
class _Work:
    """What all services of one build share."""

    catalogue: Catalogue
    profiles: Mapping[str, Mapping[str, Mapping[str, Any]]]  # by service, then by profile key
    sensitive: Mapping[str, Any]
    key: bytes
    inputs: tuple[Input, ...]
    quality: Mapping[str, Mapping[str, Any]]
    waiver: str | None


def build(
    settings: Settings, order: Order, now: datetime, progress: Progress = lambda step: None
) -> list[Manifest]:
    """Build and publish releases; the manifests of those now in force."""
    catalogue = load_catalogue(settings.policies)
    services = _chosen(catalogue, order.services)
    warehouse = current_warehouse(settings.warehouse)
    rounding_key(settings.keys)  # made once, before the parts ask for it at the same time
    with workplace(settings.releases) as folder:
        task = _Task(settings, order, warehouse, folder, now)
        parts = _unlinked(catalogue, services)
        made = side_by_side(task.part, parts, lambda doing, done: progress(Step(doing, done)))
        finished = sorted((one for part in made for one in part), key=lambda one: one[1].service)
        publish(settings.releases, finished)
    progress(Step("published", 1.0))
    return [manifest for _, manifest in finished]


@dataclass(frozen=True)
class _Task:
    """One build, as every part of it sees it; can be handed to another process."""

    settings: Settings
    order: Order
    warehouse: Path
    folder: Path
    now: datetime

    def part(self, ids: Sequence[str], tell: Tell) -> list[tuple[Path, Manifest]]:
        """Count, protect and write the services of one part, which are linked among themselves."""
        catalogue = load_catalogue(self.settings.policies)
        source = Source(self.warehouse, catalogue.rollups_sql())
        try:
            work = _work(self.settings, catalogue, self.order, source)
            made = _prepared(work, [catalogue.services[name] for name in ids], source, tell)
        finally:
            source.close()
        tell("quality", 0.6)
        work = replace(work, quality=_quality(self.warehouse, made, self.order.waiver))
        tell("protect", 0.65)
        protected = _protected(work, made)
        finished = []
        for i, service in enumerate(made):
            tell(f"write {service}", 0.85 + 0.15 * i / len(made))
            finished.append(_write(work, self.folder, made[service], protected, self.now))
        return finished


def _unlinked(catalogue: Catalogue, services: Sequence[Service]) -> list[tuple[str, ...]]:
    """The services in parts that have no link between them, in order of their first service."""
    parts: list[tuple[str, ...]] = []
    for service in services:
        if not any(service.id in part for part in parts):
            parts.append(tuple(s.id for s in _chosen(catalogue, [service.id])))
    return parts


def _chosen(catalogue: Catalogue, wanted: Sequence[str]) -> list[Service]:
    """The services asked for and all they are linked with: these are protected as one."""
    ids = list(wanted or catalogue.services)
    for name in ids:
        service = catalogue.get(name)
        if service is None:
            raise ReleaseError("service_unknown", f"There is no service {name}.")
    chosen = {s.id for name in ids if (s := catalogue.get(name)) is not None}
    edges = {
        (s.id, link.service) for s in catalogue.services.values() for link in s.disclosure.linked
    }
    while more := {b for a, b in edges | {(b, a) for a, b in edges} if a in chosen} - chosen:
        chosen |= more
    return [service for name, service in catalogue.services.items() if name in chosen]


def _work(settings: Settings, catalogue: Catalogue, order: Order, source: Source) -> _Work:
    by_service: dict[str, dict[str, Mapping[str, Any]]] = {}
    for (service, _), merged in merged_profiles(
        settings.policies, catalogue.as_policy_data()
    ).items():
        by_service.setdefault(service, {})[profile_key(merged)] = merged
    return _Work(
        catalogue,
        by_service,
        read_documents(settings.policies)["sensitive"],
        rounding_key(settings.keys),
        source.inputs(),
        {},
        order.waiver,
    )


def _prepared(
    work: _Work, services: Sequence[Service], source: Source, tell: Tell
) -> dict[str, Prepared]:
    made = {}
    for i, service in enumerate(services):

        def counted(share: float, i: int = i, name: str = service.id) -> None:
            tell(f"count {name}", 0.6 * (i + share) / len(services))

        counted(0.0)
        made[service.id] = prepare(
            work.catalogue,
            service,
            source,
            _limits(work, service),
            sensitive=rolled_up(service, work.sensitive),
            progress=counted,
        )
    return made


def _limits(work: _Work, service: Service) -> Limits:
    profiles = work.profiles.get(service.id, {}).values()
    if not profiles:
        raise ReleaseError("profile_missing", f"No scenario gives a profile for {service.id}.")
    widest = max(level.max_dims for level in service.geo)
    return Limits(
        min(widest, max(int(p["max_dims"]) for p in profiles)),
        *(
            min(int(p[field]) for p in profiles)
            for field in ("k_person", "min_institutions", "min_exposure")
        ),
    )


def _quality(
    warehouse: Path, made: Mapping[str, Prepared], waiver: str | None
) -> Mapping[str, Mapping[str, Any]]:
    labels = sorted({p.label for one in made.values() for p in one.table.plan.periods})
    found = quality(warehouse, labels)
    failed = max(
        (int(str(measured.get("blocked_rules") or 0)) for measured in found.values()), default=0
    )
    if failed and not waiver:
        raise ReleaseError(
            "quality_blocks",
            f"Data quality stops this release: {failed} block rules fail (`sluice warehouse check` "
            'names them). Repair the warehouse, or record a reason with --waiver "…".',
            f"数据质量未达标：{failed}条阻断规则未通过，请修复数据或以 --waiver 说明理由。",
        )
    return found


def _protected(work: _Work, made: Mapping[str, Prepared]) -> dict[tuple[str, str], Protected]:
    tables = {service: one.table for service, one in made.items()}

    def rounded(service: str, key: str) -> Ints:
        rules = Rules(Profile.of(work.profiles[service][key]), work.key)
        return rules.count(tables[service].whole("persons"), rules.profile.k)

    def ban(service: str, key: str) -> Mapping[str, Sequence[int]]:
        plan = tables[service].plan
        return banned(plan.service, plan.domains, work.sensitive, work.profiles[service][key])

    profiles = {service: work.profiles[service] for service in made}
    return protect_all(tables, profiles, ban, rounded)


def _write(
    work: _Work,
    building: Path,
    one: Prepared,
    protected: Mapping[tuple[str, str], Protected],
    now: datetime,
) -> tuple[Path, Manifest]:
    service = one.table.plan.service
    folder = building / service.id
    folder.mkdir()
    counts, shown = {}, {}
    for key, merged in sorted(work.profiles[service.id].items()):
        pattern = protected[service.id, key]
        cells = Shown.of(one.table, _narrowed(one.table, pattern.flags, int(merged["max_dims"])))
        rules = Rules(Profile.of(merged), work.key)
        found = _withheld(cells, figures(cells, rules), pattern)
        counts[key] = write_cells(folder / cell_file(key), cells, found)
        shown[key] = (cells, rules.profile)
    write_contributions(folder / CONTRIBUTIONS, shown, one.institutions)
    facts = Facts(
        profiles=work.profiles[service.id],
        cells=counts,
        definitions=work.catalogue.definitions_digest(service),
        quality=work.quality,
        waiver=work.waiver,
        rounding_key=fingerprint(work.key),
        inputs=work.inputs,
    )
    return folder, sealed(contents(one, folder, facts), now)


def _narrowed(table: Table, flags: Flags, max_dims: int) -> Flags:
    """Without the cells that name more dims than the profile allows."""
    wide = [shape.n_dims > max_dims for shape in table.plan.shapes]
    own = np.repeat([wide[block.shape] for block in table.blocks], [len(b) for b in table.blocks])
    return np.where(own, PRIMARY, flags).astype(np.uint8)


def _withheld(cells: Shown, found: dict[str, Figure], pattern: Protected) -> dict[str, Figure]:
    """Person counts that would give a small count by subtraction are hidden by themselves."""
    name = cells.table.plan.service.disclosure.person_measure
    if name is None:
        return found
    figure = found[name]
    hide = pattern.withheld[cells.cells] & figure.open
    marks = np.where(hide, HIDDEN, figure.marks).astype(np.uint8)
    return {**found, name: replace(figure, values=np.where(hide, 0, figure.values), marks=marks)}
