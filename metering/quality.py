"""How well a provider delivered in a period, beside the others: Q and T of the sharing formula.

The four KPIs of SPEC §9.1 become scores in millionths, more is better: completeness, consistency,
the part of real-time settlements that arrived in ten minutes, and one less the relative difference
of amounts. What cannot be measured of a provider counts as the others' mean; what can be measured
of nobody counts for nobody. The mean weighs providers by their records, so that neither cutting a
provider in two nor a crowd of tiny ones moves it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Final, Literal, TypeAlias

from metering.sharing import QUALITY_MOST, QUALITY_ONE, Quality

ONE: Final = 1_000_000
Kpi: TypeAlias = Literal["completeness", "consistency", "timeliness", "accuracy"]
WEIGHT: Final[Mapping[Kpi, int]] = {
    "completeness": 3,
    "consistency": 3,
    "timeliness": 2,
    "accuracy": 2,
}
LEAST: Final[Mapping[Kpi, int]] = {
    "completeness": 980_000,
    "consistency": 960_000,
    "timeliness": 950_000,  # P95 within ten minutes: 95 of 100 arrived by then
    "accuracy": 995_000,
}
"""Below this a KPI has failed."""
CUT_OFF_LEAST: Final = 980_000
"""The monthly cut-off is met when this part of the records had arrived by then."""


@dataclass(frozen=True)
class Delivered:
    """What one provider delivered in one period, counted; amounts in fen."""

    records: int = 0
    violating: int = 0
    expected: int = 0
    missing: int = 0
    overdue: int = 0
    urgent: int = 0
    in_time: int = 0
    booked: int = 0
    split: int = 0

    def __add__(self, other: Delivered) -> Delivered:
        return Delivered(
            *(getattr(self, one.name) + getattr(other, one.name) for one in fields(self))
        )

    def scores(self) -> dict[Kpi, int]:
        """What can be measured, in millionths."""
        found: dict[Kpi, int] = {}
        if self.expected:
            found["completeness"] = ONE * (self.expected - self.missing) // self.expected
        if self.records:
            found["consistency"] = ONE * (self.records - self.violating) // self.records
        if self.urgent:
            found["timeliness"] = ONE * self.in_time // self.urgent
        if self.split:
            apart = -(-ONE * abs(self.booked - self.split) // abs(self.split))
            found["accuracy"] = max(0, ONE - apart)
        return found

    @property
    def met_cut_off(self) -> bool:
        """Whether the records of the period were here by the cut-off."""
        return (self.records - self.overdue) * ONE >= CUT_OFF_LEAST * self.records


@dataclass(frozen=True, kw_only=True)
class Standing(Quality):
    """A quality whose reasons are known: the provider's own scores in millionths, the KPIs that
    failed, its weighted score and everybody's mean (of ten million), and the monthly cut-off."""

    scores: Mapping[Kpi, int]
    score: int
    mean: int
    met_cut_off: bool

    @property
    def failed(self) -> tuple[Kpi, ...]:
        """The KPIs below what is asked for."""
        return _failed(self.scores)


def standings(delivered: Mapping[str, Delivered]) -> dict[str, Standing]:
    """Every provider's standing among all that delivered anything in a period."""
    measured = {name: one.scores() for name, one in delivered.items() if one.records}
    means = dict(_means(delivered, measured))
    score = {name: _score(means | own) for name, own in measured.items()}
    records = sum(delivered[name].records for name in measured)
    mean = sum(score[name] * delivered[name].records for name in measured) // max(1, records)
    return {
        name: _standing(own, score[name], mean, met_cut_off=delivered[name].met_cut_off)
        for name, own in measured.items()
    }


def improved(standing: Standing, kpi: Kpi, by: int) -> Standing | None:
    """The standing with `by` millionths more of a KPI, all else alike; None where the KPI is not
    measured or is whole already."""
    own = standing.scores.get(kpi)
    if own is None or own >= ONE:
        return None
    more = min(ONE, own + by)
    scores = {**standing.scores, kpi: more}
    score = standing.score + WEIGHT[kpi] * (more - own)
    return _standing(scores, score, standing.mean, met_cut_off=standing.met_cut_off)


def _means(
    delivered: Mapping[str, Delivered], measured: Mapping[str, Mapping[Kpi, int]]
) -> Iterator[tuple[Kpi, int]]:
    """The mean of each KPI over those of whom it is known."""
    for kpi in WEIGHT:
        known = [name for name, own in measured.items() if kpi in own]
        records = sum(delivered[name].records for name in known)
        if records:
            yield kpi, sum(measured[n][kpi] * delivered[n].records for n in known) // records


def _score(scores: Mapping[Kpi, int]) -> int:
    return sum(WEIGHT[kpi] * value for kpi, value in scores.items())


def _failed(scores: Mapping[Kpi, int]) -> tuple[Kpi, ...]:
    return tuple(kpi for kpi in WEIGHT if scores.get(kpi, ONE) < LEAST[kpi])


def _standing(scores: Mapping[Kpi, int], score: int, mean: int, *, met_cut_off: bool) -> Standing:
    failed = _failed(scores)
    q = min(QUALITY_MOST, QUALITY_ONE * score // mean) if mean else QUALITY_ONE
    return Standing(
        q // 2 if failed else q,  # once, however many failed: each has lowered the score already
        "timeliness" not in failed and met_cut_off,
        scores=scores,
        score=score,
        mean=mean,
        met_cut_off=met_cut_off,
    )
