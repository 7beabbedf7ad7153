"""The newest month that releases were measured in, and which quality figures it misses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from synthetic.integrity.kpis import NAMES, fails


def newest_month(measured: Iterable[Mapping[str, Mapping[str, Any]]]) -> dict[str, Any] | None:
    """The newest month of these `quality` tables of manifests; None where nothing was measured."""
    months = {
        period: figures
        for quality in measured
        for period, figures in quality.items()
        if "Q" not in period
    }
    if not months:
        return None
    period = max(months)
    found = {name: months[period].get(name) for name in NAMES}
    return {
        "period": period,
        "measured": [name for name, value in found.items() if value is not None],
        "missed": [name for name, value in found.items() if fails(name, value)],
    }
