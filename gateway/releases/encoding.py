"""From words to codes: the closed lists found by a survey of all rows, the rows season by season.

The survey says how often each word occurs below each coarser one; that settles what a value rolls
up to and which records are in no list, before a single season's rows are read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gateway.catalogue.model import Service
from gateway.errors import OperatorError
from gateway.releases.domains import OTHER, Domain, Encoded, listed, recoded
from gateway.releases.engine.survey import Counted, Survey, chain
from gateway.releases.kernel import Ints, narrow
from gateway.releases.shapes import coarser, dims_by_column, fact_columns
from gateway.releases.source import Atoms, Words

Hidden = Mapping[str, frozenset[str]]  # codes that are counted as their chapter's, by column


@dataclass(frozen=True)
class Lists:
    """The closed list of every column, and how many records are in none, by column."""

    domains: Mapping[str, Domain]
    unmapped: Mapping[str, int]


def lists(service: Service, surveys: Mapping[str, Survey], hidden: Hidden) -> Lists:
    """Settle the closed lists by what the facts hold."""
    domains: dict[str, Domain] = {}
    unmapped = {}
    for column, dim in dims_by_column(service).items():
        up = coarser(service, column)
        if up is not None and up not in domains:
            raise OperatorError(
                "catalogue_dim", f"{service.id}: {column} stands before its coarser {up}."
            )
        known = listed(dim, column)
        moved, values = recoded(known, hidden.get(column, frozenset()))
        held = [
            _Held(
                _places(survey.columns[column].words[-1], values, moved),
                _above_of(service, column, survey.columns[column], domains, hidden),
                survey.columns[column].rows,
            )
            for fact, survey in surveys.items()
            if column in fact_columns(service, service.facts[fact])
        ]
        parents = _parents(values, known, domains[up] if up else None, held)
        slots, lost = _strays(parents, len(values), held)
        domains[column] = Domain(column, tuple(values), up, (*parents, *slots))
        if lost:
            unmapped[column] = lost
    return Lists(domains, unmapped)


def encode(
    service: Service, atoms: Mapping[str, Atoms], domains: Mapping[str, Domain], hidden: Hidden
) -> Encoded:
    """Code every lattice column of some rows of the facts."""
    codes: dict[tuple[str, str], Ints] = {}
    for column, domain in domains.items():
        for fact, rows in atoms.items():
            if column in fact_columns(service, service.facts[fact]):
                above = _above(codes, fact, domain.coarser, rows.rows)
                place = _placed(service, rows.words[column], domain, hidden)
                codes[fact, column] = narrow(_nested(domain, place, above))
    return Encoded(domains, codes)


@dataclass(frozen=True)
class _Held:
    """What a fact holds of a column: each word's place, its coarser code, and in how many rows."""

    place: Ints
    above: Ints
    rows: Ints


def _above_of(
    service: Service, column: str, counted: Counted, domains: Mapping[str, Domain], hidden: Hidden
) -> Ints:
    """The coarser code of each combination, found from the coarsest down."""
    above = np.zeros(len(counted.rows), np.int64)
    names = chain(service, column)
    for name, words in zip(names[:-1], counted.words[:-1], strict=True):
        domain = domains[name]
        above = _nested(domain, _placed(service, words, domain, hidden), above)
    return above


def _placed(service: Service, words: Words, domain: Domain, hidden: Hidden) -> Ints:
    column = domain.column
    known = listed(dims_by_column(service)[column], column)
    moved, _ = recoded(known, hidden.get(column, frozenset()))
    return _places(words, domain.values, moved)


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
    values: Sequence[str], known: Mapping[str, str], coarse: Domain | None, held: Sequence[_Held]
) -> list[int]:
    """The coarser code of each value: as the list says, else where most records have it."""
    if coarse is None:
        return [0] * len(values)
    place = {value: i for i, value in enumerate(coarse.values)}
    votes = np.zeros((len(values), len(coarse)), np.int64)
    for one in held:
        listed_ = one.place >= 0
        np.add.at(votes, (one.place[listed_], one.above[listed_]), one.rows[listed_])
    return [place.get(known.get(v, ""), int(votes[i].argmax())) for i, v in enumerate(values)]


def _strays(parents: Sequence[int], listed_: int, held: Sequence[_Held]) -> tuple[list[int], int]:
    """The coarser codes that have records in no list below them, and how many records these are."""
    table = np.array([*parents, -1], np.int64)
    slots: set[int] = set()
    lost = 0
    for one in held:
        stray = table[one.place] != one.above
        slots |= {int(code) for code in np.unique(one.above[stray])}
        lost += int(one.rows[stray].sum())
    return sorted(slots), lost


def _nested(domain: Domain, place: Ints, above: Ints) -> Ints:
    """Codes that agree with the coarser column; where they do not, unmapped below the latter."""
    listed_ = len(domain.values)
    table = np.array([*domain.parents[:listed_], -1], np.int64)
    slots = domain.parents[listed_:]
    slot = np.zeros(max([*slots, 0]) + 1, np.int64)
    slot[list(slots)] = np.arange(len(slots)) + listed_
    stray = table[place] != above
    codes = place.copy()
    codes[stray] = slot[above[stray]]
    return codes
