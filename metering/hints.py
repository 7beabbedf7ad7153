"""What a better delivery would have earned: the quality hints of a provider's statement.

A hint is of the provider's own figures alone, in steps of a tenth of a per cent, and only where at
least three share: from a finer one, or between two, a neighbour's quality could be computed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from metering.quality import ONE, WEIGHT, Kpi, Standing, improved
from metering.sharing import Contribution, Strategy, weigh

POINT: Final = ONE // 100
"""One percentage point of a KPI."""
STEP_BP: Final = 10
FEWEST: Final = 3


@dataclass(frozen=True)
class Hint:
    """One point more of a KPI would have given about `gain_bp` hundredths of a per cent more."""

    kpi: Kpi
    gain_bp: int


@dataclass(frozen=True)
class OwnQuality:
    """What a provider may read of itself: its lowest score of each KPI in millionths over the
    periods that were charged for, the KPIs that failed in one of them, whether all came in time,
    and what would have earned more."""

    scores: dict[Kpi, int]
    failed: tuple[Kpi, ...]
    timely: bool
    hints: tuple[Hint, ...]


def own_quality(parts: Iterable[Contribution], strategy: Strategy) -> dict[str, OwnQuality]:
    """Of every provider whose quality is known, from the contributions of a service-month. Where
    quality does not decide, there is no hint."""
    known: dict[str, list[Contribution]] = {}
    everything = list(parts)
    for part in everything:
        if isinstance(part.quality, Standing):
            known.setdefault(part.provider, []).append(part)
    weights = weigh(everything)
    told = strategy == "contribution" and len(known) >= FEWEST
    whole = sum(weights.values()) if told else 0
    return {name: _own(own, weights[name], whole) for name, own in sorted(known.items())}


def _own(parts: Sequence[Contribution], weight: int, whole: int) -> OwnQuality:
    held = [part.quality for part in parts if isinstance(part.quality, Standing)]
    scores: dict[Kpi, int] = {}
    for standing in held:
        for kpi, score in standing.scores.items():
            scores[kpi] = min(score, scores.get(kpi, ONE))
    failed = tuple(kpi for kpi in WEIGHT if any(kpi in standing.failed for standing in held))
    hints = tuple(_hints(parts, weight, whole))
    return OwnQuality(scores, failed, all(standing.timely for standing in held), hints)


def _hints(parts: Sequence[Contribution], weight: int, whole: int) -> Iterable[Hint]:
    for kpi in WEIGHT:
        better = sum(weigh(_better(part, kpi) for part in parts).values())
        if not whole or better <= weight:
            continue
        # The others' weights stand; the whole grows by what is gained.
        gain = better * whole * 10_000 // (weight * (whole - weight + better)) - 10_000
        if rounded := (gain + STEP_BP // 2) // STEP_BP * STEP_BP:
            yield Hint(kpi, rounded)


def _better(part: Contribution, kpi: Kpi) -> Contribution:
    standing = part.quality
    more = improved(standing, kpi, POINT) if isinstance(standing, Standing) else None
    return replace(part, quality=more) if more else part
