"""S26, second implementation in pandas: records a rule looked at, those that break it, their money.

From SPEC 2.6 and 9.1: tolerances are 0.01 yuan a line and 0.05 a settlement; what cannot be told to
hold does not. A record is of the month in which it was settled and of the city of its institution.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd

LINE, SETTLEMENT = 0.01, 0.05
_NEAR = 1e-6  # amounts are kept in fen
Holds = Callable[[pd.DataFrame], pd.Series]
_FUNDS = ("hifp_pay", "cvlserv_pay", "hifes_pay", "hifmi_pay", "hifob_pay", "hifdm_pay",
          "maf_pay", "othfund_pay")  # fmt: skip
_SCHEMES = {"310": ("11", "12"), "390": ("14", "15", "16")}


def _equal(left: pd.Series, right: pd.Series, tolerance: float) -> pd.Series:
    return (left - right).abs() <= tolerance + _NEAR


def _scope(rows: pd.DataFrame) -> pd.Series:
    parts = ("fulamt_ownpay_amt", "overlmt_selfpay", "preselfpay_amt", "inscp_amt")
    return sum((rows[name] for name in parts), pd.Series(0.0, rows.index))


RULES: Mapping[tuple[str, str], Holds] = {
    ("fee_list_d", "R01"): lambda r: _equal(r.det_item_fee_sumamt, r.cnt * r.pric, LINE + 0.005),
    ("fee_list_d", "R02"): lambda r: _equal(r.det_item_fee_sumamt, _scope(r), LINE),
    ("setl_d", "R05"): lambda r: _equal(r.medfee_sumamt, _scope(r), SETTLEMENT),
    ("setl_d", "R06"): lambda r: _equal(
        r.fund_pay_sumamt, sum((r[n].fillna(0) for n in _FUNDS), r.hifp_pay * 0), SETTLEMENT
    ),
    ("setl_d", "R07"): lambda r: _equal(
        r.medfee_sumamt, r.fund_pay_sumamt + r.psn_pay + r.ownpay_hosp_part.fillna(0), SETTLEMENT
    ),
    ("setl_d", "R18"): lambda r: (r.med_type.str[:2] == "41") == (r.fixmedins_code.str[0] == "P"),
}
MONEY = {"fee_list_d": "det_item_fee_sumamt", "setl_d": "medfee_sumamt"}


class Checked:
    """A warehouse's settlements and lines, each with month and city."""

    def __init__(self, folder: Path) -> None:
        self._bills = _numbers(pd.read_parquet(folder / "setl_d.parquet"))
        houses = pd.read_parquet(folder / "fixmedins_b.parquet")
        city = houses.set_index("fixmedins_code").fix_blng_admdvs.str[:4] + "00"
        self._bills["city"] = self._bills.fixmedins_code.map(city)
        self._bills["month"] = pd.to_datetime(self._bills.setl_time).dt.strftime("%Y-%m")
        lines = _numbers(pd.read_parquet(folder / "fee_list_d.parquet"))
        of = self._bills.drop_duplicates("setl_id").set_index("setl_id")
        lines["city"], lines["month"] = lines.setl_id.map(of.city), lines.setl_id.map(of.month)
        self._lines = lines

    def found(self, table: str, rule: str, month: str, city: str) -> tuple[int, int, float]:
        """Records looked at, those that break the rule, and the yuan on them."""
        rows = self._lines if table == "fee_list_d" else self._bills
        rows = rows[(rows.month == month) & (rows.city == city)]
        if rule == "R18":
            rows = rows[rows.fixmedins_code.notna()]
        wrong = rows[~RULES[table, rule](rows).fillna(value=False).astype(bool)]
        return len(rows), len(wrong), float(wrong[MONEY[table]].abs().sum())


def _numbers(rows: pd.DataFrame) -> pd.DataFrame:
    """Valid rows with money as numbers."""
    rows = rows[rows.vali_flag == "1"].copy()
    for name in rows.columns:
        if rows[name].dtype == object and len(rows) and hasattr(rows[name].iloc[0], "as_tuple"):
            rows[name] = rows[name].astype(float)
    return rows
