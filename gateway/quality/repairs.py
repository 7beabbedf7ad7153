"""How long faults live: from the first warehouse version that shows one to the first without it.

Every version that is appraised leaves its faults in `quality/faults/`, which outlive the version.
A fault whose month or feeder is gone from the warehouse was not mended, and counts as nothing.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import orjson

from gateway.errors import OperatorError
from synthetic.integrity.appraisal import Appraisal
from synthetic.integrity.kpis import ALL
from synthetic.integrity.told import Told

_SUFFIX = ".json"


class Key(NamedTuple):
    """A rule or figure that fails in one table, month and feeder; empty where it has none."""

    name: str
    table: str
    feeder: str
    month: str


@dataclass(frozen=True)
class Seen:
    """What one version showed: its faults, and of which feeders and months it held records."""

    version: str
    at: datetime
    faults: frozenset[Key]
    held: frozenset[tuple[str, str]]
    cities: tuple[tuple[str, str], ...] = ()  # of feeders

    def holds(self, key: Key) -> bool:
        """Whether a fault that is no longer there could still be seen."""
        return not key.month or (key.feeder, key.month) in self.held


@dataclass(frozen=True, order=True)
class Repair:
    """A fault that is gone: the months it was in count once if they came and went together."""

    name: str
    table: str
    feeder: str
    since: datetime
    until: datetime

    @property
    def hours(self) -> float:
        """How long it lasted."""
        return (self.until - self.since).total_seconds() / 3600


@dataclass(frozen=True)
class Repairs:
    """What was mended, and what still waits."""

    mended: tuple[Repair, ...]
    waiting: int
    oldest: datetime | None
    cities: tuple[tuple[str, str], ...] = ()

    @property
    def mean_hours(self) -> float | None:
        """The mean time to repair; of what still waits nothing is known, so it is told apart."""
        return statistics.fmean(one.hours for one in self.mended) if self.mended else None

    def by_month(self) -> dict[str, tuple[int, float]]:
        """Faults mended in each month, and their mean hours."""
        held: dict[str, list[float]] = {}
        for one in self.mended:
            held.setdefault(f"{one.until:%Y-%m}", []).append(one.hours)
        return {month: (len(own), statistics.fmean(own)) for month, own in sorted(held.items())}

    def told(self) -> tuple[Told, ...]:
        """Hours and faults by month and city, for releases; those of no city are not told."""
        city_of = dict(self.cities)
        sums: dict[tuple[str, str], list[float]] = {}
        for one in self.mended:
            if city := city_of.get(one.feeder):
                sums.setdefault((f"{one.until:%Y-%m}", city), []).append(one.hours)
        return tuple(
            Told("repair_hours", month, city, round(sum(own)), len(own))
            for (month, city), own in sorted(sums.items())
        )

    def as_dict(self) -> dict[str, object]:
        """The repairs for machines."""
        mean = self.mean_hours
        return {
            "mended": len(self.mended),
            "mean_hours": None if mean is None else round(mean, 1),
            "waiting": self.waiting,
            "oldest": None if self.oldest is None else self.oldest.isoformat(),
            "by_month": {
                month: {"mended": n, "mean_hours": round(hours, 1)}
                for month, (n, hours) in self.by_month().items()
            },
        }


def repairs(history: Iterable[Seen]) -> Repairs:
    """What became of each fault from version to version, in the order of their making."""
    since: dict[Key, datetime] = {}
    mended: set[Repair] = set()
    cities: dict[str, str] = {}
    for seen in sorted(history, key=lambda one: (one.at, one.version)):
        for key in since.keys() - seen.faults:
            begun = since.pop(key)
            if seen.holds(key):
                mended.add(Repair(key.name, key.table, key.feeder, begun, seen.at))
        for key in seen.faults - since.keys():
            since[key] = seen.at
        cities |= dict(seen.cities)
    waiting = {(key.name, key.table, key.feeder, begun) for key, begun in since.items()}
    oldest = min(since.values(), default=None)
    return Repairs(tuple(sorted(mended)), len(waiting), oldest, tuple(sorted(cities.items())))


def seen_in(appraisal: Appraisal, version: str, at: datetime) -> Seen:
    """The faults of an appraisal of every feeder: rules that fail, and figures of the four."""
    own = [one for one in appraisal.kpis if one.feeder != ALL and one.table == ALL]
    faults = {Key(one.rule, one.table, one.feeder, one.period) for one in appraisal.findings}
    faults |= {Key(name, ALL, one.feeder, one.period) for one in own for name in one.failed}
    cities = {one.feeder: f"{one.region[:4]}00" for one in own if one.region}
    held = frozenset((one.feeder, one.period) for one in own)
    return Seen(version, at, frozenset(faults), held, tuple(sorted(cities.items())))


class Register:
    """The faults of every version that was appraised in a home."""

    def __init__(self, home: Path) -> None:
        self._folder = home / "quality" / "faults"

    def knows(self, version: str) -> bool:
        """Whether this version was appraised."""
        return (self._folder / f"{version}{_SUFFIX}").is_file()

    def note(self, seen: Seen) -> None:
        """Keep what a version showed; noted again it is the same."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._folder / f"{seen.version}{_SUFFIX}"
        fresh = path.with_name(f".{path.name}-{os.getpid()}")
        document = {
            "at": seen.at.isoformat(),
            "faults": [list(one) for one in sorted(seen.faults)],
            "held": sorted(seen.held),
            "cities": seen.cities,
        }
        fresh.write_bytes(orjson.dumps(document))
        fresh.replace(path)

    def history(self) -> Iterator[Seen]:
        """All versions that were appraised."""
        for path in sorted(self._folder.glob(f"*{_SUFFIX}")):
            yield _read(path)


def _read(path: Path) -> Seen:
    try:
        told = orjson.loads(path.read_bytes())
        return Seen(
            path.name.removesuffix(_SUFFIX),
            datetime.fromisoformat(told["at"]),
            frozenset(Key(*one) for one in told["faults"]),
            frozenset(_pairs(told["held"])),
            tuple(_pairs(told["cities"])),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise OperatorError(
            "quality.register", f"{path.name} cannot be read; remove it and appraise again."
        ) from error


def _pairs(listed: Sequence[Sequence[str]]) -> Iterator[tuple[str, str]]:
    for one, other in listed:
        yield str(one), str(other)
