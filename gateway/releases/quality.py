"""How well each provider delivered in each period of a release: kept beside its contributions.

What a cell earns follows the quality of the period it tells of, so the figures are fixed with the
release, and whoever has the release finds the same shares (SPEC §7.2, §9.1). Internal only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from metering.quality import WEIGHT, Delivered, Kpi, Standing, standings
from synthetic.integrity.counting import Counts
from synthetic.integrity.quality import months_of

FILE: Final = "quality.parquet"
_WORDS = pa.dictionary(pa.int32(), pa.string())
SCHEMA: Final = pa.schema(
    [
        ("span", pa.int32()),
        ("period", _WORDS),
        ("provider", _WORDS),
        ("q", pa.int32()),
        ("timely", pa.bool_()),
        ("met_cut_off", pa.bool_()),
        ("score", pa.int64()),
        ("mean", pa.int64()),
        *((kpi, pa.int32()) for kpi in WEIGHT),
    ]
)
"""`span` numbers the periods as the cell files do; a KPI is null where nothing measures it."""

ByProvider = Mapping[str, Standing]


def by_period(
    labels: Sequence[str], delivered: Mapping[tuple[str, str], Counts]
) -> dict[str, ByProvider]:
    """The standing of every provider in each period, from what it delivered month by month."""
    counted = {key: Delivered(**asdict(counts)) for key, counts in delivered.items()}
    by_month: dict[str, dict[str, Delivered]] = {}
    for (month, provider), one in counted.items():
        by_month.setdefault(month, {})[provider] = one
    return {label: standings(_together(label, by_month)) for label in labels}


def _together(label: str, by_month: Mapping[str, Mapping[str, Delivered]]) -> dict[str, Delivered]:
    found: dict[str, Delivered] = {}
    for month in months_of(label):
        for provider, one in by_month.get(month, {}).items():
            found[provider] = found.get(provider, Delivered()) + one
    return found


def write_quality(
    path: Path,
    labels: Sequence[str],
    known: Mapping[str, ByProvider],
    providers: Sequence[str],
) -> None:
    """Write the standings of a service's providers in its periods, in the order of their numbers.
    Who delivered nothing in a period has no row in it."""
    rows = [
        _row(span, label, provider, known[label][provider])
        for span, label in enumerate(labels)
        for provider in providers
        if provider in known.get(label, {})
    ]
    columns = {name: [row[name] for row in rows] for name in SCHEMA.names}
    pq.write_table(pa.table(columns, schema=SCHEMA), path, compression="zstd")


def _row(span: int, label: str, provider: str, one: Standing) -> dict[str, Any]:  # a row of SCHEMA
    return {
        "span": span,
        "period": label,
        "provider": provider,
        "q": one.q,
        "timely": one.timely,
        "met_cut_off": one.met_cut_off,
        "score": one.score,
        "mean": one.mean,
        **{kpi: one.scores.get(kpi) for kpi in WEIGHT},
    }


def read_quality(folder: Path) -> dict[tuple[int, str], Standing]:
    """The standings of a release by period's number and provider; none in a release from before
    they were measured, whose providers all count as the mean."""
    path = folder / FILE
    if not path.is_file():
        return {}
    return {
        (row["span"], row["provider"]): Standing(
            row["q"],
            row["timely"],
            scores=_scores(row),
            score=row["score"],
            mean=row["mean"],
            met_cut_off=row["met_cut_off"],
        )
        for row in pq.read_table(path).to_pylist()
    }


def _scores(row: Mapping[str, Any]) -> dict[Kpi, int]:
    return {kpi: row[kpi] for kpi in WEIGHT if row[kpi] is not None}
