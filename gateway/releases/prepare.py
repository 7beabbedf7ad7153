"""From a warehouse to one service's coded rows: run the facts, check them, code and cut them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from gateway.catalogue.load import Catalogue
from gateway.catalogue.model import Grain, Service
from gateway.releases.domains import Encoded, encode
from gateway.releases.facts import Coded, Shared, coded, columns_wanted, periods, shared_lists
from gateway.releases.manifest import ReleaseError
from gateway.releases.plan import Plan
from gateway.releases.records import read_records
from gateway.releases.seasons import seasons
from gateway.releases.shapes import fact_columns, fit, shapes
from gateway.releases.source import Atoms, Source

_INFLATED = 1.005
_LOST = 0.5


@dataclass(frozen=True)
class Prepared:
    """What to build of a service: the plan as a whole, without rows, and season by season.

    With it what the manifest says about how the rows came about.
    """

    plan: Plan
    seasons: Mapping[str, Plan]
    unmapped: Mapping[str, int]
    institutions: tuple[str, ...]


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
    source: Source,
    limits: Limits,
    *,
    sensitive: Mapping[str, frozenset[str]],
    grain: Grain,
) -> Prepared:
    """The rows of the service's lattice, in seasons as long as `grain`."""
    atoms = {name: _atoms(catalogue, service, source, name) for name in service.facts}
    encoded = encode(service, atoms, sensitive)
    shared = shared_lists(atoms)
    facts = {n: coded(service, n, atoms[n], encoded, shared) for n in service.facts}
    check_totals(service, facts, shared)
    del atoms
    plan = replace(
        _plan(service, facts, encoded, shared, limits),
        records=read_records(catalogue, service, source, sensitive),
    )
    whole = replace(plan, facts={}, records=None)
    return Prepared(whole, seasons(plan, grain), encoded.unmapped, shared.institutions)


def _plan(
    service: Service,
    facts: Mapping[str, Coded],
    encoded: Encoded,
    shared: Shared,
    limits: Limits,
) -> Plan:
    every = periods(shared.months, service.periods)
    every_shape = shapes(service, limits.max_dims)
    return Plan(
        service=service,
        domains=encoded.domains,
        shapes=every_shape,
        fits=tuple(fit(service, shape) for shape in every_shape),
        periods=every,
        counties=shared.counties,
        cities=shared.cities,
        n_institutions=len(shared.institutions) + 1,
        least=(limits.persons, limits.institutions, limits.exposure),
        facts=facts,
        calendar=every,
        numbers=tuple(range(len(every))),
    )


def _atoms(catalogue: Catalogue, service: Service, source: Source, name: str) -> Atoms:
    sums, records = columns_wanted(service, name)
    columns = fact_columns(service, service.facts[name])
    numbers = tuple(dict.fromkeys((*sums, *records)))
    return source.atoms(catalogue.fact_sql(service, name), columns, numbers, each=bool(records))


def check_totals(service: Service, facts: Mapping[str, Coded], shared: Shared) -> None:
    """A fact that splits another's records (fee lines of settlements) must add up to it.

    A query that joins before it adds up repeats an amount once per line: then the parts exceed the
    whole, or the whole exceeds its parts manifold, and nothing is built.
    """
    main = [n for n in service.facts if n not in service.disclosure.side]
    whole = [n for n in main if not service.facts[n].requires_any]
    for part in (n for n in main if service.facts[n].requires_any):
        for month in range(len(shared.months)):
            parts, total = (_amount(facts[n], month) for n in (part, whole[0]))
            if parts and not _LOST * total <= parts <= _INFLATED * total:
                raise ReleaseError(
                    "fact_totals",
                    f"{service.id}: the amounts of fact `{part}` are {parts / max(total, 1):.2f} "
                    f"times those of `{whole[0]}` in {shared.months[month]}: records are repeated "
                    "or lost (is something joined before it is added up?).",
                    f"{service.id}：事实{part}与{whole[0]}的金额不符，请检查是否先连接后汇总。",
                )


def _amount(fact: Coded, month: int) -> int:
    low, high = np.searchsorted(fact.months, [month, month + 1])
    scale = 10 ** fact.scales["magnitude"]
    return int(fact.rows.sums[1, low:high].sum() // scale)
