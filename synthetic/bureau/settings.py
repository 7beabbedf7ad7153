"""Parameters of the simulator, read from the versioned YAML files beside this module."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeAlias

import yaml

Size: TypeAlias = Literal["mini", "ci", "demo"]
Defects: TypeAlias = Literal["none", "light", "heavy"]
Document: TypeAlias = dict[str, Any]  # Any: YAML, typed where it is used

HERE = Path(__file__).parent
PERSONS: dict[str, int] = {"mini": 2_000, "ci": 20_000, "demo": 200_000}
PHARMACIES: dict[str, int] = {"mini": 30, "ci": 30, "demo": 90}
BLOCK = 5_000

ACTIVE, RETIRED, RESIDENT = 0, 1, 2
GROUPS = ("active", "retired", "resident")


@cache
def document(name: str) -> Document:
    """A parameter file by name."""
    loaded: Document = yaml.safe_load((HERE / f"{name}.yaml").read_text(encoding="utf-8"))
    return loaded


@dataclass(frozen=True)
class Run:
    """What one simulation is asked to do."""

    size: Size
    seed: int
    defects: Defects = "none"

    @property
    def persons(self) -> int:
        return PERSONS[self.size]

    @property
    def blocks(self) -> tuple[tuple[int, int], ...]:
        """Person ranges, each simulated on its own."""
        return tuple(
            (start, min(start + BLOCK, self.persons)) for start in range(0, self.persons, BLOCK)
        )
