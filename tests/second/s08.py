"""S08, second implementation: own cases and peers' quantiles in pandas, from the raw tables."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

LEVEL = dict(zip((f"{n:02d}" for n in range(1, 12)), "TTTTSSSPPPN", strict=True))
LEAST, PERSONS, TOP = 5, 1, 0.5


def read(folder: Path, name: str) -> pd.DataFrame:
    table = pd.read_parquet(folder / f"{name}.parquet")
    return table[table["vali_flag"] == "1"]


def own_cases(folder: Path) -> pd.DataFrame:
    """Every inpatient encounter at its last settlement that is no refund."""
    setl = read(folder, "setl_d")
    setl = setl[
        setl["med_type"].str.startswith("2") & ~setl["med_type"].isin(["2106", "2107"])
    ].copy()
    back = setl["refd_setl_flag"] == "1"
    normal = setl[~back].copy()
    normal["early"] = normal["mid_setl_flag"].fillna("0") == "1"
    undone = normal["setl_id"].isin(setl.loc[back, "init_setl_id"])
    ranked = normal.sort_values(["setl_time", "setl_id"])
    finals = ranked[~ranked["early"]]
    only_middle = ranked[~ranked["mdtrt_id"].isin(finals["mdtrt_id"])]
    last = pd.concat([finals, only_middle]).drop_duplicates("mdtrt_id", keep="last")
    left = normal[~undone & ~normal["early"]].groupby("mdtrt_id").size()
    money = setl.groupby("mdtrt_id")[["medfee_sumamt", "fund_pay_sumamt"]].sum().astype(float)
    span = setl.groupby("mdtrt_id").agg(first=("begndate", "min"), end=("enddate", "max"))
    days = (pd.to_datetime(span["end"]) - pd.to_datetime(span["first"])).dt.days.clip(lower=1)
    found = last.set_index("mdtrt_id")[
        ["fixmedins_code", "medins_setl_id", "setl_id", "psn_no", "setl_time", "hosp_lv"]
    ]
    found = found.assign(
        cost=money["medfee_sumamt"], fund_paid=money["fund_pay_sumamt"], los=days,
        stands=left.reindex(found.index).fillna(0) > 0,
        month=found["setl_time"].dt.strftime("%Y-%m"), peer_group=found["hosp_lv"].map(LEVEL),
    )  # fmt: skip
    houses = read(folder, "fixmedins_b").set_index("fixmedins_code")["fix_blng_admdvs"]
    found["geo"] = found["fixmedins_code"].map(houses).str[:4] + "00"
    visits = read(folder, "mdtrt_d").set_index("mdtrt_id")["dscg_dept_codg"]
    found["dept"] = visits.reindex(found.index).fillna("-")
    for name, prefix in (("drg_rslt_d", "drg"), ("dip_rslt_d", "dip")):
        found = found.join(_grouped(folder, name, setl).add_prefix(f"{prefix}_"))
    return found.reset_index()


def _grouped(folder: Path, name: str, setl: pd.DataFrame) -> pd.DataFrame:
    """The last result of each encounter."""
    results = read(folder, name).merge(setl[["setl_id", "mdtrt_id", "setl_time"]], on="setl_id")
    results = results.sort_values(["setl_time", "setl_id"])
    return (
        results.drop_duplicates("mdtrt_id", keep="last")
        .set_index("mdtrt_id")
        .drop(columns=["setl_id", "setl_time"])
    )


def peers(cases: pd.DataFrame, also: str | None = None) -> dict[tuple[str, ...], dict[str, object]]:
    """By institution, month and group: own mean cost, and what each quantile of the others is
    before anything is rounded; none where the others are too few or dominated."""
    stands = cases[cases["stands"]]
    keys = ["geo", "month", "peer_group", *([also] if also else [])]
    found: dict[tuple[str, ...], dict[str, object]] = {}
    for cell, group in stands.groupby(keys):
        means = group.groupby("fixmedins_code")["cost"].agg(["mean", "sum", "count"])
        safe = all(_safe(group[group["fixmedins_code"] != house], means.drop(house)["sum"])
                   for house in means.index)  # fmt: skip
        for house in means.index:
            others = np.sort(means.drop(house)["mean"].to_numpy())
            found[house, *map(str, cell)] = {
                "cases": int(means.loc[house, "count"]),
                "mean_cost": float(means.loc[house, "mean"]),
                "quantiles": {p: _quantile(others, p) for p in (25, 50, 75)} if safe else None,
            }
    return found


def _safe(others: pd.DataFrame, amounts: pd.Series) -> bool:
    return bool(
        len(amounts) >= LEAST
        and others["psn_no"].nunique() >= PERSONS
        and amounts.max() <= TOP * amounts.sum()
    )


def _quantile(ordered: np.ndarray, p: int) -> float:
    """The mean of three neighbours around the percentile's rank."""
    at = int(np.floor((len(ordered) - 1) * p / 100 + 0.5))
    first = min(max(0, at - 1), len(ordered) - 3)
    return float(ordered[first : first + 3].mean())


def total(cases: pd.DataFrame) -> Mapping[tuple[str, str], tuple[int, float]]:
    """Cases that stand and their cost, by institution and month."""
    stands = cases[cases["stands"]]
    sums = stands.groupby(["fixmedins_code", "month"])["cost"].agg(["count", "sum"])
    return {key: (int(row["count"]), float(row["sum"])) for key, row in sums.iterrows()}
