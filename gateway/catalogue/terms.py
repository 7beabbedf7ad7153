"""The head of contracts that are no services of cells: what they are, who may ask on what terms."""

from __future__ import annotations

from pydantic import Field

from gateway.catalogue.frozen import Frozen
from gateway.catalogue.model import Text
from gateway.catalogue.tariff import Tariff


class Terms(Frozen):
    """Who may ask for a service, under which profile, at what price; kinds narrow the forms."""

    id: str = Field(pattern=r"^S\d\d$")
    code: str
    version: str
    title: Text
    summary: Text
    notes: tuple[Text, ...] = ()
    consumers: tuple[str, ...]
    grain: str
    output_level: str
    sdc: str
    scenarios: tuple[str, ...]
    min_lag_days: int = Field(ge=0)
    tariff: Tariff
    free_for: tuple[str, ...] = ()
