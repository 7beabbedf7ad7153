"""The audited sample (SPEC §9.1): stays of a quarter coded a second time, and how many differ.

Which stays is decided by a secret of the house and their keys, so nobody chooses them, nobody can
foresee them, and drawing again gives the same. Rules alone; `audits` keeps what they find.
"""

from __future__ import annotations

import csv
import hashlib
import hmac
import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from typing import Final

from gateway.errors import OperatorError
from synthetic.integrity.auditing import FIELDS, Discharge, spelt
from synthetic.integrity.told import AUDITED, Told

SIZE: Final = 400
"""Stays audited in a quarter."""
_KEY, _CODER = "mdtrt_id", "coder"
HEADER: Final = (_KEY, *FIELDS, _CODER)


@dataclass(frozen=True)
class Interval:
    """A share with its exact 95 % confidence interval (Clopper and Pearson)."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Found:
    """What double coding found in a quarter's sample."""

    coded: int
    wrong: int
    by_field: Mapping[str, int]
    alike: Mapping[tuple[str, str], tuple[int, int]]  # by month and city: coded alike, coded
    coders: tuple[str, ...]

    @property
    def error(self) -> Interval:
        """The part of the stays of which any field was coded otherwise."""
        # Seconds to import, which every verb of releases and quality would pay.
        from statsmodels.stats.proportion import proportion_confint  # noqa: PLC0415

        low, high = proportion_confint(self.wrong, self.coded, alpha=0.05, method="beta")
        return Interval(self.wrong / self.coded, float(low), float(high))

    def told(self) -> tuple[Told, ...]:
        """The figures of the sample by month and city, for releases and reports."""
        return tuple(
            Told(AUDITED, month, city, alike, coded)
            for (month, city), (alike, coded) in sorted(self.alike.items())
        )


def draw(stays: Iterable[Discharge], key: bytes, size: int = SIZE) -> tuple[Discharge, ...]:
    """A simple random sample without replacement, the same whatever the order of the stays."""

    def lot(stay: Discharge) -> bytes:
        return hmac.digest(key, stay.id.encode(), "sha256")

    return tuple(sorted(nsmallest(size, stays, key=lot), key=lambda stay: stay.id))


def fingerprint(ids: Iterable[str]) -> str:
    """What tells one sample from another without naming anybody."""
    return hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest()


def sheet(sample: Sequence[Discharge]) -> str:
    """The empty sheet of the second coder, as CSV: keys alone, blind to what was coded first."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows([stay.id, *[""] * (len(HEADER) - 1)] for stay in sample)
    return out.getvalue()


@dataclass(frozen=True)
class Coded:
    """A line of a sheet that came back."""

    values: tuple[str, ...]
    coder: str


def read_sheet(text: str) -> dict[str, Coded]:
    """The lines of a sheet by key; refuses one that is not whole."""
    rows = list(csv.reader(io.StringIO(text)))
    if not rows or tuple(rows[0]) != HEADER:
        raise OperatorError(
            "audit.sheet", f"The first line of the sheet must read {','.join(HEADER)}."
        )
    found: dict[str, Coded] = {}
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(HEADER):
            raise OperatorError("audit.sheet", f"Line {number} has {len(row)} fields, not 6.")
        key, *values, coder = row
        if not coder.strip():
            raise OperatorError(
                "audit.uncoded",
                f"Line {number} names no coder. A sample counts whole: leaving out the stays that "
                "are hard to code would make the figure better than the data.",
            )
        if key in found:
            raise OperatorError("audit.sheet", f"Line {number} repeats a stay.")
        found[key] = Coded(tuple(map(spelt, values)), coder.strip())
    return found


def compare(sample: Iterable[Discharge], coded: Mapping[str, Coded]) -> Found:
    """Both codings beside each other; the sheet must hold exactly the stays that were drawn."""
    first = {stay.id: stay for stay in sample}
    if not first or first.keys() != coded.keys():
        raise OperatorError(
            "audit.other_sample",
            f"The sheet holds {len(coded)} stays, and they are not the {len(first)} that were "
            "drawn for this quarter.",
        )
    by_field: Counter[str] = Counter(dict.fromkeys(FIELDS, 0))
    alike: dict[tuple[str, str], tuple[int, int]] = {}
    wrong = 0
    for key, stay in first.items():
        pairs = zip(FIELDS, stay.values, coded[key].values, strict=True)
        differ = [name for name, one, other in pairs if one != other]
        by_field.update(differ)
        wrong += bool(differ)
        same, whole = alike.get((stay.month, stay.city), (0, 0))
        alike[stay.month, stay.city] = same + (not differ), whole + 1
    coders = tuple(sorted({one.coder for one in coded.values()}))
    return Found(len(first), wrong, dict(by_field), alike, coders)
