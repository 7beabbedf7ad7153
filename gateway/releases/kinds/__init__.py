"""How each kind of measure is worked out: one file each, and one line in the tables below.

`EVALUATORS` work on one season of shown cells, `LATE_EVALUATORS` on the whole release, for the
measures that say they are late. A kind without an evaluator cannot be built: the build stops.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from gateway.catalogue.kinds import (
    Average,
    Banded,
    ChainLadder,
    CountBand,
    Cumulative,
    Excess,
    Forecast,
    Gap,
    Increment,
    Kind,
    Layered,
    Linear,
    MatchedEffect,
    Pareto,
    Persons,
    Proportion,
    Quantile,
    Ratio,
    Reserve,
    Share,
    Sum,
    Survival,
    TopShare,
    Trend,
    Variation,
)
from gateway.releases.kinds.average import average
from gateway.releases.kinds.banded import banded
from gateway.releases.kinds.chain_ladder import chain_ladder, increment
from gateway.releases.kinds.count_band import count_band
from gateway.releases.kinds.cumulative import cumulative
from gateway.releases.kinds.forecast import forecast
from gateway.releases.kinds.gap import gap
from gateway.releases.kinds.late import Late, untold
from gateway.releases.kinds.layered import excess, layer
from gateway.releases.kinds.linear import linear
from gateway.releases.kinds.matched import matched_effect
from gateway.releases.kinds.persons import persons
from gateway.releases.kinds.quantile import quantile
from gateway.releases.kinds.ratio import ratio, ratio_to_former
from gateway.releases.kinds.reserve import reserve
from gateway.releases.kinds.scene import Scene
from gateway.releases.kinds.share import share
from gateway.releases.kinds.summed import summed
from gateway.releases.kinds.survival import proportion, survival
from gateway.releases.kinds.tail import pareto, top_share
from gateway.releases.kinds.trend import trend, undecided
from gateway.releases.kinds.variation import variation
from gateway.releases.shown import Figure

Evaluator: TypeAlias = Callable[[Any, Scene], Figure]  # of the kind it is filed under
LateEvaluator: TypeAlias = Callable[[Any, Late], Figure]

EVALUATORS: Final[Mapping[type[Kind], Evaluator]] = {
    Sum: summed,
    Persons: persons,
    Quantile: quantile,
    Ratio: ratio,
    Variation: variation,
    Banded: banded,
    Linear: linear,
    Cumulative: cumulative,
    Layered: layer,
    Excess: excess,
    Pareto: pareto,
    TopShare: top_share,
    Share: share,
    CountBand: count_band,
    Trend: undecided,
    Average: average,
    Increment: increment,
    ChainLadder: untold,
    MatchedEffect: matched_effect,
    Reserve: untold,
    Forecast: untold,
    Gap: gap,
    Survival: survival,
    Proportion: proportion,
}

LATE_EVALUATORS: Final[Mapping[type[Kind], LateEvaluator]] = {
    Ratio: ratio_to_former,
    Trend: trend,
    Reserve: reserve,
    Forecast: forecast,
    ChainLadder: chain_ladder,
}
