"""Closed lists of the lattice's axes: which codes a dim has, and what each rolls up to.

A record whose code is in no list must still be in every total, so it gets a code of its own below
its coarser value: *unmapped*. Unmapped cells are protected like their sisters and never published;
were they left out, a total less its children would show exactly those records.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.catalogue.model import Dim
from gateway.errors import OperatorError
from gateway.releases.kernel import Ints
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
    """Every column of every fact as codes, and the domains they refer to."""

    domains: Mapping[str, Domain]
    codes: Mapping[tuple[str, str], Ints]


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
