"""Build releases: every permitted cell of the services, protected once, published atomically."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from gateway.catalogue.cohort import CohortContract
from gateway.catalogue.load import Catalogue, load_catalogue
from gateway.catalogue.model import Service
from gateway.db.place import ready_database
from gateway.policy.documents import read_documents
from gateway.policy.profiles import merged_profiles, profile_key
from gateway.privacy.terms import Terms
from gateway.quality.waiver import Waiver
from gateway.releases.attack.audit import Issue, Scope, audit, record, refuse
from gateway.releases.attack.finding import AttackReport
from gateway.releases.cohort import build_cohort, ordered_cohorts
from gateway.releases.engine.choice import cluster_of
from gateway.releases.engine.staging import Staging
from gateway.releases.jobs import Work
from gateway.releases.keys import rounding_key
from gateway.releases.manifest import Manifest, ReleaseError
from gateway.releases.parallel import crew
from gateway.releases.publish import publish, workplace
from gateway.releases.restated.versions import earlier_releases
from gateway.releases.revision import same_key
from gateway.releases.run import Reuse, Run
from gateway.releases.source import digest
from gateway.settings import Settings
from gateway.warehouse.store import current as current_warehouse
from synthetic.integrity.told import Told

_WORTH_WORKERS = 4 * 1024 * 1024


@dataclass(frozen=True)
class Order:
    """What to build: services by id (all if none), and waivers of poor quality.

    `since`: the month (YYYY-MM) in whose season the first published period lies; all if empty.
    `told`: what the office audited and mended, which S26 publishes.
    `hold`: they lie ready afterwards, to be published by somebody of the office.
    `alone`: exactly these, without those they are linked with, none of which was ever published.
    """

    services: tuple[str, ...] = ()
    waivers: tuple[Waiver, ...] = ()
    also: tuple[Path, ...] = ()  # policies folders for whose profiles cells are made besides
    alone: bool = False
    since: str = ""
    told: tuple[Told, ...] = ()
    hold: bool = False


@dataclass(frozen=True)
class Step:
    """Where a build is: what it does, the share that is done, what an earlier one had made."""

    doing: str
    done: float
    reuse: Reuse | None = None


Progress = Callable[[Step], None]


def build(
    settings: Settings, order: Order, now: datetime, progress: Progress = lambda step: None
) -> list[Manifest]:
    """Build and publish releases; the manifests of those now in force."""
    catalogue = load_catalogue(settings.policies)
    cohorts = ordered_cohorts(catalogue.cohorts, order.services)
    services = _ordered(settings.releases, catalogue, order, cohorts)
    warehouse = current_warehouse(settings.warehouse)
    with workplace(settings.releases) as folder:
        staging = Staging(settings.home / "staging", now)
        staging.open()
        work = _work(settings, catalogue, warehouse, order, staging)
        same_key(settings.releases, catalogue.services, work.key)
        run = Run(work, folder)

        def tell(doing: str) -> None:
            progress(Step(doing, run.share))

        with crew(_workers(warehouse), tell, apart=work.cluster is not None) as hands:
            if services:
                run.start(hands, _unlinked(catalogue, services))
                hands.finish()
        for contract in cohorts:
            tell(f"index {contract.id}")
            run.finished.append(build_cohort(work, contract, run.appraised, folder))
        finished = sorted(run.finished, key=lambda one: one[1].service)
        tell("attack")
        report = attacked(settings, catalogue, finished)
        refuse(report)
        publish(settings.releases, finished, hold=order.hold)
        record(settings.releases, report)
    progress(Step("published", 1.0, run.reuse))
    return [manifest for _, manifest in finished]


def attacked(
    settings: Settings, catalogue: Catalogue, finished: Sequence[tuple[Path, Manifest]]
) -> AttackReport:
    """What an outsider could say of hidden cells, were these releases published."""
    fresh = [Issue(folder, manifest) for folder, manifest in finished]
    names = {issue.manifest.service for issue in fresh}
    scope = Scope(services=names, seconds=settings.release_audit_seconds)
    return audit(settings.releases, catalogue.services, scope, fresh)


def _workers(warehouse: Path) -> int:
    """One per processor; for a small warehouse starting them would take longer than they save."""
    size = sum(path.stat().st_size for path in warehouse.glob("*.parquet"))
    return (os.cpu_count() or 1) if size >= _WORTH_WORKERS else 0


def _ordered(
    releases: Path, catalogue: Catalogue, order: Order, cohorts: Sequence[CohortContract]
) -> list[Service]:
    """The services of an order. Cells of a service left out would not be taken into account."""
    counted = {name for one in cohorts for name in (one.id, one.code)}
    wanted = [name for name in order.services if name not in counted]
    every = _chosen(catalogue, wanted) if wanted or not order.services else []
    if not order.alone:
        return every
    named = {s.id for name in order.services if (s := catalogue.get(name)) is not None}
    left = [s.id for s in every if named and s.id not in named]
    known = [name for name in left if any((releases / name).glob(f"{name}-*"))]
    if known:
        raise ReleaseError(
            "release_linked",
            f"{', '.join(known)} was published here and is linked with what is to be built: build "
            "them together (without --alone), so that none gives the other away.",
            f"{'、'.join(known)}已在此发布且与所选服务关联，须一并构建（不加 --alone）。",
        )
    return [service for service in every if service.id not in left]


def _unlinked(catalogue: Catalogue, services: Sequence[Service]) -> list[tuple[str, ...]]:
    """The services in groups that have no link between them, in order of their first service."""
    groups: list[tuple[str, ...]] = []
    chosen = {service.id for service in services}
    for service in services:
        if not any(service.id in group for group in groups):
            linked = _chosen(catalogue, [service.id])
            groups.append(tuple(s.id for s in linked if s.id in chosen))
    return groups


def _chosen(catalogue: Catalogue, wanted: Sequence[str]) -> list[Service]:
    """The services asked for and all they are linked with or lie within: protected as one."""
    ids = list(wanted or catalogue.services)
    for name in ids:
        service = catalogue.get(name)
        if service is None:
            raise ReleaseError("service_unknown", f"There is no service {name}.")
    chosen = {s.id for name in ids if (s := catalogue.get(name)) is not None}
    edges = {
        (s.id, link.service)
        for s in catalogue.services.values()
        for link in (*s.disclosure.linked, *s.disclosure.within)
    }
    while more := {b for a, b in edges | {(b, a) for a, b in edges} if a in chosen} - chosen:
        chosen |= more
    return [service for name, service in catalogue.services.items() if name in chosen]


def _work(
    settings: Settings, catalogue: Catalogue, warehouse: Path, order: Order, staging: Staging
) -> Work:
    digests = {path.stem: digest(path) for path in sorted(warehouse.glob("*.parquet"))}
    by_service: dict[str, dict[str, Any]] = {}
    for policies in (settings.policies, *order.also):
        merged = merged_profiles(policies, load_catalogue(policies).as_policy_data())
        for (service, _), profile in merged.items():
            by_service.setdefault(service, {})[profile_key(profile)] = profile
    return Work(
        catalogue=catalogue,
        warehouse=warehouse,
        digests=digests,
        staging=staging,
        profiles=by_service,
        sensitive=read_documents(settings.policies)["sensitive"],
        key=rounding_key(settings.keys),
        cluster=cluster_of(settings),
        waivers=order.waivers,
        told=order.told,
        since=order.since,
        earlier=earlier_releases(
            settings.releases, settings.warehouse, catalogue.services, digests
        ),
        database=_ledger(settings, by_service),
    )


def _ledger(settings: Settings, profiles: Mapping[str, Mapping[str, Any]]) -> str:
    """The operational database, brought up to date, where a profile spends a privacy budget."""
    if not any(Terms.of(one) for of in profiles.values() for one in of.values()):
        return ""
    return ready_database(settings)
