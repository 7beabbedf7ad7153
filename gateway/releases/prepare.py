"""From a warehouse to one service's coded rows: stage the facts, check them, cut them by season."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from gateway.catalogue.load import Catalogue
from gateway.catalogue.model import Grain, Service
from gateway.catalogue.subject import about_persons, restricted
from gateway.releases.earlier import Before
from gateway.releases.encoding import Hidden, encode, lists
from gateway.releases.engine.loading import Stager, Wanted, read_season
from gateway.releases.engine.staging import Staged
from gateway.releases.engine.survey import Survey, chains
from gateway.releases.facts import (
    Shared,
    city_of,
    coded,
    columns_wanted,
    label_of,
    periods,
    shared_lists,
)
from gateway.releases.impersonal import check_columns, check_reading, wrapped
from gateway.releases.manifest import ReleaseError
from gateway.releases.outlook import with_outlook
from gateway.releases.plan import Plan
from gateway.releases.records import as_records, wanted
from gateway.releases.seasons import seasons_of
from gateway.releases.shapes import fact_columns, fit, shapes

_INFLATED = 1.005
_LOST = 0.5


@dataclass(frozen=True)
class Prepared:
    """What to build of a service: the plan as a whole, without rows, and where the rows lie.

    With it what the manifest says about how the rows came about.
    """

    plan: Plan
    seasons: tuple[str, ...]
    staged: Mapping[str, Staged]
    records: Staged | None
    hidden: Hidden
    unmapped: Mapping[str, int]
    institutions: tuple[str, ...]
    reused: int  # of the facts and the records, how many were staged before
    before: tuple[Before, ...] = ()  # what was published of other states of the warehouse


@dataclass(frozen=True)
class Limits:
    """What all profiles of a service have in common: dims at most; persons and so on at least."""

    max_dims: int
    persons: int
    institutions: int
    exposure: int


def prepare(
    catalogue: Catalogue,
    service: Service,
    stager: Stager,
    limits: Limits,
    *,
    hidden: Hidden,
    since: str = "",
) -> Prepared:
    """Stage what the service counts, and find out what all its seasons have in common.

    Seasons before the one that the month `since` lies in are left out.
    """
    check_reading(
        service, stager.library, {n: catalogue.fact_sql(service, n) for n in service.facts}
    )
    wanted_ = {name: _wanted(catalogue, service, stager, name) for name in service.facts}
    found = {name: stager.stage(fact) for name, fact in wanted_.items()}
    staged = {name: one for name, (one, _) in found.items()}
    reused = sum(before for _, before in found.values())
    records = None
    if (sql := catalogue.records_sql(service)) is not None:
        name = f"{service.id}/{service.disclosure.records}"
        records, before = stager.stage(Wanted(name, wanted(stager.source, sql), {}))
        reused += before
    surveys = {name: one.survey for name, one in staged.items()}
    check_totals(service, surveys)
    shared = _shared(surveys)
    closed = lists(service, surveys, hidden)
    months = _months(_told(service, surveys), since, stager.grain)
    every = periods(months, service.periods)
    every_shape = shapes(service, limits.max_dims)
    plan = Plan(
        service=service,
        domains=closed.domains,
        shapes=every_shape,
        fits=tuple(fit(service, shape) for shape in every_shape),
        periods=every,
        counties=shared.counties,
        cities=shared.cities,
        n_institutions=len(shared.institutions) + 1,
        least=(limits.persons, limits.institutions, limits.exposure),
        facts={},
        calendar=with_outlook(service, months, every),
        numbers=tuple(range(len(every))),
    )
    return Prepared(
        plan,
        seasons_of(months, stager.grain),
        staged,
        records,
        hidden,
        closed.unmapped,
        shared.institutions,
        reused,
    )


def _told(service: Service, surveys: Mapping[str, Survey]) -> tuple[str, ...]:
    """The months a service tells of: those of its own accounts, where it is about no person and
    there are any."""
    every = {name: {*survey.amounts} for name, survey in surveys.items()}
    own = set().union(*(every[name] for name in restricted(service)))
    return tuple(sorted(own or set().union(*every.values())))


def _months(every: Sequence[str], since: str, grain: Grain) -> tuple[str, ...]:
    first = label_of(since, grain) if since else ""
    kept = tuple(month for month in every if label_of(month, grain) >= first)
    if every and not kept:
        raise ReleaseError(
            "period_empty",
            f"The warehouse has nothing from {since} on; its last month is {every[-1]}.",
            f"仓库中没有{since}及以后的数据，最后一个月为{every[-1]}。",
        )
    return kept


def season_plan(one: Prepared, season: str) -> tuple[Plan, tuple[str, ...]]:
    """The plan of one season with its rows, and the institutions in the order it numbers them."""
    service = one.plan.service
    atoms = {name: read_season(staged, season) for name, staged in one.staged.items()}
    encoded = encode(service, atoms, one.plan.domains, one.hidden)
    shared = shared_lists(atoms)
    told = _told(service, {name: staged.survey for name, staged in one.staged.items()})
    months = tuple(month for month in shared.months if month in told)
    shared = replace(shared, months=months, counties=one.plan.counties, cities=one.plan.cities)
    own = periods(shared.months, service.periods)
    records = None
    if one.records is not None:
        records = as_records(service, read_season(one.records, season), one.hidden)
    plan = replace(
        one.plan,
        periods=own,
        n_institutions=len(shared.institutions) + 1,
        facts={n: coded(service, n, atoms[n], encoded, shared) for n in service.facts},
        calendar=own,
        numbers=tuple(range(len(own))),
        records=records,
    )
    return plan, shared.institutions


def made_from(
    one: Prepared, label: str, profiles: Mapping[str, Mapping[str, object]]
) -> dict[str, object]:
    """All that the cells of a season depend on besides software and keys."""
    plan = one.plan
    held = {**one.staged, **({"": one.records} if one.records else {})}
    return {
        "rows": _rows(held, label),
        "columns": {fact: (staged.names, dict(staged.scales)) for fact, staged in held.items()},
        "contract": plan.service.model_dump_json(exclude={"tariff", "own"}),
        "lists": {column: asdict(domain) for column, domain in plan.domains.items()},
        "places": (plan.counties, plan.cities),
        "least": plan.least,
        "shapes": [shape.text for shape in plan.shapes],
        "hidden": {column: sorted(codes) for column, codes in one.hidden.items()},
        "profiles": {key: dict(merged) for key, merged in profiles.items()},
    }


def _rows(staged: Mapping[str, Staged], label: str) -> dict[str, object]:
    """The files of a season's rows by content."""
    return {fact: one.seasons.get(label) for fact, one in staged.items()}


def _wanted(catalogue: Catalogue, service: Service, stager: Stager, name: str) -> Wanted:
    sums, records = columns_wanted(service, name)
    columns = fact_columns(service, service.facts[name])
    numbers = tuple(dict.fromkeys((*sums, *records)))
    sql = catalogue.fact_sql(service, name)
    if not about_persons(service, name):
        check_columns(service, name, stager.source.columns(sql))
        sql = wrapped(sql)
    query = stager.source.wanted(sql, columns, numbers, each=bool(records))
    files = " and ".join(f"{service.id}/{file}" for file in service.facts[name].queries)
    return Wanted(files, query, chains(service, name))


def _shared(surveys: Mapping[str, Survey]) -> Shared:
    """Every month, place, institution and maker that occurs in a fact, sorted."""

    def union(name: str) -> tuple[str, ...]:
        return tuple(sorted({v for s in surveys.values() for v in s.shared.get(name, ())}))

    counties = union("geo_county")
    return Shared(
        tuple(sorted({month for survey in surveys.values() for month in survey.amounts})),
        counties,
        tuple(sorted({city_of(county) for county in counties})),
        union("fixmedins_code"),
        union("maker"),
    )


def check_totals(service: Service, surveys: Mapping[str, Survey]) -> None:
    """A fact that splits another's records (fee lines of settlements) must add up to it.

    A query that joins before it adds up repeats an amount once per line: then the parts exceed the
    whole, or the whole exceeds its parts manifold, and nothing is built.
    """
    main = [n for n in service.facts if n not in service.disclosure.side]
    whole = [n for n in main if not service.facts[n].requires_any]
    for part in (n for n in main if whole and service.facts[n].requires_any):
        for month in sorted({m for survey in surveys.values() for m in survey.amounts}):
            parts, total = (surveys[n].amount(month) for n in (part, whole[0]))
            if parts and not _LOST * total <= parts <= _INFLATED * total:
                raise ReleaseError(
                    "fact_totals",
                    f"{service.id}: the amounts of fact `{part}` are {parts / max(total, 1):.2f} "
                    f"times those of `{whole[0]}` in {month}: records are repeated "
                    "or lost (is something joined before it is added up?).",
                    f"{service.id}：事实{part}与{whole[0]}的金额不符，请检查是否先连接后汇总。",
                )
