"""The kinds of measures a contract may declare: one file each, and one line in `KINDS`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, TypeAlias, Union

from pydantic import Field

from gateway.catalogue.kinds.average import Average
from gateway.catalogue.kinds.banded import Banded
from gateway.catalogue.kinds.base import Kind, Part
from gateway.catalogue.kinds.chain_ladder import ChainLadder, Increment
from gateway.catalogue.kinds.count_band import CountBand
from gateway.catalogue.kinds.cumulative import Cumulative
from gateway.catalogue.kinds.forecast import Forecast
from gateway.catalogue.kinds.gap import Gap
from gateway.catalogue.kinds.layered import Excess, Layered
from gateway.catalogue.kinds.linear import Linear
from gateway.catalogue.kinds.matched import MatchedEffect
from gateway.catalogue.kinds.persons import Persons
from gateway.catalogue.kinds.quantile import Quantile
from gateway.catalogue.kinds.ratio import Ratio
from gateway.catalogue.kinds.reserve import Reserve
from gateway.catalogue.kinds.share import Share
from gateway.catalogue.kinds.summed import Sum
from gateway.catalogue.kinds.survival import Proportion, Survival
from gateway.catalogue.kinds.tail import Pareto, TopShare
from gateway.catalogue.kinds.trend import Trend
from gateway.catalogue.kinds.variation import Variation

__all__ = [
    "KINDS",
    "Average",
    "Banded",
    "ChainLadder",
    "CountBand",
    "Cumulative",
    "Definition",
    "Excess",
    "Forecast",
    "Gap",
    "Increment",
    "Kind",
    "Layered",
    "Linear",
    "MatchedEffect",
    "Pareto",
    "Part",
    "Persons",
    "Proportion",
    "Quantile",
    "Ratio",
    "Reserve",
    "Share",
    "Sum",
    "Survival",
    "TopShare",
    "Trend",
    "Variation",
]

KINDS: Final[tuple[type[Kind], ...]] = (
    Sum,
    Persons,
    Quantile,
    Ratio,
    Variation,
    Banded,
    Linear,
    Cumulative,
    Layered,
    Excess,
    Pareto,
    TopShare,
    Share,
    CountBand,
    Trend,
    MatchedEffect,
    Reserve,
    Forecast,
    Gap,
    Average,
    Survival,
    Proportion,
    Increment,
    ChainLadder,
)

if TYPE_CHECKING:
    Definition: TypeAlias = Kind
else:
    Definition = Annotated[Union[KINDS], Field(discriminator="kind")]  # noqa: UP007  (made of a list)
