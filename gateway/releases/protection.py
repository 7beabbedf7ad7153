"""Protect the tables of all services together, one profile after the other, weakest first.

A stricter profile starts from what a weaker one hid, so the published sets nest and two consumers
who compare their tables learn no more than the one with the weaker profile.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from gateway.releases.guarding import Guard, Merged, Protected, counted
from gateway.releases.kernel import Ints
from gateway.releases.manifest import ReleaseError
from gateway.releases.matching import pairs_of, pairs_of_parts
from gateway.releases.overlapping import contents_of
from gateway.releases.sdc import (
    COMPLEMENTARY,
    Job,
    Link,
    Profile,
    Union,
    guard_persons,
    protect_linked,
)
from gateway.releases.sdc.problem import figures
from gateway.releases.table import Table, facts_of, hits, lattice_of

_STRICTNESS = ("k_person", "min_institutions", "min_exposure", "min_manufacturers", "count_round")


def weakest_first(profiles: Mapping[str, Merged]) -> list[str]:
    """Profile keys in the order in which they are applied."""

    def strictness(key: str) -> tuple[float, ...]:
        limits = profiles[key]
        return tuple(float(str(limits.get(field, 0))) for field in _STRICTNESS)

    return sorted(profiles, key=lambda key: (strictness(key), key))


def protect_all(
    tables: Mapping[str, Table],
    profiles: Mapping[str, Mapping[str, Merged]],
    banned: Callable[[str, str], Mapping[str, Sequence[int]]],
    rounded: Callable[[str, str], Ints],
) -> dict[tuple[str, str], Protected]:
    """For each service and profile key, what is published.

    `profiles[service]` are its merged profiles by key; `banned` gives the codes a profile never
    shows of a service, by column; `rounded` the person counts as the profile would round them.
    """
    every = {key: merged for of in profiles.values() for key, merged in of.items()}
    lattices = {service: lattice_of(table) for service, table in tables.items()}
    hidden = {service: np.zeros(len(table), np.bool_) for service, table in tables.items()}
    withheld = {service: np.zeros(len(table), np.bool_) for service, table in tables.items()}
    problems = {
        service: figures(lattices[service], table.whole("persons"), _rules(profiles[service]))
        for service, table in tables.items()
        if table.plan.service.disclosure.person_measure is not None
    }
    found: dict[tuple[str, str], Protected] = {}
    for key in weakest_first(every):
        services = [service for service in tables if key in profiles[service]]
        rules = Profile.of(every[key])
        jobs = [
            Job(
                lattices[service],
                facts_of(tables[service], hits(tables[service], banned(service, key))),
                rules,
                hidden[service],
            )
            for service in services
        ]
        flags = protect_linked(
            jobs,
            links_of(tables, services),
            unions_of(tables, services),
            contents_of(tables, services, rules.k),
        )
        for service, own in zip(services, flags, strict=True):
            hidden[service] = own != 0
            table = tables[service]
            if service in problems:
                withheld[service] = guard_persons(
                    lattices[service],
                    table.whole("persons"),
                    np.where(counted(table), own, COMPLEMENTARY).astype(np.uint8),
                    rules,
                    rounded(service, key),
                    withheld=withheld[service],
                    problem=problems[service],
                )
            found[service, key] = Protected(own, withheld[service])
    Guard(tables, lattices, profiles, rounded, problems, found).run()
    return found


def _rules(profiles: Mapping[str, Merged]) -> Profile:
    """Any of them: which figures add up to which depends on none."""
    return Profile.of(next(iter(profiles.values())))


def links_of(tables: Mapping[str, Table], services: Sequence[str]) -> list[Link]:
    """Cells of different services that count the same records; their records must agree."""
    found = []
    for left, service in enumerate(services):
        for linked in tables[service].plan.service.disclosure.linked:
            if linked.service in services:
                right = services.index(linked.service)
                pairs = pairs_of(tables[service], tables[linked.service], linked)
                _agree(tables[service], tables[linked.service], pairs)
                found.append(Link(left, right, pairs))
    return found


def unions_of(tables: Mapping[str, Table], services: Sequence[str]) -> list[Union]:
    """Cells of a service that are unions of another's, which has finer values of a dim.

    A cell of ten years' stays is the sum of two cells of five years in the other service: the one
    must not show what the other hides.
    """
    found = []
    for left, service in enumerate(services):
        for linked in tables[service].plan.service.disclosure.linked:
            if linked.service in services and linked.parts:
                right = services.index(linked.service)
                pairs = pairs_of_parts(tables[service], tables[linked.service], linked)
                found.append(Union(left, right, pairs))
    return found


def _agree(left: Table, right: Table, pairs: Ints) -> None:
    """Two services that count the same records must find the same persons and amounts.

    A fact that joins before it adds up (a settlement once per fee line) fails here.
    """
    for name in ("persons", "magnitude"):
        if not np.array_equal(left.whole(name)[pairs[:, 0]], right.whole(name)[pairs[:, 1]]):
            one, other = left.plan.service.id, right.plan.service.id
            raise ReleaseError(
                "linked_disagree",
                f"{one} and {other} count the same records but differ in {name}: one of their "
                "facts repeats or loses records (is something joined before it is added up?).",
                f"{one}与{other}统计相同记录而结果不同，请检查事实查询是否先连接后汇总。",
            )
