"""The kinds of measures a contract may declare: one file each, and one line in `KINDS`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, TypeAlias, Union

from pydantic import Field

from gateway.catalogue.kinds.banded import Banded
from gateway.catalogue.kinds.base import Kind, Part
from gateway.catalogue.kinds.count_band import CountBand
from gateway.catalogue.kinds.cumulative import Cumulative
from gateway.catalogue.kinds.layered import Excess, Layered
from gateway.catalogue.kinds.linear import Linear
from gateway.catalogue.kinds.persons import Persons
from gateway.catalogue.kinds.quantile import Quantile
from gateway.catalogue.kinds.ratio import Ratio
from gateway.catalogue.kinds.share import Share
from gateway.catalogue.kinds.summed import Sum
from gateway.catalogue.kinds.tail import Pareto, TopShare
from gateway.catalogue.kinds.trend import Trend
from gateway.catalogue.kinds.variation import Variation

__all__ = [
    "KINDS",
    "Banded",
    "CountBand",
    "Cumulative",
    "Definition",
    "Excess",
    "Kind",
    "Layered",
    "Linear",
    "Pareto",
    "Part",
    "Persons",
    "Quantile",
    "Ratio",
    "Share",
    "Sum",
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
)

if TYPE_CHECKING:
    Definition: TypeAlias = Kind
else:
    Definition = Annotated[Union[KINDS], Field(discriminator="kind")]  # noqa: UP007  (made of a list)
