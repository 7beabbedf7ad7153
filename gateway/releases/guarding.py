"""Withhold person figures that, added to and subtracted from others, leave a small count.

After the patterns are found, a cell's person figure may still give one away together with those of
one or two other cells, of its own service or of one whose persons nest. Then a figure is withheld;
the other measures of the cell stay.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from typing import TypeAlias

import numpy as np

from gateway.releases.across import Labelled, Nest, Side, labelled, nests, rests_inside, rests_of
from gateway.releases.kernel import Bools, Ints
from gateway.releases.sdc import Lattice, Profile
from gateway.releases.sdc.combined import Rests
from gateway.releases.sdc.cover import cover, smaller
from gateway.releases.sdc.lattice import Flags
from gateway.releases.sdc.problem import Problem
from gateway.releases.sdc.territory import connect
from gateway.releases.table import Table

Merged: TypeAlias = Mapping[str, object]
At: TypeAlias = tuple[str, str]
"""A service and the key of one of its profiles."""


@dataclass(frozen=True)
class Protected:
    """What one profile publishes of a table: a flag per cell, and persons withheld besides."""

    flags: Flags
    withheld: Bools


@dataclass(frozen=True)
class Guard:
    """Withholds figures, in `found`, until no combination of up to three is small."""

    tables: Mapping[str, Table]
    lattices: Mapping[str, Lattice]
    profiles: Mapping[str, Mapping[str, Merged]]
    rounded: Callable[[str, str], Ints]
    problems: Mapping[str, Problem]
    found: dict[At, Protected]
    _labels: dict[str, Ints] = field(default_factory=dict)

    def run(self) -> None:
        """First inside each service, then between services: whatever the two profiles.

        Consumers may pool what they were given.
        """
        services = {name: table.plan.service for name, table in self.tables.items()}
        for name, service in services.items():
            if service.disclosure.person_measure is not None:
                for key in self.profiles[name]:
                    self._inside((name, key))
        for nest in nests(services):
            if {nest.outer, nest.inner} <= self.tables.keys():
                outers, inners = self.profiles[nest.outer], self.profiles[nest.inner]
                for key, other in product(inners, outers):
                    self._across(nest, (nest.outer, other), (nest.inner, key))

    @cached_property
    def _words(self) -> Mapping[str, Labelled]:
        return {name: labelled(table, self.lattices[name]) for name, table in self.tables.items()}

    def _side(self, at: At) -> Side:
        name, _ = at
        table = self.tables[name]
        shown = (self.found[at].flags == 0) & ~self.found[at].withheld & counted(table)
        known = np.zeros(shown.size, np.bool_)
        known[self._alike(name)[shown]] = True
        persons = table.whole("persons")
        return Side(self._words[name], persons, known[self._alike(name)], self.rounded(*at))

    def _k(self, at: At) -> int:
        service, key = at
        return Profile.of(self.profiles[service][key]).k

    def _inside(self, at: At) -> None:
        side = self._side(at)
        found = rests_inside(side, self._k(at))
        self._withhold(at, side, smaller(found.members, side.persons))

    def _across(self, nest: Nest, outer: At, inner: At) -> None:
        """The figure withheld is the inner one: fewer persons, and the outer keeps its margins."""
        services = {name: table.plan.service for name, table in self.tables.items()}
        sides = self._side(outer), self._side(inner)
        k = max(self._k(outer), self._k(inner))
        found = rests_of(nest, services, *sides, k)
        self._withhold(inner, sides[1], _inner_of(found, *sides))

    def _alike(self, name: str) -> Ints:
        """A label per cell, the same where cells hold the same records: one is the only child."""
        if name not in self._labels:
            problem = self.problems[name]
            only = np.flatnonzero(problem.sizes == 1)
            pairs = (problem.parent[only], problem.edge_child[problem.starts[only]])
            member, group = np.concatenate(pairs), np.tile(np.arange(only.size), 2)
            self._labels[name] = connect(member, group, problem.persons.size, only.size)
        return self._labels[name]

    def _withhold(self, at: At, side: Side, members: Ints) -> None:
        """One figure of each combination, and with it those of cells that hold the same records."""
        label, index = self._alike(at[0]), side.table.lattice.index
        place = np.empty(len(side.persons), np.int64)
        place[index.order] = np.arange(place.size)
        chosen = np.zeros(place.size, np.bool_)
        cover(np.where(members >= 0, label[members], -1), chosen, side.persons, place)
        hide = chosen[label]
        for key in self.profiles[at[0]]:  # withheld from one, withheld from all: they may pool
            flags, before = self.found[at[0], key].flags, self.found[at[0], key].withheld
            self.found[at[0], key] = Protected(flags, hide | before)


def counted(table: Table) -> Bools:
    """Cells that have a person figure by contract: those of fees, for one, have not."""
    plan = table.plan
    name = plan.service.disclosure.person_measure
    each = [name in plan.fits[block.shape].measures for block in table.blocks]
    return np.repeat(np.array(each, np.bool_), [len(block) for block in table.blocks])


def _inner_of(found: Rests, outer: Side, inner: Side) -> Ints:
    """The inner cells of each combination; of several, all but the one of most persons."""
    members = np.maximum(found.members - len(outer.persons), -1)
    fewer = smaller(members, inner.persons)
    several = (members >= 0).sum(axis=1) > 1
    return np.where(several[:, None], fewer, members)
