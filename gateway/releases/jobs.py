"""The jobs of a build: stage a service's facts, count and protect a season, write a release.

Each depends on what it is handed and on what lies in staging under the name of its content.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from gateway.catalogue.load import Catalogue
from gateway.catalogue.model import Grain, Service
from gateway.catalogue.tariff import WHOLE
from gateway.privacy.terms import PrivateTable, Terms
from gateway.quality.waiver import Waiver
from gateway.releases.carried import Carried
from gateway.releases.cellfile import addresses, places_of, write_cells
from gateway.releases.cells import all_blocks
from gateway.releases.contents import Facts, builder, contents, contradicted
from gateway.releases.contributions import FILE as CONTRIBUTIONS
from gateway.releases.contributions import (
    Columns,
    contributed,
    of_whole_blocks,
    write_contributions,
)
from gateway.releases.derived import derived_for
from gateway.releases.earlier import Before, Earlier
from gateway.releases.engine.choice import engine_on
from gateway.releases.engine.loading import Stager
from gateway.releases.engine.parts import cuts_of
from gateway.releases.engine.spark import Cluster
from gateway.releases.engine.sql import Library
from gateway.releases.engine.staging import Staging, keyed
from gateway.releases.filling import filled
from gateway.releases.guarding import Protected
from gateway.releases.impersonal import contributed_by_region, exact, protected, rules_of
from gateway.releases.kernel import Bools, Ints
from gateway.releases.keys import fingerprint
from gateway.releases.lineage.reading import FILE as LINEAGE
from gateway.releases.lineage.writing import write_lineage
from gateway.releases.manifest import Manifest, ReleaseError, sealed
from gateway.releases.measures import Layout, Rules, figures, finished
from gateway.releases.outlook import with_rows_ahead
from gateway.releases.own.release import Bench, OwnPlan, own_contents
from gateway.releases.parallel import note
from gateway.releases.plan import Plan
from gateway.releases.prepare import Limits, Prepared, made_from, prepare, season_plan
from gateway.releases.private import FILE as PRIVACY
from gateway.releases.private import Private, ledger_of, private_sheets
from gateway.releases.protection import protect_all
from gateway.releases.quality import FILE as QUALITY
from gateway.releases.quality import ByProvider, by_period, write_quality
from gateway.releases.restated.standing import At, Season, standing
from gateway.releases.sdc import COMPLEMENTARY, PRIMARY, PUBLISHED, Profile
from gateway.releases.sdc.lattice import Flags
from gateway.releases.seasons import Harvest, Whole
from gateway.releases.sensitive import banned, rolled_up
from gateway.releases.sheet import Sheet, together
from gateway.releases.shown import Shown
from gateway.releases.source import Input, Source
from gateway.releases.store import cell_file
from gateway.releases.table import Table
from gateway.releases.waived import check_quality
from synthetic.integrity.quality import measure
from synthetic.integrity.told import Told

Merged = Mapping[str, Any]  # a profile as the policy merged it


@dataclass(frozen=True)
class Work:
    """What all jobs of one build share."""

    catalogue: Catalogue
    warehouse: Path
    digests: Mapping[str, str]  # the content of each of the warehouse's tables
    staging: Staging
    waivers: Sequence[Waiver]
    profiles: Mapping[str, Mapping[str, Merged]]  # by service, then by profile key
    sensitive: Mapping[str, Any]
    key: bytes
    cluster: Cluster | None = None  # where the facts are run; none: here
    since: str = ""  # the month from which on periods are published; all if empty
    told: tuple[Told, ...] = ()  # what the office audited and mended
    earlier: Mapping[str, tuple[Earlier, ...]] = field(default_factory=dict)  # by service
    database: str = ""  # where the privacy ledger is; needed where a profile's `dp` is on


@dataclass(frozen=True)
class Reaped:
    """One season of services that are linked: under which name each lies in staging."""

    kept: Mapping[str, str]
    reused: bool


@dataclass(frozen=True)
class Appraisal:
    """What was found of the warehouse as a whole."""

    inputs: tuple[Input, ...]
    quality: Mapping[str, Mapping[str, Any]]
    providers: Mapping[str, ByProvider]
    failing: Mapping[str, Sequence[str]]
    waivers: tuple[Waiver, ...]


def appraise(work: Work, labels: Sequence[str], gated: bool) -> Appraisal:
    """Measure the quality of the periods and hash the tables; poor quality needs a waiver."""
    note("quality")
    measured = measure(work.warehouse, labels, told=work.told)
    today = work.staging.now.date()
    waivers = check_quality(measured.failing, work.waivers, today) if gated else ()
    source = Source(work.warehouse, work.catalogue.rollups_sql())
    try:
        providers = by_period(labels, measured.institutions)
        inputs = source.inputs(work.digests)
        return Appraisal(inputs, measured.figures, providers, measured.failing, waivers)
    finally:
        source.close()


def load(work: Work, name: str, grain: Grain) -> Prepared:
    """Stage the facts of a service in seasons as long as `grain`, those not there already."""
    note(f"load {name}")
    service = work.catalogue.services[name]
    views = work.catalogue.rollups_sql(service)
    more = derived_for(
        work.catalogue, service, work.warehouse, work.digests, work.staging, told=work.told
    )
    digests = {**work.digests, **more.keys}
    source = Source(work.warehouse, views, spill=work.staging.root, extra=more.paths)
    try:
        cuts = () if work.cluster else cuts_of(source, work.digests, work.staging)
        with engine_on(source, work.cluster, cuts) as engine:
            library = Library.of(views)
            stager = Stager(work.staging, source, engine, library, digests, grain)
            made = prepare(
                work.catalogue,
                service,
                stager,
                _limits(work, service),
                hidden=rolled_up(service, work.sensitive),
                since=work.since,
            )
    finally:
        source.close()
    return replace(made, before=tuple(_before(work, name, grain)))


def _before(work: Work, name: str, grain: Grain) -> Iterator[Before]:
    """What was published of a service from other states of the warehouse, each staged again."""
    for one in work.earlier.get(name, ()):
        staged = None
        if one.version is not None:
            then = replace(work, warehouse=one.version, digests=one.digests, earlier={})
            staged = load(then, name, grain).staged
        yield Before(one, staged)


def _limits(work: Work, service: Service) -> Limits:
    profiles = work.profiles.get(service.id, {}).values()
    if not profiles:
        raise ReleaseError("profile_missing", f"No scenario gives a profile for {service.id}.")
    if service.disclosure.subject != "persons":
        return Limits(max(_most_dims(service, p) for p in profiles), 0, 0, 0)
    return Limits(
        max(int(p["max_dims"]) for p in profiles),
        *(
            min(int(p[field]) for p in profiles)
            for field in ("k_person", "min_institutions", "min_exposure")
        ),
    )


def _most_dims(service: Service, profile: Merged) -> int:
    """How many dims a cell may name; a profile that protects nobody sets no limit."""
    free = service.disclosure.subject == "open"
    return int(profile.get("max_dims", len(service.dims)) if free else profile["max_dims"])


def season(work: Work, label: str, prepared: Mapping[str, Prepared]) -> Reaped:
    """Count and protect one season of services that are linked, unless that was done before."""
    key = _season_key(work, label, prepared)
    kept = {name: f"{key}-{name}" for name in prepared}
    if all(work.staging.has_harvest(one, work.key) for one in kept.values()):
        return Reaped(kept, reused=True)
    tables, institutions = {}, {}
    for service, one in prepared.items():
        note(f"count {service} {label}")
        plan, institutions[service] = season_plan(one, label)
        tables[service] = Table.of(plan, all_blocks(plan))
    note(f"protect {label}")
    protected = _protected(work, tables)
    carried = _standing(work, label, prepared, tables, protected)
    for service, table in tables.items():
        made = _harvest(work, table, (protected, carried), institutions[service])
        work.staging.keep_harvest(kept[service], made, work.key)
    return Reaped(kept, reused=False)


def _season_key(work: Work, label: str, prepared: Mapping[str, Prepared]) -> str:
    """Says what a season's cells are made from: rows, lists, contract, profiles, key, software."""
    return keyed(
        {
            "season": label,
            "software": builder(),
            "rounding_key": fingerprint(work.key),
            "sensitive": work.sensitive,
            "services": {
                name: made_from(one, label, work.profiles[name]) for name, one in prepared.items()
            },
        }
    )


def _protected(work: Work, tables: Mapping[str, Table]) -> dict[tuple[str, str], Protected]:
    """What each profile shows; what is about no person is linked with nothing else."""
    (table, *_) = tables.values()
    if (service := table.plan.service).disclosure.subject != "persons":
        profiles = work.profiles[service.id]
        return {(service.id, key): protected(table, p) for key, p in profiles.items()}

    def ban(service: str, key: str) -> Mapping[str, Sequence[int]]:
        plan = tables[service].plan
        return banned(plan.service, plan.domains, work.sensitive, work.profiles[service][key])

    profiles = {name: work.profiles[name] for name in tables}
    return protect_all(tables, profiles, ban, partial(_rounded, work, tables))


def _rounded(work: Work, tables: Mapping[str, Table], service: str, key: str) -> Ints:
    """The count of persons of every cell as a profile rounds it."""
    rules = Rules(Profile.of(work.profiles[service][key]), work.key)
    return rules.count(tables[service].whole("persons"), rules.profile.k)


def _standing(
    work: Work, label: str, prepared: Mapping[str, Prepared], tables: Mapping[str, Table],
    protected: Mapping[At, Protected],
) -> dict[At, Carried]:  # fmt: skip
    """The cells that stay as an earlier release shows them."""
    profiles = {name: work.profiles[name] for name in tables}
    rounded = partial(_rounded, work, tables)
    return standing(Season(label, prepared, tables, protected, profiles, rounded))


def _harvest(
    work: Work,
    table: Table,
    found: tuple[Mapping[At, Protected], Mapping[At, Carried]],
    institutions: tuple[str, ...],
) -> Harvest:
    service = table.plan.service
    name = service.id
    protected, carried = found
    patterns = {key: protected[name, key] for key in work.profiles[name]}
    flags = {
        key: _narrowed(
            table,
            carried[name, key].pattern(pattern.flags) if carried else pattern.flags,
            _most_dims(service, work.profiles[name][key]),
        )
        for key, pattern in patterns.items()
    }
    kept = _any(np.isin(own, (PUBLISHED, COMPLEMENTARY)) for own in flags.values())
    cells = np.flatnonzero(kept)
    full = filled(table, kept, _any(own == PUBLISHED for own in flags.values()))
    sheets, contributions = {}, {}
    for key, own in flags.items():
        shown = Shown.of(full, own[cells])
        rules = rules_of(service, work.profiles[name][key], work.key)
        old = carried[name, key].of(cells[shown.cells]) if carried else None
        told = figures(shown, rules, patterns[key].withheld[cells], old)
        where = addresses(shown)
        sheets[key] = Sheet.of(shown, told, *where)
        contributions[key] = (
            contributed(shown, where, rules.profile)
            if service.disclosure.subject == "persons"
            else contributed_by_region(shown, where)
        )
    calendar = table.plan.calendar
    return Harvest(sheets, contributions, contradicted(table), calendar, institutions)


def _any(marks: Iterable[Bools]) -> Bools:
    found: Bools = np.logical_or.reduce(list(marks))
    return found


def _narrowed(table: Table, flags: Flags, max_dims: int) -> Flags:
    """Without the cells that name more dims than the profile allows."""
    wide = [shape.n_dims > max_dims for shape in table.plan.shapes]
    own = np.repeat([wide[block.shape] for block in table.blocks], [len(b) for b in table.blocks])
    return np.where(own, PRIMARY, flags).astype(np.uint8)


def write(
    work: Work, one: Prepared, kept: Sequence[str], facts: Facts, building: Path
) -> tuple[Path, Manifest]:
    """Put the seasons of a service together and write its release."""
    plan = one.plan
    note(f"write {plan.service.id}")
    folder = building / plan.service.id
    folder.mkdir()
    places = places_of(plan)
    whole = Whole(plan.calendar, one.institutions, len(places))
    harvests = [whole.placed(_kept(work, key)) for key in kept]
    noised = _noised(work, one, facts, folder)
    counts = {}
    for key in sorted(facts.profiles):
        sheet = noised.get(key) or _sheet(plan, [harvest.sheets[key] for harvest in harvests])
        counts[key] = write_cells(folder / cell_file(key), sheet)
    write_contributions(
        folder / CONTRIBUTIONS,
        {key: list(_contributed(plan, harvests, key)) for key in facts.profiles},
        one.institutions,
        places,
    )
    labels = [period.label for period in plan.calendar]
    write_quality(folder / QUALITY, labels, facts.providers, one.institutions)
    write_lineage(folder / LINEAGE, work.catalogue, plan.service, labels, facts)
    months = tuple(p.label for p in plan.calendar if p.grain is Grain.MONTH)
    told = OwnPlan(plan.service, months, plan.cities)
    known = replace(
        facts,
        own=_bench(work).write(told, facts, folder, one.staged) if plan.service.own else (),
        cells=counts,
        contradicted=frozenset().union(*(harvest.contradicted for harvest in harvests)),
    )
    return folder, sealed(contents(one, folder, known), work.staging.now)


def _sheet(plan: Plan, seasons: Sequence[Sheet]) -> Sheet:
    sheet = finished(with_rows_ahead(together(seasons), Layout.of(plan)), Layout.of(plan))
    return exact(sheet) if plan.service.disclosure.subject == "open" else sheet


def _noised(work: Work, one: Prepared, facts: Facts, folder: Path) -> dict[str, Sheet]:
    """The sheets of the profiles whose `dp` is on, with a statement of their noise beside them."""

    def making(terms: Terms, table: PrivateTable) -> Private:
        ledger = ledger_of(work.database)
        return Private(one, terms, table, work.digests, ledger, work.staging.now)

    made = private_sheets(one, facts.profiles, making, work.key)
    if made:
        told = {key: statement for key, (_, statement) in sorted(made.items())}
        (folder / PRIVACY).write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return {key: sheet for key, (sheet, _) in made.items()}


def _contributed(plan: Plan, harvests: Sequence[Harvest], key: str) -> Iterator[Columns]:
    """Who contributed to the cells of each season, and where answers are charged whole, to all."""
    blocks = len(plan.calendar) * len(places_of(plan))
    for harvest in harvests:
        yield harvest.contributions[key]
        if plan.service.tariff.unit in WHOLE:
            yield of_whole_blocks(harvest.contributions[key], blocks)


def own_plan(work: Work, name: str) -> OwnPlan:
    """Find out what a service tells of that holds own rows alone."""
    note(f"load {name}")
    return _bench(work).plan(work.catalogue.services[name], work.since)


def write_own_alone(
    work: Work, plan: OwnPlan, facts: Facts, building: Path
) -> tuple[Path, Manifest]:
    """Write the release of a service that holds own rows alone."""
    note(f"write {plan.service.id}")
    folder = building / plan.service.id
    folder.mkdir()
    known = replace(facts, own=_bench(work).write(plan, facts, folder, {}))
    write_lineage(folder / LINEAGE, work.catalogue, plan.service, plan.months, known)
    return folder, sealed(own_contents(plan, folder, known), work.staging.now)


def _bench(work: Work) -> Bench:
    return Bench(work.catalogue, work.warehouse, work.staging.part())


def _kept(work: Work, key: str) -> Harvest:
    harvest = work.staging.harvest(key, work.key)
    if not isinstance(harvest, Harvest):
        raise ReleaseError(
            "staging_changed",
            "Somebody changed the staging folder while this build ran; build again.",
            "构建期间暂存目录被改动，请重新构建。",
        )
    return harvest
