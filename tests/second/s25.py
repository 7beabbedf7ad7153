"""S25, second implementation: the fund's accounts in pandas, forecasts by statsmodels directly.

Exact figures come from the ledger's rows; what is made of published figures (months of reserve,
forecasts, their errors) is made of the published figures once more.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from statsmodels.tsa.exponential_smoothing.ets import ETSModel

Floats = npt.NDArray[np.float64]
Cell = Mapping[str, str]
INCOME = ("contribution", "subsidy", "interest")
_SCHEME = {"310": "employee", "340": "employee", "390": "resident"}
_BALANCES = ("opening", "closing")


@dataclass(frozen=True)
class Accounts:
    """The ledger and what was settled, a row an entry, with its periods."""

    entries: pd.DataFrame
    closings: pd.DataFrame
    settled: pd.DataFrame

    @classmethod
    def of(cls, folder: Path) -> Accounts:
        """From the tables of a warehouse."""
        rows = pd.read_parquet(folder / "fund_flow_m.parquet")
        rows = rows.assign(
            amt=rows["amt"].astype(float),
            day=pd.to_datetime(rows["ym"] + "01", format="%Y%m%d"),
            insutype2=rows["insutype"].map(_SCHEME),
        )
        bills = pd.read_parquet(folder / "setl_d.parquet")
        bills = bills.assign(
            amt=bills["fund_pay_sumamt"].astype(float) + bills["acct_pay"].astype(float),
            day=bills["setl_time"],
            insutype2=bills["insutype"].map(_SCHEME),
        )
        entries = rows[~rows["flow"].isin(_BALANCES)]
        flow = entries["flow"].str.replace(r"^transfer_.*", "transfer", regex=True)
        return cls(
            _dated(entries.assign(entry=entries["flow"], flow=flow)),
            _dated(rows[rows["flow"] == "closing"]),
            _dated(bills[bills["insu_admdvs"].str[:4] == "9901"]),
        )

    def exact(self, measure: str, cell: Cell) -> float:
        """A figure before it is rounded."""
        if measure == "balance":
            own = _within(self.closings, cell)
            return float(own.loc[own["day"] == own["day"].max(), "amt"].sum())
        own = _within(self.entries, cell)
        came = own.loc[own["entry"].isin(INCOME), "amt"].sum()
        paid = own.loc[own["entry"].str.startswith("benefit_"), "amt"].sum()
        moved = (
            own.loc[own["entry"] == "transfer_in", "amt"].sum()
            - own.loc[own["entry"] == "transfer_out", "amt"].sum()
        )
        told = {"income": came, "expenditure": paid, "transfers": moved}
        return float({**told, "surplus": came - paid + moved}[measure])

    def gap(self, cell: Cell) -> float:
        """What was settled less what the ledger paid, over the latter, up to one per cent."""
        paid = self.exact("expenditure", cell)
        settled = float(_within(self.settled, cell)["amt"].sum())
        return min(max((settled - paid) / paid, -0.01), 0.01)


def _dated(rows: pd.DataFrame) -> pd.DataFrame:
    day = rows["day"].dt
    quarter = day.year.astype(str) + "Q" + day.quarter.astype(str)
    return rows.assign(month=day.strftime("%Y-%m"), quarter=quarter, year=day.year.astype(str))


def _within(rows: pd.DataFrame, cell: Cell) -> pd.DataFrame:
    for name, value in cell.items():
        rows = rows[rows[name] == value]
    return rows


def unit(value: float, digits: int = 3) -> float:
    """What the last of so many significant digits is worth."""
    return 10.0 ** (1 + math.floor(math.log10(abs(value))) - digits) if value else 0.0


def rounded(value: float, digits: int = 3) -> float:
    """To so many significant digits."""
    if value == 0:
        return 0.0
    return round(value, digits - 1 - math.floor(math.log10(abs(value))))


def fitted(series: Sequence[float]) -> Any:  # results of statsmodels, which has no types
    """ETS(A,Ad,A) of a monthly series, in units of its mean."""
    values = pd.Series(np.array(series) / np.abs(series).mean())
    return ETSModel(
        values, error="add", trend="add", damped_trend=True, seasonal="add", seasonal_periods=12,
        initialization_method="heuristic",
    ).fit(disp=False)  # fmt: skip


def expected(series: Sequence[float], months: int = 12) -> Floats:
    """What is expected of the months that follow a series."""
    found = np.asarray(fitted(series).forecast(months)) * np.abs(series).mean()
    return np.asarray(np.maximum(found, 0) if min(series) >= 0 else found)


def band(series: Sequence[float], percent: int) -> tuple[Floats, Floats]:
    """The interval of each month by the formula of the model, without simulation."""
    model = fitted(series)
    told = model.get_prediction(start=len(series), end=len(series) + 11)
    ends = told.pred_int(alpha=1 - percent / 100)
    values = ends.to_numpy() * np.abs(series).mean()
    return values[:, 0], values[:, 1]


def error(series: Sequence[float], months: int) -> float:
    """Mean of |error| ÷ actual, in per cent, of forecasts of so many months added up that begin 12,
    9, 6 and 3 months before the end."""
    found = []
    for origin in (12, 9, 6, 3):
        told, actual = expected(series[:-origin], origin), np.array(series[-origin:])
        for first in range(0, origin - months + 1, months):
            real = actual[first : first + months].sum()
            found.append(abs(told[first : first + months].sum() - real) / real)
    return 100 * float(np.mean(found))
