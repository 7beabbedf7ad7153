"""The cohort index of a release: sorted arrays on disk, mapped into memory and only read.

Persons are numbers without any identifier; of each list of codes there are, code by code, the
persons and days of its events. It is built from the warehouse when a release is, kept with it, and
never leaves: what is told of it are bands.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import orjson

HEAD: Final = "cohort.json"
FORMAT: Final = 1
Ints: TypeAlias = npt.NDArray[np.int64]
Array: TypeAlias = npt.NDArray[Any]


@dataclass(frozen=True)
class Events:
    """Dated events of persons, in no particular order: day, city and age group are codes."""

    person: Array
    day: Array
    geo: Array
    age10: Array


@dataclass(frozen=True)
class EventsByCode:
    """One list: events sorted by code, person and day. `offset[i]` is where code `i` begins;
    `above` says which of these codes a code of a coarser list stands for."""

    codes: tuple[str, ...]
    offset: Array
    events: Events

    def of(self, numbers: Iterable[int]) -> Events:
        """The events of some codes."""
        spans = [slice(int(self.offset[n]), int(self.offset[n + 1])) for n in sorted(set(numbers))]
        parts = (self.events.person, self.events.day, self.events.geo, self.events.age10)
        return Events(*(np.concatenate([part[:0], *(part[s] for s in spans)]) for part in parts))


@dataclass(frozen=True)
class Insured:
    """Months of unbroken enrolment, sorted by person: first and last month of each stretch."""

    person: Array
    first: Array
    last: Array

    def around(self, person: Array, month: Ints) -> tuple[Ints, Ints]:
        """How many months each was insured directly before and after a month; -1 where that month
        itself is not insured."""
        keys = self.person.astype(np.int64) << 20 | self.first.astype(np.int64)
        at = np.searchsorted(keys, person.astype(np.int64) << 20 | month, side="right") - 1
        at = np.maximum(at, 0)
        if not len(keys):
            nothing = np.full(len(person), -1, np.int64)
            return nothing, nothing
        first, last = self.first[at].astype(np.int64), self.last[at].astype(np.int64)
        inside = (self.person[at] == person) & (first <= month) & (month <= last)
        return np.where(inside, month - first, -1), np.where(inside, last - month, -1)


@dataclass(frozen=True)
class CohortIndex:
    """All that questions are counted on."""

    persons: int
    geo: tuple[str, ...]
    ages: tuple[str, ...]
    sexes: tuple[str, ...]
    years: tuple[str, ...]
    gend: Array
    insured: Insured
    lists: Mapping[str, EventsByCode]
    standing_for: Mapping[str, tuple[str, Mapping[str, Sequence[int]]]]
    """By every list that can be asked by: the list its events lie in, and what each code means."""

    def unlisted(self, kind: str, codes: Iterable[str]) -> tuple[str, ...]:
        """Codes that the index does not have; all of them where there is no such list."""
        known = self.standing_for[kind][1] if kind in self.standing_for else {}
        return tuple(code for code in codes if code not in known)

    def events(self, kind: str, codes: Iterable[str]) -> Events:
        """The events of a set of codes; what is not listed has none."""
        nothing = next(iter(self.lists)), dict[str, Sequence[int]]()
        source, meaning = self.standing_for.get(kind, nothing)
        return self.lists[source].of(n for code in codes for n in meaning.get(code, ()))

    def domains(self) -> dict[str, tuple[str, ...]]:
        """The closed list of every kind of code."""
        return {name: tuple(meaning) for name, (_, meaning) in sorted(self.standing_for.items())}


_PARTS: Final = ("person", "day", "geo", "age10")


def _file(*names: str) -> str:
    return "-".join(("cohort", *names)) + ".npy"


def write_index(folder: Path, index: CohortIndex) -> None:
    """Write the index into the folder of a release."""
    head = {
        "format": FORMAT,
        "persons": index.persons,
        "geo": index.geo,
        "ages": index.ages,
        "sexes": index.sexes,
        "years": index.years,
        "lists": {name: one.codes for name, one in index.lists.items()},
        "standing_for": index.standing_for,
    }
    (folder / HEAD).write_bytes(orjson.dumps(head, option=orjson.OPT_SORT_KEYS))
    np.save(folder / _file("gend"), index.gend)
    for part in ("person", "first", "last"):
        np.save(folder / _file("insured", part), getattr(index.insured, part))
    for name, one in index.lists.items():
        np.save(folder / _file(name, "offset"), one.offset)
        for part in _PARTS:
            np.save(folder / _file(name, part), getattr(one.events, part))


def open_index(folder: Path) -> CohortIndex:
    """The index of a release, mapped: what is not asked about is not read."""
    head = orjson.loads((folder / HEAD).read_bytes())
    if head["format"] != FORMAT:
        raise ValueError("the index has another format")

    def mapped(*names: str) -> Array:
        found: Array = np.load(folder / _file(*names), mmap_mode="r", allow_pickle=False)
        return found

    lists = {
        name: EventsByCode(
            tuple(codes), mapped(name, "offset"), Events(*(mapped(name, part) for part in _PARTS))
        )
        for name, codes in head["lists"].items()
    }
    return CohortIndex(
        persons=head["persons"],
        geo=tuple(head["geo"]),
        ages=tuple(head["ages"]),
        sexes=tuple(head["sexes"]),
        years=tuple(head["years"]),
        gend=mapped("gend"),
        insured=Insured(*(mapped("insured", part) for part in ("person", "first", "last"))),
        lists=lists,
        standing_for={name: (of, meaning) for name, (of, meaning) in head["standing_for"].items()},
    )
