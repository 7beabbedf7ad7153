"""`forecast`: a published figure carried on beyond the last month of data."""

from __future__ import annotations

from typing import Final, Literal, Self

from pydantic import model_validator

from gateway.catalogue.kinds.base import Kind, Part

HORIZON: Final = 12
"""Months that are forecast."""

HISTORY: Final = 36
"""Months without a gap that a forecast is made from, at least: three of each calendar month."""


class Forecast(Kind):
    """Expected value of a monthly figure in each of the twelve months that follow the last one with
    data, with bands that hold 80 and 95 of 100 outcomes, and how far such forecasts were off
    before (`mape`).

    Exponential smoothing with additive error, damped trend and yearly season, ETS(A,Ad,A), fitted
    to the published, rounded months of the cell: whoever has these can work it out. Bands and
    longer periods come from simulated paths of a fixed seed. `mape` is the mean of |error| ÷
    actual, over forecasts of periods as long as the row's that the same model makes from three,
    six, nine and twelve months before the last one. Forecast figures have the flag `e`.

    With `onto` it is that balance which is forecast: its last value and what is expected of `of`,
    the flow that it grows by, up to the end of the period.
    """

    kind: Literal["forecast"]
    of: str
    onto: str | None = None
    part: Literal["point", "low80", "high80", "low95", "high95", "mape"]

    @property
    def parts(self) -> tuple[Part, ...]:
        return (Part(self.of), *((Part(self.onto),) if self.onto else ()))

    @property
    def late(self) -> bool:
        return True

    def phrase(self) -> str:
        told = {"point": "expected value", "mape": "mean error of back-tests ÷ actual"}
        what = told.get(self.part, f"{self.part.rstrip('0123456789')} end of the band of "
                        f"{self.part.lstrip('lowhig')} %")  # fmt: skip
        whole = f"{self.onto} by way of {self.of}" if self.onto else self.of
        return f"forecast of {whole}, {what}: ETS(A,Ad,A) of the published months"

    @model_validator(mode="after")
    def _is_tested(self) -> Self:
        if self.onto and self.part == "mape":
            raise ValueError("mape: the error is told of the flow, not of the balance")
        return self
