"""What the office knows besides the warehouse: audited samples and repairs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gateway.quality.audits import Audit, Audits
from gateway.quality.repairs import Register, Repairs, repairs
from synthetic.integrity.told import Told


@dataclass(frozen=True)
class Office:
    """The audits that came back, and what became of the faults of every appraised version."""

    audits: tuple[Audit, ...]
    repairs: Repairs

    @property
    def told(self) -> tuple[Told, ...]:
        """The figures of both, as releases take them."""
        audited = [one for a in self.audits if a.found is not None for one in a.found.told()]
        return (*audited, *self.repairs.told())


def read_office(home: Path, keys: Path) -> Office:
    """What this home holds; an edited audit is refused."""
    audits = tuple(one for one in Audits(home, keys).every() if one.found is not None)
    return Office(audits, repairs(Register(home).history()))
