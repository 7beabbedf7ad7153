"""Protect the tables of all services together, one profile after the other, weakest first.

A stricter profile starts from what a weaker one hid, so the published sets nest and two consumers
who compare their tables learn no more than the one with the weaker profile.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TypeAlias

import numpy as np

from gateway.catalogue.model import Link as Linked
from gateway.releases.across import Nest, labelled, nests, rests_of
from gateway.releases.blocks import Block
from gateway.releases.kernel import Bools, Ints, mixed, unmixed
from gateway.releases.manifest import ReleaseError
from gateway.releases.sdc import Job, Link, Profile, guard_persons, protect_linked
from gateway.releases.sdc.lattice import Flags, Lattice
from gateway.releases.table import Table, facts_of, hits, lattice_of

Merged: TypeAlias = Mapping[str, object]
_STRICTNESS = ("k_person", "min_institutions", "min_exposure", "min_manufacturers", "count_round")


@dataclass(frozen=True)
class Protected:
    """What one profile publishes of a table: a flag per cell, and persons withheld besides."""

    flags: Flags
    withheld: Bools


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
        flags = protect_linked(jobs, links_of(tables, services))
        for service, own in zip(services, flags, strict=True):
            hidden[service] = own != 0
            table = tables[service]
            if table.plan.service.disclosure.person_measure is not None:
                withheld[service] = guard_persons(
                    lattices[service],
                    table.whole("persons"),
                    own,
                    rules,
                    rounded(service, key),
                    withheld=withheld[service],
                )
            found[service, key] = Protected(own, withheld[service])
    for nest in nests({service: table.plan.service for service, table in tables.items()}):
        if {nest.outer, nest.inner} <= tables.keys():
            _guard_nest(nest, tables, lattices, found, _Limits(profiles, rounded))
    return found


@dataclass(frozen=True)
class _Limits:
    """The merged profiles by service and key, and person counts as each would round them."""

    profiles: Mapping[str, Mapping[str, Merged]]
    rounded: Callable[[str, str], Ints]

    def k(self, service: str, key: str) -> int:
        return Profile.of(self.profiles[service][key]).k


def _guard_nest(
    nest: Nest,
    tables: Mapping[str, Table],
    lattices: Mapping[str, Lattice],
    found: dict[tuple[str, str], Protected],
    limits: _Limits,
) -> None:
    """Withhold, in place, inner person figures that leave a small rest of an outer one.

    Whatever the two profiles: consumers may pool what they were given. Rests are looked for in the
    true counts and in the rounded ones, like those inside one table.
    """
    pair = (nest.outer, nest.inner)
    services = {name: tables[name].plan.service for name in pair}
    outer, inner = (labelled(tables[name], lattices[name]) for name in pair)
    true = [tables[name].whole("persons") for name in pair]
    for key, other in product(limits.profiles[nest.inner], limits.profiles[nest.outer]):
        keys = ((nest.outer, other), (nest.inner, key))
        shown = [(found[at].flags == 0) & ~found[at].withheld for at in keys]
        least = max(limits.k(*at) for at in keys)
        hide = found[nest.inner, key].withheld.copy()
        for counts in (true, [limits.rounded(*at) for at in keys]):
            figures = list(zip(counts, shown, strict=True))
            hide[rests_of(nest, services, (outer, inner), figures, least).inner] = True
        found[nest.inner, key] = Protected(found[nest.inner, key].flags, hide)


def links_of(tables: Mapping[str, Table], services: Sequence[str]) -> list[Link]:
    """Cells of different services that count the same records; their records must agree."""
    found = []
    for left, service in enumerate(services):
        for linked in tables[service].plan.service.disclosure.linked:
            if linked.service in services:
                right = services.index(linked.service)
                pairs = _pairs(tables[service], tables[linked.service], linked)
                _agree(tables[service], tables[linked.service], pairs)
                found.append(Link(left, right, pairs))
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


def _pairs(left: Table, right: Table, linked: Linked) -> Ints:
    """Places of linked cells, one row per pair."""
    index = {
        (right.plan.shapes[b.shape].columns, _level(right, b)): i
        for i, b in enumerate(right.blocks)
    }
    pairs = [np.zeros((0, 2), np.int64)]
    for i, block in enumerate(left.blocks):
        columns = left.plan.shapes[block.shape].columns
        if not set(columns) <= set(linked.dims):
            continue
        wanted = {linked.dims[c]: c for c in columns} | dict.fromkeys(linked.where, "")
        order = tuple(c for c in right.plan.domains if c in wanted)
        there = index.get((order, _level(left, block)))
        if there is not None:
            sources = [wanted[c] for c in order]
            sides = (_Side(left, i), _Side(right, there))
            pairs.append(_matched(sides, order, sources, linked.where))
    return np.concatenate(pairs)


def _level(table: Table, block: Block) -> str:
    return table.plan.service.geo[block.level].level


@dataclass(frozen=True)
class _Side:
    """One block of one of two linked tables."""

    table: Table
    number: int

    @property
    def block(self) -> Block:
        return self.table.blocks[self.number]

    @property
    def offset(self) -> int:
        return int(self.table.offset[self.number])


def _matched(
    sides: tuple[_Side, _Side],
    order: Sequence[str],
    sources: Sequence[str],
    where: Mapping[str, str],
) -> Ints:
    """Cells of the left block with the right block's cell of the same records."""
    left, right = sides
    mine, theirs = left.block, right.block
    parts = [_periods(left, right), _places(left, right)]
    for column, source in zip(order, sources, strict=True):
        values = right.table.plan.domains[column].values
        if source:
            parts.append(_translated(left, source, values))
        else:
            parts.append(np.full(len(mine), values.index(where[column]), np.int64))
    plan = right.table.plan
    places = plan.places(plan.service.geo[theirs.level])
    code = mixed(parts, [1, places, *plan.sizes(order)], len(mine))
    keys = plan.keys(theirs)
    place = np.minimum(np.searchsorted(keys, code), len(keys) - 1)
    same = np.logical_and.reduce([keys[place] == code, *(part >= 0 for part in parts)])
    return np.stack([left.offset + np.flatnonzero(same), right.offset + place[same]], axis=1)


def _translated(side: _Side, column: str, values: Sequence[str]) -> Ints:
    """The block's codes of a column as places in another list; -1 where that lacks the value."""
    plan = side.table.plan
    columns = plan.shapes[side.block.shape].columns
    digits = unmixed(side.block.code, plan.sizes(columns))[1:][columns.index(column)]
    known = plan.domains[column]
    table = [values.index(v) if v in values else -1 for v in known.values]
    return np.array([*table, *[-1] * known.unmapped], np.int64)[digits]


def _places(left: _Side, right: _Side) -> Ints:
    city = _level(left.table, left.block) == "city"
    mine = left.table.plan.cities if city else left.table.plan.counties
    theirs = right.table.plan.cities if city else right.table.plan.counties
    table = [theirs.index(place) if place in theirs else -1 for place in mine]
    return np.array(table, np.int64)[left.block.geo]


def _periods(left: _Side, right: _Side) -> Ints:
    theirs = {(p.grain, p.label): i for i, p in enumerate(right.table.plan.periods)}
    table = [theirs.get((p.grain, p.label), -1) for p in left.table.plan.periods]
    return np.array(table, np.int64)[left.block.period]
