"""S24, second implementation: each indicator counted over pandas frames, unit by unit.

Nothing of the catalogue's SQL is used: settlements, stays and lines are read plainly, the rules are
written a second time with sorts, shifts and groups.
"""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import numpy as np
import pandas as pd

from tests.served_recount import Found, Part, Quotient

_MILD = {"I10", "J06", "J20", "K29", "M47", "M51", "R42", "H81"}
_PERIODS = {"009904000000014": 30, "009903000000007": 7, "009914000000034": 7}
_EXCLUDED = {"009901000000002": "009901000000001", "009907000000026": "009907000000025"}
_STAY_ONLY = {"009902000000004", "009906000000024"}
_VISIT_ONLY = {"009902000000003", "009906000000023"}
UNIT = ["month", "psn_no", "fixmedins_code", "fixmedins_type", "hosp_lv4", "inscp"]


class Checked:
    """The warehouse's records as frames, and the units each indicator checks."""

    def __init__(self, warehouse: duckdb.DuckDBPyConnection) -> None:
        self._warehouse = warehouse
        houses = self._read("fixmedins_b", "fixmedins_code, fixmedins_type")
        every = self._read(
            "setl_d",
            "setl_id, mdtrt_id, init_setl_id, psn_no, fixmedins_code, hosp_lv, med_type, "
            "setl_time, begndate, enddate, gend, mid_setl_flag, refd_setl_flag, "
            "inscp_amt::DOUBLE AS inscp, medfee_sumamt::DOUBLE AS fee",
        ).merge(houses, on="fixmedins_code")
        every["month"] = every.setl_time.dt.strftime("%Y-%m")
        every["day"] = every.setl_time.dt.normalize()
        every["hosp_lv4"] = every.hosp_lv.map(_level)
        every["kind"] = every.med_type.map(_kind)
        undone = set(every.init_setl_id.dropna())
        final = (every.refd_setl_flag == "0") & (every.mid_setl_flag != "1")
        self.care = every[final & ~every.setl_id.isin(undone)]
        self.encounters = self._read(
            "mdtrt_d", "mdtrt_id, begntime, endtime, dscg_way, oprn_oprt_code, dscg_maindiag_code"
        )
        self.stays = self._stays(every)
        self.lines = self._lines()

    def _read(self, table: str, columns: str) -> pd.DataFrame:
        return self._warehouse.execute(f"SELECT {columns} FROM {table}").df()

    def _stays(self, every: pd.DataFrame) -> pd.DataFrame:
        whole = every[every.kind == "IP"].groupby("mdtrt_id")
        spans = whole.agg(
            first=("begndate", "min"), last=("enddate", "max"), scope=("inscp", "sum")
        )
        closed = self.care[self.care.kind == "IP"].drop(columns="inscp")
        stays = closed.merge(spans.reset_index(), on="mdtrt_id").merge(
            self.encounters, on="mdtrt_id"
        )
        stays["los"] = (stays["last"] - stays["first"]).dt.days.clip(lower=1)
        stays["dx"] = stays.dscg_maindiag_code.str[:3]
        return stays.rename(columns={"scope": "inscp"})

    def _lines(self) -> pd.DataFrame:
        lines = self._read(
            "fee_list_d",
            "setl_id, med_list_codg, list_type, med_chrgitm_type AS category, fee_ocur_time AS at, "
            "cnt::DOUBLE AS cnt, pric::DOUBLE AS price, det_item_fee_sumamt::DOUBLE AS amount, "
            "inscp_amt::DOUBLE AS line_inscp, prd_days::DOUBLE AS prd_days",
        )
        lines = lines[lines.cnt > 0].merge(self.care, on="setl_id")
        lines["on"] = lines["at"].dt.normalize()
        return lines.drop(columns="inscp").rename(columns={"line_inscp": "inscp"})

    def units(self) -> pd.DataFrame:
        """Every unit checked: indicator, place, month, amount and whether it is hit."""
        found = [frame.assign(indicator14=name) for name, frame in self._each()]
        return pd.concat(found, ignore_index=True)

    def _each(self) -> Iterator[tuple[str, pd.DataFrame]]:
        for number in range(1, 15):
            name = f"F{number:02d}"
            units, hit = getattr(self, f"_{name.lower()}")()
            yield name, units[UNIT].assign(hit=np.asarray(hit, dtype=bool))

    def _f01(self) -> tuple[pd.DataFrame, pd.Series]:
        tests = self.lines[self.lines.category.isin(["03", "04"])].groupby("mdtrt_id").amount.sum()
        whole = self.lines.groupby("mdtrt_id").amount.sum().rename("whole")
        s = self.stays.join(whole, on="mdtrt_id", how="inner").join(
            tests.rename("tests"), on="mdtrt_id"
        )
        plain = (s.los <= 3) & s.oprn_oprt_code.fillna("").eq("") & s.dx.isin(_MILD)
        return s, plain & (s.tests.fillna(0) / s.whole > 0.6 - 1e-9)

    def _f02(self) -> tuple[pd.DataFrame, pd.Series]:
        s = self.stays.sort_values(["begntime", "mdtrt_id"])
        before = s.groupby(["psn_no", "fixmedins_code", "dx"], dropna=False)
        gap = s.begntime - before.endtime.shift()
        sent = before.dscg_way.shift().isin(["2", "3", "5"])
        return s, (gap < pd.Timedelta(days=15)) & ~sent

    def _f03(self) -> tuple[pd.DataFrame, pd.Series]:
        busy = self.lines[~self.lines.category.isin(["01", "07"])].groupby("mdtrt_id").on.nunique()
        known = self.stays.mdtrt_id.isin(self.lines.mdtrt_id)
        s = self.stays[known & (self.stays.los >= 4)]
        return s, s.mdtrt_id.map(busy).fillna(0) * 2 <= s.los

    def _f04(self) -> tuple[pd.DataFrame, pd.Series]:
        s = self.care[self.care.kind == "RX"].copy()
        s["night"] = ~s.setl_time.dt.hour.between(6, 21)
        shops = s.groupby(["month", "fixmedins_code"]).night.agg(["sum", "mean"])
        rank = shops.groupby("month")["mean"].rank(method="min") - 1
        others = shops.groupby("month")["mean"].transform("size") - 1
        loud = shops[(rank / others > 0.99) & (shops["sum"] >= 5)].index
        here = pd.MultiIndex.from_frame(s[["month", "fixmedins_code"]]).isin(loud)
        return s, s.night & here

    def _f05(self) -> tuple[pd.DataFrame, pd.Series]:
        s = self.care[self.care.kind == "RX"].sort_values(
            ["inscp", "setl_id"], ascending=[False, True]
        )
        days = s.groupby(["psn_no", "day"]).agg(
            shops=("fixmedins_code", "nunique"), spent=("inscp", "sum")
        )
        usual = days.groupby("psn_no").spent.agg(["size", "mean"])
        first = s.drop_duplicates(["psn_no", "day"]).join(days, on=["psn_no", "day"])
        first = first.join(usual, on="psn_no").assign(inscp=lambda f: f.spent)
        lavish = (first["size"] >= 6) & (first.spent > 2 * first["mean"] + 1e-9)
        return first, (first.shops >= 3) | lavish

    def _f06(self) -> tuple[pd.DataFrame, pd.Series]:
        drugs = self._read("drug_cat_b", "med_list_codg, atc_code || '.' || route AS generic")
        lines = self.lines[self.lines.prd_days.notna() & self.lines.kind.isin(["OP", "OPSP", "RX"])]
        keys = [*UNIT[:-1], "kind", "setl_id", "generic"]
        fills = lines.merge(drugs, on="med_list_codg").groupby(keys, as_index=False).agg(
            on=("on", "min"), supply=("prd_days", "sum"), inscp=("inscp", "sum")
        )  # fmt: skip
        fills = fills.sort_values(["on", "setl_id"])
        before = fills.groupby(["psn_no", "generic"])
        left = before.supply.shift() - (fills.on - before.on.shift()).dt.days
        return fills, (fills.supply > np.where(fills.kind == "OPSP", 90, 30)) | (left > 15)

    def _f07(self) -> tuple[pd.DataFrame, pd.Series]:
        lines = self.lines[self.lines.list_type == "201"]
        keys = [*UNIT[:-1], "setl_id", "mdtrt_id", "med_list_codg", "at", "on"]
        items = lines.groupby(keys, as_index=False).agg(
            times=("cnt", "size"), inscp=("inscp", "sum")
        )
        there = pd.MultiIndex.from_frame(items[["mdtrt_id", "on", "med_list_codg"]])
        wanted = items[["mdtrt_id", "on"]].assign(other=items.med_list_codg.map(_EXCLUDED))
        return items, (items.times > 1) | pd.MultiIndex.from_frame(wanted).isin(there)

    def _f08(self) -> tuple[pd.DataFrame, pd.Series]:
        lines = self.lines[self.lines.list_type == "201"].copy()
        lines["item"] = lines.category.map({"01": "bed", "07": "nursing"})
        lines.loc[lines.med_list_codg == "009905000000019", "item"] = "oxygen"
        sums = lines.dropna(subset=["item"]).groupby(["mdtrt_id", "item"], as_index=False)
        found = sums.agg(units=("cnt", "sum"), paid=("inscp", "sum"))
        s = found.merge(self.stays, on="mdtrt_id").assign(inscp=lambda f: f.paid)
        return s, s.units > (s.los + 1) * np.where(s["item"] == "oxygen", 24, 1)

    def _f09(self) -> tuple[pd.DataFrame, pd.Series]:
        lines = self.lines[(self.lines.list_type == "201") & (self.lines.category == "06")]
        days = lines.groupby(["mdtrt_id", "on"], as_index=False).agg(
            n=("cnt", "sum"), low=("price", "min"), high=("price", "max"), paid=("inscp", "sum")
        )
        s = days[days.n >= 2].merge(self.stays, on="mdtrt_id").assign(inscp=lambda f: f.paid)
        return s, s.low == s.high

    def _f10(self) -> tuple[pd.DataFrame, pd.Series]:
        lines = self.lines[
            self.lines.med_list_codg.isin(_PERIODS) & self.lines.kind.isin(["OP", "OPSP"])
        ]
        keys = [*UNIT[:-1], "setl_id", "med_list_codg", "on"]
        items = lines.groupby(keys, as_index=False).inscp.sum().sort_values(["on", "setl_id"])
        since = (items.on - items.groupby(["psn_no", "med_list_codg"]).on.shift()).dt.days
        return items, since < items.med_list_codg.map(_PERIODS).astype(float)

    def _f11(self) -> tuple[pd.DataFrame, pd.Series]:
        drugs = self._read("drug_cat_b", "med_list_codg, atc_code")
        women = set(drugs[drugs.atc_code.str[:3] == "G01"].med_list_codg)
        code = self.lines.med_list_codg
        limited = code.isin(women | _STAY_ONLY | _VISIT_ONLY | {"009912000000031"})
        s = self.lines[limited]
        code = s.med_list_codg
        hit = code.isin(women) & (s.gend == "1")
        hit |= code.isin(_STAY_ONLY) & s.kind.isin(["OP", "OPSP", "RX"])
        hit |= code.isin(_VISIT_ONLY) & (s.kind == "IP")
        return s, hit | ((code == "009912000000031") & s.hosp_lv4.isin(["T", "S"]))

    def _f12(self) -> tuple[pd.DataFrame, pd.Series]:
        deaths = self._read("psn_info_b", "psn_no, die_date::TIMESTAMP AS die_date")
        s = self.care.merge(deaths, on="psn_no").merge(
            self.encounters[["mdtrt_id", "dscg_maindiag_code"]], on="mdtrt_id", how="left"
        )
        dx = s.dscg_maindiag_code.str[:3].fillna("")
        women = dx.str[:1].eq("O") | dx.between("N70", "N98") | dx.between("C51", "C58")
        men = dx.between("N40", "N51") | dx.between("C60", "C63")
        wrong = (women & (s.gend != "2")) | (men & (s.gend != "1"))
        return s, (s.die_date < s.begndate) | wrong | s.setl_id.isin(self._elsewhere())

    def _elsewhere(self) -> set[str]:
        stays = self.stays[["psn_no", "fixmedins_code", "begntime", "endtime"]]
        out = self.care[self.care.kind != "IP"]
        both = out[["setl_id", "psn_no", "fixmedins_code", "day"]].merge(stays, on="psn_no")
        inside = (both.day > both.begntime.dt.normalize()) & (
            both.day < both.endtime.dt.normalize()
        )
        return set(both[inside & (both.fixmedins_code_x != both.fixmedins_code_y)].setl_id)

    def _f13(self) -> tuple[pd.DataFrame, pd.Series]:
        packs = self._read("sel_trac_d", "setl_id, med_list_codg").dropna(subset=["setl_id"])
        lines = self.lines[self.lines.list_type == "101"]
        sold = lines[lines.setl_id.isin(packs.setl_id)]
        keys = [*UNIT[:-1], "setl_id", "med_list_codg"]
        billed = sold.groupby(keys, as_index=False).inscp.sum()
        there = pd.MultiIndex.from_frame(packs)
        return billed, ~pd.MultiIndex.from_frame(billed[["setl_id", "med_list_codg"]]).isin(there)

    def _f14(self) -> tuple[pd.DataFrame, pd.Series]:
        s = self.care[self.care.kind == "RX"].copy()
        s["minute"] = s.setl_time.dt.floor("min")
        meeting = ["fixmedins_code", "minute"]
        crowd = s.groupby(meeting).psn_no.transform("nunique") >= 5
        times = s[crowd].groupby(["fixmedins_code", "psn_no"]).minute.nunique()
        regular = times[times >= 4].index
        known = pd.MultiIndex.from_frame(s[["fixmedins_code", "psn_no"]]).isin(regular)
        ring = s[crowd & known].groupby(meeting).psn_no.nunique()
        met = pd.MultiIndex.from_frame(s[meeting]).isin(ring[ring >= 5].index)
        return s, pd.Series(met & known, index=s.index)


def _level(code: str) -> str:
    number = int(code)
    return "T" if number <= 4 else "S" if number <= 7 else "P" if number <= 10 else "N"


def _kind(code: str) -> str:
    if code in {"2106", "2107"} or code[0] == "5":
        return "MAT"
    names = {"14": "OPSP", "15": "OPSP", "41": "RX"}
    return names.get(code[:2], "IP" if code[0] == "2" else "OP")


def frames(warehouse: duckdb.DuckDBPyConnection) -> dict[str, pd.DataFrame]:
    """The units checked, as a table of their own."""
    units = Checked(warehouse).units()
    first = pd.to_datetime(units.month)
    units["quarter"] = first.dt.year.astype(str) + "Q" + first.dt.quarter.astype(str)
    return {"checked_units": units}


TABLES: dict[str, str] = {}
MEASURES: dict[str, dict[str, Found]] = {
    "S24": {
        "checked": Part("checked_units", "count", "count(*)"),
        "hits": Part("checked_units", "count", "count(*) FILTER (hit)"),
        "amount": Part("checked_units", "amount", "sum(inscp)"),
        "hit_amount": Part("checked_units", "amount", "sum(inscp) FILTER (hit)"),
        "hits_1000": Quotient("hits", "checked", 2, 1000),
        "amount_share": Quotient("hit_amount", "amount"),
    }
}
