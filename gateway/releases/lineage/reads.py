"""What a value rests on: columns of the warehouse, how each acts on it, and by what way.

The words are OpenLineage's. DIRECT: the value is made of the column's values. INDIRECT: the column
decides which rows there are, how they are grouped or joined, or which of several values is taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple, TypeAlias


class Act(StrEnum):
    """How a column acts on a value."""

    IDENTITY = "IDENTITY"
    TRANSFORMATION = "TRANSFORMATION"
    AGGREGATION = "AGGREGATION"
    CONDITIONAL = "CONDITIONAL"
    FILTER = "FILTER"
    JOIN = "JOIN"
    GROUP_BY = "GROUP_BY"
    SORT = "SORT"
    WINDOW = "WINDOW"

    @property
    def direct(self) -> bool:
        """Whether the value is made of the column's values."""
        return self in _STRENGTH


_STRENGTH: Final = {Act.IDENTITY: 0, Act.TRANSFORMATION: 1, Act.AGGREGATION: 2}


class Origin(NamedTuple):
    """A column of the warehouse and how it acts."""

    table: str
    column: str
    act: Act


Path: TypeAlias = tuple[str, ...]
"""The places a column passes through, from the warehouse on."""


@dataclass(frozen=True)
class Reads:
    """Everything a value rests on, each with one of the shortest paths by which it gets there."""

    paths: Mapping[Origin, Path]

    @classmethod
    def of(cls, table: str, column: str) -> Reads:
        """A column as it stands in the warehouse."""
        return cls({Origin(table, column, Act.IDENTITY): (f"{table}.{column}",)})

    @property
    def columns(self) -> frozenset[tuple[str, str]]:
        """The columns of the warehouse, however they act."""
        return frozenset((one.table, one.column) for one in self.paths)

    @property
    def direct(self) -> frozenset[tuple[str, str]]:
        """Those whose values the value is made of."""
        return frozenset((one.table, one.column) for one in self.paths if one.act.direct)

    def acting(self, act: Act, *places: str) -> Reads:
        """The same, used once more: what acted indirectly acts so to the end, unless the last
        use is indirect too, which is then how it reaches the value."""
        found: dict[Origin, Path] = {}
        for origin, path in self.paths.items():
            one = origin._replace(act=_after(origin.act, act))
            _shortest(found, one, (*path, *places))
        return Reads(found)

    def at(self, place: str) -> Reads:
        """The same, passed on under a name."""
        return Reads({origin: (*path, place) for origin, path in self.paths.items()})


NOTHING: Final = Reads({})


def together(parts: Iterable[Reads]) -> Reads:
    """What a value rests on that is made of several."""
    found: dict[Origin, Path] = {}
    for part in parts:
        for origin, path in part.paths.items():
            _shortest(found, origin, path)
    return Reads(found)


def _after(before: Act, then: Act) -> Act:
    if not then.direct:
        return then
    if not before.direct:
        return before
    return max(before, then, key=_STRENGTH.__getitem__)


def _shortest(found: dict[Origin, Path], origin: Origin, path: Path) -> None:
    held = found.get(origin)
    if held is None or (len(path), path) < (len(held), held):
        found[origin] = path
