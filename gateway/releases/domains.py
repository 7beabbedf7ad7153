"""Closed lists of the lattice's axes: which codes a dim has, and what each rolls up to.

A record whose code is in no list must still be in every total, so it gets a code of its own below
its coarser value: *unmapped*. Unmapped cells are protected like their sisters and never published;
were they left out, a total less its children would show exactly those records.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gateway.catalogue.model import Dim, Service
from gateway.errors import OperatorError
from gateway.releases.kernel import Ints, narrow
from gateway.releases.shapes import coarser, dims_by_column, fact_columns
from gateway.releases.source import Atoms, Words
from synthetic.warehouse.codes import code_list

OTHER = "other"
SENSITIVE = "sensitive_other"


@dataclass(frozen=True)
class Domain:
    """The codes of one fact column: the published values in canonical order, then the unmapped.

    `parents` gives each code's place in the coarser column's domain (all 0 without one).
    """

    column: str
    values: tuple[str, ...]
    coarser: str | None
    parents: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.parents)

    @property
    def unmapped(self) -> int:
        """How many codes follow the published ones."""
        return len(self.parents) - len(self.values)


@dataclass(frozen=True)
class Encoded:
    """Every column of every fact as codes, the domains they refer to, and what was unmapped."""

    domains: Mapping[str, Domain]
    codes: Mapping[tuple[str, str], Ints]
    unmapped: Mapping[str, int]


def listed(dim: Dim, column: str) -> dict[str, str]:
    """The closed list of a column, each value with its parent's where the list says it."""
    if dim.values:
        return dict.fromkeys(dim.values, "")
    if column in dim.lists:
        return {entry.code: entry.parent for entry in dim.lists[column]}
    name = dim.list_of(column)
    try:
        return {entry.code: entry.parent for entry in code_list(name)}
    except KeyError as error:
        raise OperatorError(
            "code_list_unknown",
            f"Dim {dim.name}: there is no code list {name}; put codes_{name}.csv beside the "
            "contract, or name one in `code_list`.",
            f"维度{dim.name}：没有代码表{name}。",
        ) from error


def recoded(values: Mapping[str, str], hidden: frozenset[str]) -> tuple[dict[str, str], list[str]]:
    """Where each hidden code of a list goes (`sensitive_other.<chapter>`), and the list without."""
    moved = {v: f"{SENSITIVE}.{parent}" for v, parent in values.items() if v in hidden}
    kept = [v for v in values if v not in moved]
    return moved, [*kept, *sorted(set(moved.values()))]


def encode(
    service: Service, atoms: Mapping[str, Atoms], sensitive: Mapping[str, frozenset[str]]
) -> Encoded:
    """Code every lattice column of the facts; `sensitive` names codes to roll up, by column."""
    domains: dict[str, Domain] = {}
    codes: dict[tuple[str, str], Ints] = {}
    unmapped = {}
    for column, dim in dims_by_column(service).items():
        facts = [f for f in atoms if column in fact_columns(service, service.facts[f])]
        up = coarser(service, column)
        known = listed(dim, column)
        moved, values = recoded(known, sensitive.get(column, frozenset()))
        places = {f: _places(atoms[f].words[column], values, moved) for f in facts}
        above = {f: _above(codes, f, up, len(places[f])) for f in facts}
        parents = _parents(values, known, domains[up] if up else None, places, above)
        nested, slots = _nested(places, above, parents)
        domains[column] = Domain(column, tuple(values), up, (*parents, *slots))
        codes |= {(f, column): narrow(nested[f]) for f in facts}
        lost = sum(int((nested[f] >= len(values)).sum()) for f in facts)
        if lost:
            unmapped[column] = lost
    return Encoded(domains, codes, unmapped)


def _places(words: Words, values: Sequence[str], moved: Mapping[str, str]) -> Ints:
    place = {value: i for i, value in enumerate(values)}
    other = place.get(OTHER, -1)
    table = [place.get(moved.get(word, word), other) for word in words.values]
    return np.array([*table, other], np.int64)[words.codes]


def _above(codes: Mapping[tuple[str, str], Ints], fact: str, up: str | None, rows: int) -> Ints:
    if up is None:
        return np.zeros(rows, np.int64)
    if (fact, up) not in codes:
        raise OperatorError("fact_columns", f"Fact {fact} has a level but not its coarser {up}.")
    return codes[fact, up]


def _parents(
    values: Sequence[str],
    known: Mapping[str, str],
    coarse: Domain | None,
    places: Mapping[str, Ints],
    above: Mapping[str, Ints],
) -> list[int]:
    """The coarser code of each value: as the list says, else where most records have it."""
    if coarse is None:
        return [0] * len(values)
    place = {value: i for i, value in enumerate(coarse.values)}
    votes = np.zeros((len(values), len(coarse)), np.int64)
    for fact, column in places.items():
        held = column >= 0
        np.add.at(votes, (column[held], above[fact][held]), 1)
    return [place.get(known.get(v, ""), int(votes[i].argmax())) for i, v in enumerate(values)]


def _nested(
    places: Mapping[str, Ints], above: Mapping[str, Ints], parents: Sequence[int]
) -> tuple[dict[str, Ints], list[int]]:
    """Codes that agree with the coarser column; where they do not, unmapped below the latter."""
    table = np.array([*parents, -1], np.int64)
    stray = {f: table[places[f]] != above[f] for f in places}
    slots = sorted({int(code) for f in places for code in np.unique(above[f][stray[f]])})
    slot = np.zeros(max([*slots, 0]) + 1, np.int64)
    slot[slots] = np.arange(len(slots)) + len(parents)
    codes = {}
    for fact, place in places.items():
        codes[fact] = place.copy()
        codes[fact][stray[fact]] = slot[above[fact][stray[fact]]]
    return codes, slots
