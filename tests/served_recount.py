"""Figures of S02, S04, S06 and S09 by SQL of its own, straight from the clean tables.

Nothing of the gateway is used: dims, counts and measures are written here a second time, after
SPEC 2.3, 4.3 and 5.1, in the codes of the simulated bureau. A figure is the span in which its
published value must lie.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import duckdb

Span: TypeAlias = tuple[float, float]
Cell: TypeAlias = Mapping[str, str]
Keyed: TypeAlias = dict[tuple[str, ...], object]
Rounding: TypeAlias = tuple[int, float]
"""What counts are multiples of, and the significant digits of amounts."""

_PERIODS = "strftime(day, '%Y-%m') AS month, year(day) || 'Q' || quarter(day) AS quarter"
_PERSON = """
    if(insutype = '310', 'employee', 'resident') AS insutype2, gend,
    MAP {'11': 'active', '12': 'retired', '1401': 'child', '1402': 'child', '1403': 'student',
         '1404': 'student', '15': 'adult_resident', '16': 'elder_resident'}[psn_type] AS psn_group6,
    if(years >= 80, '80+', (years // 10 * 10) || '-' || (years // 10 * 10 + 9)) AS age10"""
TABLES = {
    "stays": """
        SELECT mdtrt_id, greatest(1, max(enddate) - min(begndate)) AS los,
               sum(medfee_sumamt)::DOUBLE AS cost, bool_or(refd_setl_flag = '1') AS undone
        FROM setl_d GROUP BY 1""",
    "admissions": """
        SELECT mdtrt_id, lead(begntime) OVER (PARTITION BY psn_no ORDER BY begntime, mdtrt_id)
                         < endtime + INTERVAL 31 DAY AS back
        FROM mdtrt_d WHERE med_type[1:1] = '2' AND med_type NOT IN ('2106', '2107')""",
    "groups": """
        SELECT mdtrt_id, any_value(drg_code) AS code, any_value(rw) AS rw,
               any_value(std_fee) AS std_fee, any_value(pay_std_amt) AS pay_std_amt,
               any_value(case_type) AS case_type
        FROM drg_rslt_d JOIN (SELECT setl_id, mdtrt_id FROM setl_d) USING (setl_id) GROUP BY 1""",
    "care": f"""
        SELECT s.* EXCLUDE (gend), {_PERSON}, {_PERIODS},
               CASE WHEN med_type IN ('2106', '2107') OR med_type[1:1] = '5' THEN 'MAT'
                    WHEN med_type[1:1] = '2' THEN 'IP' WHEN med_type = '41' THEN 'RX'
                    WHEN med_type[1:2] = '14' THEN 'OPSP' ELSE 'OP' END AS benefit5,
               CASE WHEN hosp_lv < '05' THEN 'T' WHEN hosp_lv < '08' THEN 'S'
                    WHEN hosp_lv < '11' THEN 'P' ELSE 'N' END AS hosp_lv4,
               CASE WHEN insu_admdvs[1:4] = fix_blng_admdvs[1:4] THEN 'local'
                    WHEN insu_admdvs[1:2] = fix_blng_admdvs[1:2] THEN 'in_province'
                    ELSE 'cross_province' END AS pay_loc3,
               if(refd_setl_flag = '1', -1, if(mid_setl_flag = '1', 0, 1)) AS n, los,
               n = 1 AND NOT undone AND cost > 0 AND benefit5 = 'IP' AS whole, cost,
               dx[1:3] AS dx_cat3, coalesce(code, '0000') AS drg, drg[1:3] AS adrg,
               adrg AS drg_adrg, drg[1:1] AS mdc, rw, std_fee, pay_std_amt, case_type,
               coalesce(back, false) AS back
        FROM (SELECT *, floor(age)::INT AS years, setl_time AS day FROM setl_d) s
        JOIN stays USING (mdtrt_id)
        JOIN (SELECT mdtrt_id, dscg_maindiag_code AS dx FROM mdtrt_d) USING (mdtrt_id)
        LEFT JOIN admissions USING (mdtrt_id) LEFT JOIN groups USING (mdtrt_id)""",
    "inpatient": """
        SELECT *, avg(if(whole, cost, NULL)) OVER (PARTITION BY quarter, drg) AS usual,
               if(whole AND coalesce(case_type, '') NOT IN ('high', 'low'), cost, NULL) AS kept
        FROM care WHERE benefit5 = 'IP'""",
    "lines": """
        SELECT c.*, med_chrgitm_type AS fee_cat14, chrgitm_lv AS catalog_lv3, a AS amount
        FROM (SELECT setl_id, med_chrgitm_type, chrgitm_lv, sum(det_item_fee_sumamt) AS a
              FROM fee_list_d GROUP BY ALL) JOIN care c USING (setl_id)""",
    "drugs": """
        SELECT c.*, a AS amount, cnt, cnt * ddd_per_cnt AS ddd, route, prodentp_name AS maker,
               atc_code[1:1] AS atc1, atc_code[1:3] AS atc2, atc_code[1:4] AS atc3,
               atc_code[1:5] AS atc4, atc_code || '.' || route AS generic
        FROM (SELECT setl_id, med_list_codg, sum(det_item_fee_sumamt) AS a, sum(cnt) AS cnt
              FROM fee_list_d WHERE list_type = '101' GROUP BY ALL) JOIN care c USING (setl_id)
        JOIN drug_cat_b USING (med_list_codg)""",
    "insured": f"""
        SELECT psn_no, days, {_PERSON}, {_PERIODS}
        FROM (SELECT e.psn_no, insutype, psn_type, gend, day, date_diff('day', greatest(day,
                     crt_insu_date), least(day + INTERVAL 1 MONTH, paus_insu_date,
                     die_date + 1)) AS days,
                     date_sub('year', brdy, day) AS years
              FROM psn_insu_d e JOIN psn_info_b USING (psn_no),
                   (SELECT DISTINCT date_trunc('month', setl_time)::DATE AS day FROM setl_d))
        WHERE days > 0""",
}  # fmt: skip


@dataclass(frozen=True)
class Part:
    """A figure counted from one table, without the dims in `over`, and by those in `by`."""

    table: str
    style: Literal["count", "amount", "days", "cv", "band", "label"]
    sql: str
    over: tuple[str, ...] = ()
    by: tuple[str, ...] = ()
    percentile: int = 0


@dataclass(frozen=True)
class Quotient:
    """Scale × top ÷ bottom of two parts, each as it is published."""

    top: str
    bottom: str
    decimals: int = 4
    scale: float = 1


@dataclass(frozen=True)
class Added:
    """A signed sum of parts, each as it is published."""

    terms: Mapping[str, int]


Found: TypeAlias = Part | Quotient | Added


def _stays(table: str, condition: str) -> Part:
    return Part(table, "count", f"sum(n) FILTER ({condition})")


def _spread(table: str, style: Literal["amount", "days"], column: str, p: int) -> Part:
    listed = f"list({column} ORDER BY {column}) FILTER (whole)"
    return Part(table, style, listed, percentile=p)


def _sums(table: str, style: Literal["amount"], **columns: str) -> dict[str, Part | Quotient]:
    return {name: Part(table, style, f"sum({column})") for name, column in columns.items()}


_FEE = ("fee_cat14", "catalog_lv3")
_CARE_ONLY = ("hosp_lv4", "atc1", "atc2", "atc3", "atc4", "generic", "route", "benefit5")
_DAYS = Part("insured", "count", "sum(days) / 365.25", (*_CARE_ONLY, "pay_loc3", *_FEE))
_LOS = {"le1": "los <= 1", "2_3": "los BETWEEN 2 AND 3", "4_7": "los BETWEEN 4 AND 7",
        "8_14": "los BETWEEN 8 AND 14", "15_30": "los BETWEEN 15 AND 30",
        "gt30": "los > 30"}  # fmt: skip
_KINDS = {"drug": "'09', '10', '11'", "consumable": "'08'", "lab": "'04'", "exam": "'03'"}
_COUNTS = {"visits": "'OP', 'OPSP'", "stays": "'IP'", "rx_cnt": "'RX'", "mat_cnt": "'MAT'"}
MEASURES: Mapping[str, Mapping[str, Found]] = {
    "S02": {
        "exposure_py": _DAYS,
        "persons": Part("care", "count", "count(DISTINCT psn_no) FILTER (medfee_sumamt <> 0)"),
        "settlements": Part("care", "count", "sum(n)"),
        **{name: _stays("care", f"benefit5 IN ({kinds})") for name, kinds in _COUNTS.items()},
        **_sums(
            "care", "amount", medfee="medfee_sumamt", ownpay="fulamt_ownpay_amt",
            overlmt="overlmt_selfpay", preself="preselfpay_amt", inscp="inscp_amt",
            fund="fund_pay_sumamt", pooled="hifp_pay", maf="maf_pay", acct="acct_pay",
            supp="hifes_pay + hifmi_pay + hifob_pay + cvlserv_pay", cash="cash_payamt",
            oop="psn_pay", oop_inscp="inscp_amt - fund_pay_sumamt", oop_preself="preselfpay_amt",
            oop_out="fulamt_ownpay_amt + overlmt_selfpay",
        ),
        "avg_cost": Quotient("medfee", "settlements", 2),
        "avg_stay": Quotient("medfee", "stays", 2),
        "freq_1000py": Quotient("settlements", "exposure_py", 2, 1000),
        "pmpm": Quotient("medfee", "exposure_py", 2, 1 / 12),
        "ratio_inscp": Quotient("fund", "inscp"),
        "ratio_total": Quotient("fund", "medfee"),
        **{f"medfee_p{p}": _spread("care", "amount", "cost", p)
           for p in (50, 75, 90, 95)},
        "amount": Part("lines", "amount", "sum(amount)"),
        "_all_lines": Part("care", "amount", "sum(medfee_sumamt)", _FEE),
        "share": Quotient("amount", "_all_lines"),
    },
    "S04": {
        "stays": Part("inpatient", "count", "sum(n)"),
        "los_days": Part("inpatient", "count", "sum(n * los)"),
        "los_mean": Quotient("los_days", "stays", 2),
        **{f"los_p{p}": _spread("inpatient", "days", "los", p) for p in (25, 50, 75, 90)},
        **{f"_{band}": _stays("inpatient", condition) for band, condition in _LOS.items()},
        **{f"share_{band}": Quotient(f"_{band}", "stays") for band in _LOS},
        "_back": _stays("inpatient", "back"),
        "readmit31_share": Quotient("_back", "stays"),
    },
    "S06": {
        "stays": Part("inpatient", "count", "sum(n)"),
        "los_days": Part("inpatient", "count", "sum(n * los)"),
        **_sums("inpatient", "amount", medfee="medfee_sumamt", rw_sum="n * rw",
                payment="n * pay_std_amt", _expected="n * std_fee"),
        "avg_medfee": Quotient("medfee", "stays", 2),
        "medfee_p50": _spread("inpatient", "amount", "cost", 50),
        "rw_mean": Quotient("rw_sum", "stays"),
        "cv": Part("inpatient", "cv", "stddev_samp(kept) / avg(kept)"),
        "los_mean": Quotient("los_days", "stays", 2),
        "pay_cost_ratio": Quotient("payment", "medfee"),
        "_observed": Part("inpatient", "amount", "sum(medfee_sumamt) FILTER (std_fee IS NOT NULL)"),
        "deviation": Quotient("_observed", "_expected"),
        **{f"_{kind}": _stays("inpatient", f"case_type = '{kind}'") for kind in ("high", "low")},
        **{f"outlier_{kind}_share": Quotient(f"_{kind}", "stays") for kind in ("high", "low")},
        **{f"_{kind}": Part("lines", "amount", f"sum(amount) FILTER (benefit5 = 'IP' AND "
                            f"fee_cat14 IN ({codes}))") for kind, codes in _KINDS.items()},
        **{f"{kind}_share": Quotient(f"_{kind}", "medfee") for kind in _KINDS},
        "riv": Part("inpatient", "cv", "1 - avg((cost - usual) ** 2) FILTER (whole)"
                    " / var_pop(cost) FILTER (whole)"),
    },
    "S09": {
        "patients": Part("drugs", "count", "count(DISTINCT psn_no) FILTER (amount <> 0)"),
        "prescriptions": Part("drugs", "count", "sum(sign(amount))"),
        **_sums("drugs", "amount", units="cnt", ddd="ddd", amount="amount"),
        "exposure_py": _DAYS,
        "ddd_1000_day": Quotient("ddd", "exposure_py", 4, 4000 / 1461),
        "_class": Part("drugs", "amount", "sum(amount)", ("generic",), ("atc4",)),
        "share_atc4": Quotient("amount", "_class"),
        "hhi_band": Part("drugs", "band", "list({'maker': maker, 'amount': amount::DOUBLE})"),
    },
}  # fmt: skip


class Recount:
    """The clean tables, and what a cell of an answer must say."""

    def __init__(
        self,
        clean: duckdb.DuckDBPyConnection,
        tables: Mapping[str, str] = TABLES,
        measures: Mapping[str, Mapping[str, Found]] = MEASURES,
        rounding: Rounding = (5, 4),
    ) -> None:
        self._sql, self._measures, self._rounding = clean, measures, rounding
        for name, query in tables.items():
            clean.execute(f"CREATE TABLE {name} AS {query}")
        self._counted: dict[tuple[Part, tuple[str, ...]], Keyed] = {}

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """The tables it counts from."""
        return self._sql

    def span(self, service: str, measure: str, cell: Cell) -> Span | str:
        """Where the measure's published value must lie in the cell, or the band it must name."""
        found = self._measures[service][measure]
        if isinstance(found, Part):
            value = self._value(found, cell)
            value = _percentile(found.percentile, value) if found.percentile else value
            if found.style == "label":
                return str(value)
            if found.style == "band":
                return _band(value)
            return _rounded(found.style, value, self._rounding)
        if isinstance(found, Added):
            spans = [
                (sign, self._number(service, part, cell)) for part, sign in found.terms.items()
            ]
            low = sum(min(sign * end for end in span) for sign, span in spans)
            return low, sum(max(sign * end for end in span) for sign, span in spans)
        top, bottom = (self._number(service, part, cell) for part in (found.top, found.bottom))
        ends = [t / b * found.scale if b > 0 else math.inf for t in top for b in bottom]
        half = 0.5001 * 10**-found.decimals
        return min(ends) - half, max(ends) + half

    def _number(self, service: str, measure: str, cell: Cell) -> Span:
        span = self.span(service, measure, cell)
        assert not isinstance(span, str)
        return span

    def _value(self, part: Part, cell: Cell) -> object:
        dims = tuple(name for name in (*cell, *part.by) if name not in part.over)
        if (part, dims) not in self._counted:
            listed = ", ".join(dims)
            rows = self._sql.execute(
                f"SELECT {listed}, {part.sql} FROM {part.table} GROUP BY {listed}"
            )
            self._counted[part, dims] = {row[:-1]: row[-1] for row in rows.fetchall()}
        whole = {"atc4": cell.get("generic", "")[:5], **cell}
        return self._counted[part, dims].get(tuple(whole[name] for name in dims))


def _percentile(p: int, value: object) -> float:
    """SPEC 4.3.7: the mean of five neighbours around the nearest rank."""
    assert isinstance(value, list)
    rank = math.ceil(p * len(value) / 100)
    first = max(0, min(rank - 3, len(value) - 5))
    return statistics.fmean(map(float, value[first : first + 5]))


def _rounded(style: str, value: object, rounding: Rounding) -> Span:
    """SPEC 4.3.6: counts to a multiple of 5 on either side, amounts to four significant digits."""
    base, digits = rounding
    exact = float(str(value or 0))
    if style == "count":
        half = base - 0.0001
    elif style == "amount":
        size = math.floor(math.log10(abs(exact))) + 1 if exact else 0
        half = 0.01 + (0.5 * 10 ** (size - digits) if exact else 0)
    else:
        half = 0.5001 if style == "days" else 0.0051
    return exact - half, exact + half


def _band(value: object) -> str:
    assert isinstance(value, list)
    makers: dict[str, float] = {}
    for line in value:
        makers[line["maker"]] = makers.get(line["maker"], 0) + line["amount"]
    total = sum(makers.values())
    squares = sum((amount / total) ** 2 for amount in makers.values())
    return "low" if squares <= 0.15 else "moderate" if squares <= 0.25 else "high"
