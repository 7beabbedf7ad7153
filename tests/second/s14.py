"""S14, second implementation: cases, supply and strata of chronic disease over pandas frames.

Nothing of the catalogue's SQL is used: codes are told by regular expressions written here, supply
is a calendar of days ticked off dispensing by dispensing, strata are decided person by person.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, Literal

import duckdb
import numpy as np
import pandas as pd

from tests.served_recount import Added, Found, Part, Quotient

DISEASES = {
    "hypertension": "I1[0-5]",
    "diabetes": "E1[0-4]",
    "chd": "I2[0-5]",
    "stroke": "I6[0-4]|I69",
    "copd": "J4[34]",
    "asthma": "J4[56]",
    "ckd_dialysis": r"N18\.[05]|Z49|Z99\.2",
    "cancer": r"C[0-8]|C9[0-7]|Z51\.[01]",
    "hepatitis_b": r"B18\.[01]",
    "mental": "F[23]",
    "ra_as": "M0[568]|M45",
    "transplant": "T86|Z94",
    "failure": r"I50|J96|K72|K70\.4|N17|N19",
}
FILED = {
    "hypertension": "M039", "diabetes": "M016", "chd": "M046", "stroke": "M048", "copd": "M053",
    "asthma": "M054", "ckd_dialysis": "M0780[345]", "cancer": "M005", "hepatitis_b": "M00201",
    "mental": "M021", "ra_as": "M069|M072", "transplant": "M083",
}  # fmt: skip
SPECIFIC = {
    "hypertension": "C02|C03[AB]|C08C|C09[ABC]|C09D[AB]",
    "diabetes": "A10",
    "chd": "C01DA|C01DX16|C01EB1[58]|B01AC24",
    "copd": "R03AL|R03BB|R03DX07",
    "asthma": "R03BC|R03DX(05|09|10)",
    "ckd_dialysis": "V03AE0[23]",
    "cancer": "L01BA0[34]|L01B[BC]|L01[CDEFX]|L02B",
    "hepatitis_b": "J05AF(07|08|10|11|13)",
    "mental": "N05A",
    "ra_as": "M01C|L04AA13|L04AK01",
}
TREATING = {
    "hypertension": "C07|C08D|C09DX",
    "chd": "B01AC0[46]|C07|C10AA",
    "stroke": "B01AC0[46]|C10AA",
    "copd": "R03AK|R03BA|R03DA",
    "asthma": "R03AK|R03BA|R03DC",
    "ckd_dialysis": "B03XA|H05BX",
    "cancer": "L01A|L02A",
    "mental": "N06A",
    "ra_as": "L04AB|L04AF|L04AX03|L01BA01|P01BA02",
    "transplant": "L04AD|L04AA06|L04AH",
}
_EPOCH = pd.Timestamp("2000-01-01")
_WHO = ["psn_no", "year"]
_CASE = [*_WHO, "disease12"]
_SUPPLY = ("window", "covered", "gap")


def diseases_of(codes: pd.Series, patterns: Mapping[str, str]) -> pd.DataFrame:
    """Each code with each of the diseases it begins like."""
    known = {
        code: [name for name, pattern in patterns.items() if re.match(pattern, code)]
        for code in codes.dropna().unique()
    }
    pairs = [(code, name) for code, names in known.items() for name in names]
    return pd.DataFrame(pairs, columns=["code", "disease12"], dtype=object)


class Ill:
    """The warehouse's records as frames, and what they say of each person's year."""

    def __init__(self, warehouse: duckdb.DuckDBPyConnection) -> None:
        self._warehouse = warehouse
        bills = self._read(
            "setl_d",
            "setl_id, mdtrt_id, init_setl_id, psn_no, med_type, setl_time, begndate, dise_no, "
            "mid_setl_flag, refd_setl_flag",
        )
        bills["year"] = bills.setl_time.dt.strftime("%Y")
        bills["day"] = (bills.begndate - _EPOCH).dt.days
        back, normal = bills[bills.refd_setl_flag == "1"], bills[bills.refd_setl_flag == "0"]
        final = normal[normal.mid_setl_flag != "1"]
        running = normal[~normal.mdtrt_id.isin(final.mdtrt_id)].sort_values(
            ["setl_time", "setl_id"]
        )
        running = running.drop_duplicates("mdtrt_id", keep="last")  # stays that go on
        bills = pd.concat([final, running], ignore_index=True)
        bills = bills[~bills.setl_id.isin(back.init_setl_id)]
        visits = self._read("mdtrt_d", "mdtrt_id, dscg_maindiag_code AS code")
        self.care = bills.merge(visits, on="mdtrt_id")
        self.care["kind"] = self.care.med_type.map(_kind)

    def _read(self, table: str, columns: str) -> pd.DataFrame:
        return self._warehouse.execute(f"SELECT {columns} FROM {table}").df()

    def years(self) -> pd.DataFrame:
        """One row per person, year and disease, with what S14 tells cells apart by."""
        supply = self._supply()
        cases = self._signs(supply)
        people = self._people(cases, supply)
        found = cases[cases.disease12 != "failure"].merge(people, on=_WHO)
        found = found.merge(supply, on=_CASE, how="left")
        known = found.window.notna()
        found["supply3"] = np.where(known, np.where(found.gap > 30, "gap", "steady"), "unknown")
        diagnosed = found.by_visits | found.by_stay | found.by_filing
        found["evidence2"] = np.where(diagnosed, "diagnosed", "drug_only")
        return found

    def _seen(self) -> pd.DataFrame:
        """Diagnoses by person and year: span of days of visits, and whether in a stay."""
        listed = self._read("setl_diag_list_d", "mdtrt_id, inout_diag_type, diag_code AS code")
        more = self.care.drop(columns="code").merge(listed, on="mdtrt_id")
        more = more[(more.kind != "IP") | (more.inout_diag_type == "2")]
        every = pd.concat([self.care, more], ignore_index=True)
        every = every[every.kind.isin(["OP", "OPSP", "IP"])]
        return every.merge(diseases_of(every.code, DISEASES), on="code")

    def _signs(self, supply: pd.DataFrame) -> pd.DataFrame:
        seen = self._seen()
        visits = seen[seen.kind != "IP"].groupby(_CASE).day.agg(["min", "max"])
        filed = self.care[(self.care.kind == "OPSP") & self.care.dise_no.notna()]
        coded = filed.drop(columns="code").rename(columns={"dise_no": "code"})
        under = coded.merge(diseases_of(coded.code, FILED), on="code")
        signs = {
            "by_visits": visits[visits["max"] - visits["min"] >= 30].reset_index(),
            "by_stay": seen[seen.kind == "IP"],
            "by_filing": pd.concat([under[_CASE], self._registered()]),
            "by_drugs": supply[supply.specific_fills >= 2],
        }
        rows = pd.concat([frame[_CASE].assign(sign=name) for name, frame in signs.items()])
        wide = pd.crosstab([rows[name] for name in _CASE], rows.sign) > 0
        present = pd.MultiIndex.from_frame(self.care[_WHO].drop_duplicates())
        flags = wide.reindex(columns=list(signs), fill_value=False).reset_index()
        return flags[pd.MultiIndex.from_frame(flags[_WHO]).isin(present)]

    def _registered(self) -> pd.DataFrame:
        filed = self._read("opsp_reg_d", "psn_no, opsp_dise_code AS code, begndate, enddate")
        filed = filed.merge(diseases_of(filed.code, FILED), on="code")
        found = [pd.DataFrame(columns=_CASE, dtype=object)]
        for year in sorted(self.care.year.unique()):
            first, last = pd.Timestamp(f"{year}-01-01"), pd.Timestamp(f"{year}-12-31")
            open_ = filed.enddate.isna() | (filed.enddate > first)
            found.append(filed[(filed.begndate <= last) & open_].assign(year=year)[_CASE])
        return pd.concat(found)

    def _people(self, cases: pd.DataFrame, supply: pd.DataFrame) -> pd.DataFrame:
        own = {
            code
            for code in self.care.code.dropna().unique()
            if any(re.match(p, code) for name, p in DISEASES.items() if name != "failure")
        }
        stay, emergency = self.care.kind == "IP", self.care.med_type.str[:2] == "13"
        used = self.care.assign(
            stays=stay, related=stay & self.care.code.isin(own), ed=emergency
        )  # fmt: skip
        used = used.groupby(_WHO)[["stays", "related", "ed"]].sum()
        good = supply.assign(good=supply.pdc >= 0.8 - 1e-12)
        ill = cases.merge(good[[*_CASE, "good"]], on=_CASE, how="left").fillna({"good": False})
        ill = ill.sort_values(_WHO).join(used, on=_WHO)
        rows = [
            (*who, text)
            for who, of in groupby(ill.itertuples(index=False), itemgetter(0, 1))
            if (text := _stratum(list(of)))
        ]
        return pd.DataFrame(rows, columns=[*_WHO, "stratum5"])

    def _supply(self) -> pd.DataFrame:
        """By person, year and disease: dispensings, days observed and covered, longest gap."""
        ends, rows = self._insured_until(), []
        given = self._dispensed().groupby([*_CASE, "generic", "day"], as_index=False).agg(
            specific=("specific", "max"), supply=("supply", "sum")
        )  # fmt: skip
        for (who, year, disease), of in groupby(given.itertuples(index=False), itemgetter(0, 1, 2)):
            end = ends.get((who, year))
            if end is not None:
                rows.append((who, year, disease, *_calendar(list(of), end)))
        found = pd.DataFrame(rows, columns=[*_CASE, "fills", "specific_fills", *_SUPPLY])
        found = found.astype(dict.fromkeys(_SUPPLY, float))
        unknown = (found.fills < 2) | (found.window < 91)
        found.loc[unknown, list(_SUPPLY)] = np.nan
        return found.assign(pdc=found.covered / found.window)

    def _dispensed(self) -> pd.DataFrame:
        drugs = self._read(
            "drug_cat_b",
            "med_list_codg, atc_code AS code, atc_code || route AS generic, "
            "ddd_per_cnt::DOUBLE AS ddd",
        )
        of = [
            diseases_of(drugs.code, patterns).assign(specific=specific)
            for patterns, specific in ((SPECIFIC, True), (TREATING, False))
        ]
        drugs = drugs.merge(pd.concat(of), on="code")
        lines = self._read(
            "fee_list_d WHERE list_type = '101'",
            "setl_id, med_list_codg, cnt::DOUBLE AS cnt, prd_days::DOUBLE AS days",
        )
        given = self.care[self.care.kind.isin(["OP", "OPSP", "RX"])]
        sold = lines.merge(given[["setl_id", *_WHO, "day"]], on="setl_id").merge(
            drugs, on="med_list_codg"
        )
        sold["supply"] = sold.days.where(sold.days > 0, sold.cnt * sold.ddd).fillna(0)
        begin = (pd.to_datetime(sold.year + "-01-01") - _EPOCH).dt.days
        sold["day"] = np.maximum(sold.day, begin)
        return sold

    def _insured_until(self) -> dict[tuple[str, str], int]:
        """The first day after the insured days of the last month of a year that has any."""
        spells = self._read(
            "psn_insu_d JOIN psn_info_b USING (psn_no)",
            "psn_no, coalesce(crt_insu_date, psn_insu_date) AS since, paus_insu_date, die_date",
        )
        for name in ("paus_insu_date", "die_date"):
            spells[name] = pd.to_datetime(spells[name])
        dead = spells.die_date + pd.Timedelta(days=1)
        spells["until"] = pd.concat([spells.paus_insu_date, dead], axis=1).min(axis=1)
        found: dict[tuple[str, str], int] = {}
        for text in sorted(self.care.setl_time.dt.strftime("%Y-%m").unique()):
            first = pd.Timestamp(f"{text}-01")
            after = first + pd.offsets.MonthBegin(1)
            begin, end = (
                spells.since.clip(lower=first),
                spells.until.fillna(after).clip(upper=after),
            )
            days = (end - begin).dt.days.clip(lower=0).groupby(spells.psn_no).sum()
            for who, count in days[days > 0].clip(upper=(after - first).days).items():
                found[str(who), text[:4]] = (first - _EPOCH).days + int(count)
        return found


def _kind(code: str) -> str:
    if code in {"2106", "2107"} or code[0] == "5":
        return "MAT"
    names = {"14": "OPSP", "15": "OPSP", "41": "RX"}
    return names.get(code[:2], "IP" if code[0] == "2" else "OP")


def _calendar(given: Sequence[Any], end: int) -> tuple[int, int, int, int, int]:
    """Dispensings, those of specific drugs, days to the end, days covered, longest run without.

    `given` are rows of generic, day and supply, by generic and day.
    """
    first = min(row.day for row in given)
    covered = np.zeros(max(end - first, 0), dtype=bool)
    free: dict[str, int] = {}
    for row in given:
        supply = min(90, max(1, int(np.ceil(row.supply - 1e-9))))
        begin = max(free.get(row.generic, first), row.day)
        free[row.generic] = begin + supply
        covered[begin - first : begin - first + supply] = True
    days, specific = ({r.day for r in given}, {r.day for r in given if r.specific})
    return len(days), len(specific), len(covered), int(covered.sum()), _gap(covered)


def _gap(covered: np.ndarray) -> int:
    """The longest run of days without supply."""
    edges = np.flatnonzero(np.concatenate([[True], covered, [True]]))
    return int(np.diff(edges).max(initial=1)) - 1


def _stratum(of: Sequence[Any]) -> str:
    """SPEC S14, from the most complex down; nothing for who has none of the diseases."""
    diseases = len({row.disease12 for row in of} - {"failure"})
    if not diseases:
        return ""
    for row in of:
        active = row.disease12 == "cancer" and (row.by_visits or row.by_stay or row.by_drugs)
        if active or row.disease12 in {"failure", "ckd_dialysis"} or row.stays >= 2:
            return "5"
    care = of[0]
    if care.related or diseases >= 3:
        return "4"
    if diseases == 2 or care.ed or care.stays:
        return "3"
    return "1" if any(row.good for row in of) else "2"


def frames(warehouse: duckdb.DuckDBPyConnection) -> dict[str, pd.DataFrame]:
    """Who is a case of what, as a table of its own."""
    return {"chronic_years": Ill(warehouse).years()}


_SPENT = """
    SELECT psn_no, year(setl_time)::VARCHAR AS year,
           arg_max((insutype2, gend, age10), (month, enddate, setl_id)) AS last,
           last[1] AS insutype2, last[2] AS gend, last[3] AS age10,
           bool_or(medfee_sumamt <> 0) AS cared, sum(medfee_sumamt) AS medfee,
           sum(fund_pay_sumamt) AS fund, sum(n) FILTER (benefit5 = 'IP') AS stays,
           sum(n) FILTER (benefit5 IN ('OP', 'OPSP')) AS visits, sum(listed) AS listed,
           sum(drug) AS drug
    FROM care LEFT JOIN (
        SELECT setl_id, sum(det_item_fee_sumamt) AS listed,
               sum(det_item_fee_sumamt) FILTER (med_chrgitm_type IN ('09', '10', '11')) AS drug
        FROM fee_list_d GROUP BY 1) USING (setl_id) GROUP BY 1, 2"""
TABLES = {
    "chronic": f"""
        SELECT c.*, s.* EXCLUDE (psn_no, year), i.days
        FROM chronic_years c JOIN ({_SPENT}) s USING (psn_no, year)
        LEFT JOIN (SELECT psn_no, month[:4] AS year, sum(days) AS days FROM insured
                   GROUP BY ALL) i USING (psn_no, year)""",
    "insured_by_year": "SELECT *, month[:4] AS year FROM insured",
}  # fmt: skip

_CARE = ("disease12", "stratum5")
_PERSONS = Part("chronic", "count", "count(DISTINCT psn_no) FILTER (cared)")


def _at(style: Literal["count", "amount"], column: str, where: str) -> Part:
    return Part("chronic", style, f"sum({column}) FILTER ({where})")


MEASURES: dict[str, dict[str, Found]] = {
    "S14": {
        "exposure_py": Part("insured_by_year", "count", "sum(days) / 365.25", _CARE),
        "persons": _PERSONS,
        "prevalence": Quotient("persons", "exposure_py", 2, 1000),
        "case_py": Part("chronic", "count", "sum(days) / 365.25"),
        "medfee": Part("chronic", "amount", "sum(medfee)"),
        "fund": Part("chronic", "amount", "sum(fund)"),
        "pmpm": Quotient("medfee", "case_py", 2, 1 / 12),
        "stays": Part("chronic", "count", "sum(stays)"),
        "stays_1000py": Quotient("stays", "case_py", 2, 1000),
        "visits": Part("chronic", "count", "sum(visits)"),
        "visits_py": Quotient("visits", "case_py", 2),
        "_listed": Part("chronic", "amount", "sum(listed)"),
        "_drug": Part("chronic", "amount", "sum(drug)"),
        "drug_share": Quotient("_drug", "_listed"),
        "_gap": _at("count", "1", "supply3 = 'gap'"),
        "_steady": _at("count", "1", "supply3 = 'steady'"),
        "_known": Added({"_gap": 1, "_steady": 1}),
        "_covered": _at("amount", "covered", "supply3 <> 'unknown'"),
        "_window": _at("amount", '"window"', "supply3 <> 'unknown'"),
        "gap_share": Quotient("_gap", "_known"),
        "pdc_mean": Quotient("_covered", "_window"),
        "_drug_only": _at("count", "1", "evidence2 = 'drug_only'"),
        "drug_only_share": Quotient("_drug_only", "persons"),
    }
}
