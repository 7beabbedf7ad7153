"""Parameters of the simulator, read from the versioned YAML files beside this module."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeAlias

import yaml

Size: TypeAlias = Literal["mini", "ci", "demo", "province"]
Defects: TypeAlias = Literal["none", "light", "heavy"]
Document: TypeAlias = dict[str, Any]  # Any: YAML, typed where it is used

HERE = Path(__file__).parent
PERSONS: dict[str, int] = {"mini": 2_000, "ci": 20_000, "demo": 200_000, "province": 2_000_000}
PHARMACIES: dict[str, int] = {"mini": 30, "ci": 30, "demo": 90, "province": 900}
BLOCK = 5_000
COHORT = 200_000

ACTIVE, RETIRED, RESIDENT = 0, 1, 2
GROUPS = ("active", "retired", "resident")


@cache
def document(name: str) -> Document:
    """A parameter file by name."""
    loaded: Document = yaml.load(
        (HERE / f"{name}.yaml").read_text(encoding="utf-8"), Loader=yaml.CSafeLoader
    )
    return loaded


@dataclass(frozen=True)
class Run:
    """What one simulation is asked to do, for one cohort of its persons.

    A cohort is drawn and held as a whole, its blocks one after the other; cohorts share the places
    and the catalogues alone, so memory does not grow with their number.
    """

    size: Size
    seed: int
    defects: Defects = "none"
    cohort: int = 0

    @property
    def cohorts(self) -> tuple[Run, ...]:
        """This run, cohort by cohort."""
        many = -(-PERSONS[self.size] // COHORT)
        return tuple(replace(self, cohort=number) for number in range(many))

    @property
    def before(self) -> int:
        """How many persons belong to earlier cohorts."""
        return self.cohort * COHORT

    @property
    def persons(self) -> int:
        """How many persons the cohort has; they are counted from 0."""
        return min(COHORT, PERSONS[self.size] - self.before)

    @property
    def blocks(self) -> range:
        """Numbers of the cohort's blocks, each simulated on its own; all cohorts' run on."""
        first = self.before // BLOCK
        return range(first, first - (-self.persons // BLOCK))

    def part(self, block: int) -> tuple[int, int]:
        """First person of a block, and the one after its last."""
        first = block * BLOCK - self.before
        return first, min(first + BLOCK, self.persons)
