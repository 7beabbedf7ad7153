"""S15, second implementation: matching person by person over pandas, estimates by regression.

Nothing of the catalogue's SQL and nothing of the release engine is used. Cases and strata are those
of the second implementation of S14; comparators are dealt out in a loop; an estimate is the
coefficient of treated × after in a least-squares regression of statsmodels, weighted so that the
comparators of a set count as one person, with errors clustered by set.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import duckdb
import numpy as np
import pandas as pd
import statsmodels.formula.api as smf

from tests.second.s14 import Ill

MOST = 3
OUTCOMES = ("stays", "ed", "op_visits", "cost", "fund", "oop", "pdc", "complications")
WINDOWS: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "effect": ((-4, -3, -2, -1), (1, 2, 3, 4)),
    "pretrend": ((-4, -3), (-2, -1)),
    **{f"q{q:+d}": ((-1,), (q,)) for q in (-4, -3, -2, 1, 2, 3, 4)},
}
"""Quarters before and after, as whose mean, brought to a year, an outcome is compared."""

KINDS = {"县": "county", "旗": "county", "区": "district", "市": "county_city"}
_RELATED = r"I1[1-3]|I2[01245]|I50|I6[0-47]|N18"  # of hypertension
_EPOCH = pd.Timestamp("2000-01-01")
_KEY = ["insutype2", "age5", "gend", "stratum5", "decile", "kind", "city"]


@dataclass(frozen=True)
class Person:
    """Somebody in the comparison of a programme."""

    psn_no: str
    set_no: int
    treated: bool
    month: int  # in which the set's programme person joined; month 0 is January of year 0
    late: int  # 1 where that was after the first of the month


class Cohorts:
    """A warehouse's programmes and whom their members are compared with."""

    def __init__(self, warehouse: duckdb.DuckDBPyConnection) -> None:
        self._warehouse = warehouse
        self.ill = Ill(warehouse)
        years = self.ill.years()
        known = years.by_visits | years.by_filing | years.by_drugs
        ill = years[(years.disease12 == "hypertension") & known]
        self._cases = ill[["psn_no", "year", "stratum5"]]
        self._insured = self._insured_months()
        self._bills = self._settled()
        members = self._read("chr_prog_d", "prog_id, psn_no, scope, begndate")
        members["month"] = members.begndate.dt.year * 12 + members.begndate.dt.month - 1
        members["late"] = (members.begndate.dt.day > 1).astype(int)
        self._ever = set(members.psn_no)
        self._members = members[members.scope == "LINK_FOR_EVALUATION"]

    def _read(self, table: str, columns: str) -> pd.DataFrame:
        return self._warehouse.execute(f"SELECT {columns} FROM {table}").df()

    def _insured_months(self) -> pd.DataFrame:
        """One row per person and month insured, with the person's own of that month."""
        every = self._read(
            "psn_insu_d JOIN psn_info_b USING (psn_no) JOIN admdvs_b ON admdvs = insu_admdvs",
            "psn_no, insutype, insu_admdvs AS county, admdvs_name, gend, brdy, crt_insu_date, "
            "least(coalesce(paus_insu_date, DATE '2100-01-01'), "
            "coalesce(die_date + 1, DATE '2100-01-01')) AS until",
        )
        found = []
        for first in pd.date_range("2022-01-01", "2025-12-01", freq="MS"):
            after = first + pd.offsets.MonthBegin(1)
            begin, end = every.crt_insu_date.clip(lower=first), every.until.clip(upper=after)
            days = (end - begin).dt.days
            age = (
                first.year
                - every.brdy.dt.year
                - (every.brdy.dt.month * 100 + every.brdy.dt.day > first.month * 100 + first.day)
            )
            month = first.year * 12 + first.month - 1
            found.append(every.assign(days=days, month=month, age=age.clip(lower=0))[days > 0])
        rows = pd.concat(found)
        rows["insutype2"] = np.where(rows.insutype.isin(["310", "340"]), "employee", "resident")
        rows["age5"] = np.where(rows.age < 1, -1, np.minimum(rows.age // 5, 17))
        rows["city"] = rows.county.str[:4]
        rows["kind"] = rows.admdvs_name.str[-1].map(KINDS).fillna("other")
        rows = rows.sort_values(["days", "insutype2", "county"], ascending=[False, True, True])
        return rows.drop_duplicates(["psn_no", "month"])

    def _settled(self) -> pd.DataFrame:
        bills = self._read(
            "setl_d LEFT JOIN (SELECT mdtrt_id, med_type AS visit, dscg_maindiag_code AS dx "
            "FROM mdtrt_d) USING (mdtrt_id)",
            "psn_no, setl_time, med_type, visit, dx, mid_setl_flag, refd_setl_flag, "
            "medfee_sumamt::DOUBLE AS cost, fund_pay_sumamt::DOUBLE AS fund, "
            "psn_pay::DOUBLE AS oop",
        )
        bills["month"] = bills.setl_time.dt.year * 12 + bills.setl_time.dt.month - 1
        n = np.where(bills.refd_setl_flag == "1", -1, np.where(bills.mid_setl_flag == "1", 0, 1))
        stay = (bills.med_type.str[0] == "2") & ~bills.med_type.isin(["2106", "2107"])
        emergency = bills.visit.str[:2] == "13"
        other = stay | bills.med_type.str[0].isin(["4", "5"]) | bills.med_type.str[:2].eq("21")
        bills["stays"] = n * stay
        bills["ed"] = n * emergency
        bills["op_visits"] = n * (~other & ~emergency)
        bills["complications"] = n * (stay & bills.dx.str.match(_RELATED).fillna(value=False))
        return bills

    def people(self) -> dict[str, list[Person]]:
        """Everybody who is compared, by programme and placebo."""
        found: dict[str, list[Person]] = {}
        for programme, members in self._members.groupby("prog_id"):
            pool = pd.concat(self._pools(members))
            found[str(programme)] = list(_matched(pool.assign(treated=pool.member)))
            never = self._placebo(members, pool)
            if len(never):
                found[f"{programme}.placebo"] = list(_matched(never))
        return found

    def _pools(self, members: pd.DataFrame) -> Iterator[pd.DataFrame]:
        """Whoever may be compared, for each start and kind of county, with the decile of cost."""
        placed = members.merge(self._insured, on=["psn_no", "month"])
        for (month, late, city, kind), joined in placed.groupby(["month", "late", "city", "kind"]):
            here = self._insured[
                (self._insured.month == month)
                & (self._insured.city == city)
                & (self._insured.kind == kind)
            ]
            before = self._cases[self._cases.year == str(month // 12 - 1)]
            here = here.merge(before, on="psn_no")
            here["member"] = here.psn_no.isin(set(joined.psn_no))
            here = here[here.member | ~here.psn_no.isin(self._ever)]
            wanted = {*range(month - 12, month), *range(month + late, month + late + 12)}
            whole = self._insured[self._insured.month.isin(wanted)].groupby("psn_no").size()
            here = here[here.psn_no.map(whole).eq(24)].copy()
            base = self._bills[self._bills.month.between(month - 12, month - 1)]
            cost = here.psn_no.map(base.groupby("psn_no").cost.sum().round(2)).fillna(0.0)
            place = cost.round(2).rank(method="min") - 1
            yield here.assign(decile=(10 * place // len(here)).astype(int), late=late,
                              joined=len(joined))  # fmt: skip

    def _placebo(self, members: pd.DataFrame, pool: pd.DataFrame) -> pd.DataFrame:
        """The pool of the largest start, the largest county without a member for the treated."""
        starts = pool.sort_values(
            ["joined", "month", "late", "city", "kind"], ascending=[False, True, True, True, True]
        )
        first = starts.iloc[0]
        same = pool[
            (pool.month == first.month) & (pool.late == first.late)
            & (pool.city == first.city) & (pool.kind == first.kind)
        ]  # fmt: skip
        free = same.groupby("county").agg(n=("psn_no", "size"), members=("member", "sum"))
        free = free[free.members == 0].reset_index()
        if not len(free):
            return free
        county = free.sort_values(["n", "county"], ascending=[False, True]).county.iloc[0]
        never = same[~same.member]
        return never.assign(treated=never.county == county)

    def values(self, people: list[Person]) -> pd.DataFrame:
        """One row per person and quarter from the start, with every outcome."""
        frame = pd.DataFrame(people)
        months = self._bills.merge(frame, on="psn_no", suffixes=("", "_start"))
        offset = months.month - months.month_start
        months["quarter"] = np.where(
            offset.between(-12, -1), offset // 3,
            np.where((offset - months.late).between(0, 11), (offset - months.late) // 3 + 1, 99),
        )  # fmt: skip
        sums = [name for name in OUTCOMES if name != "pdc"]
        used = months[months.quarter != 99].groupby(["psn_no", "quarter"])[sums].sum()
        quarters = pd.DataFrame({"quarter": [-4, -3, -2, -1, 1, 2, 3, 4]})
        every = frame.merge(quarters, how="cross").join(used, on=["psn_no", "quarter"])
        every[sums] = every[sums].fillna(0.0)
        every["pdc"] = self._covered(every)
        return every

    def _covered(self, every: pd.DataFrame) -> list[float]:
        """Days covered in each quarter by medicines of the disease, as a share of a year."""
        dispensed = self.ill._dispensed()
        dispensed = dispensed[dispensed.disease12 == "hypertension"]
        dispensed = dispensed[dispensed.psn_no.isin(set(every.psn_no))]
        days = {str(who): _ticked(of) for who, of in dispensed.groupby("psn_no")}
        found = []
        for row in every.itertuples(index=False):
            first = row.month + 3 * row.quarter
            first += row.late - 3 if row.quarter > 0 else 0
            begin, end = (_day(first), _day(first + 3))
            own = days.get(row.psn_no)
            found.append(0.0 if own is None else float(own[begin:end].sum()) / 365)
        return found


def _day(month: int) -> int:
    return (pd.Timestamp(year=month // 12, month=month % 12 + 1, day=1) - _EPOCH).days


def _ticked(of: pd.DataFrame) -> np.ndarray:
    """The days a person had a medicine, counted from 2000: each generic is used up in turn, and a
    new year begins without what was left."""
    covered = np.zeros(11_000, dtype=bool)
    once = of.groupby(["year", "generic", "day"], as_index=False).supply.sum()
    for _, queue in once.sort_values("day").groupby(["year", "generic"]):
        free = -1
        for day, supply in zip(queue.day, queue.supply, strict=True):
            begin = max(free, int(day))
            free = begin + min(90, max(1, int(np.ceil(supply - 1e-9))))
            covered[begin:free] = True
    return covered


def _matched(pool: pd.DataFrame) -> Iterator[Person]:
    """Comparators dealt out in turn, at most three for each, nobody twice."""
    cells: dict[tuple[object, ...], list[object]] = defaultdict(list)
    heads: dict[tuple[object, ...], int] = defaultdict(int)
    rows = list(pool.itertuples(index=False))
    for row in rows:
        heads[_cell(row)] += bool(row.treated)
    best: dict[str, object] = {}
    for row in sorted(rows, key=lambda r: (r.psn_no, -heads[_cell(r)], r.month, r.late, r.city)):
        if not row.treated and heads[_cell(row)]:
            best.setdefault(row.psn_no, row)
    treated = {row.psn_no for row in rows if row.treated}
    seated = [row for row in rows if row.treated]
    seated += [row for name, row in best.items() if name not in treated]
    for row in sorted(seated, key=lambda r: (r.psn_no[-4:], r.psn_no)):
        cells[_cell(row)].append(row)
    number = 0
    for cell, own in cells.items():
        ours, theirs = [r for r in own if r.treated], [r for r in own if not r.treated]
        for turn, head in enumerate(ours):
            others = theirs[turn : MOST * len(ours) : len(ours)]
            if others:
                number += 1
                for row in (head, *others):
                    yield Person(row.psn_no, number, row is head, cell[0], cell[1])


def _cell(row: object) -> tuple[object, ...]:
    return tuple(getattr(row, name) for name in ("month", "late", *_KEY))


@dataclass(frozen=True)
class Found:
    """A coefficient with its clustered standard error, and how balanced the arms were before."""

    estimate: float
    error: float
    smd: float


def regressed(values: pd.DataFrame, outcome: str, window: str) -> Found:
    """The difference in differences as the coefficient of treated × after."""
    long = pd.concat(
        values[values.quarter.isin(quarters)].assign(after=after, length=len(quarters))
        for after, quarters in enumerate(WINDOWS[window])
    )
    long["y"] = long[outcome] * 4 / long.length
    many = values[~values.treated].groupby("set_no").psn_no.nunique()
    long = long.groupby(["psn_no", "set_no", "treated", "after"], as_index=False).y.sum()
    long["weight"] = np.where(long.treated, 1.0, 1 / long.set_no.map(many))
    long["one"] = long.treated.astype(int)
    with np.errstate(invalid="ignore"):  # no variance at all where nothing changed
        fit = smf.wls("y ~ one * after", long, weights=long.weight).fit(
            cov_type="cluster", cov_kwds={"groups": long.set_no}
        )
        error = float(fit.bse["one:after"])
    before = long[long.after == 0]
    arms = [_moments(before[before.treated == arm]) for arm in (True, False)]
    width = ((arms[0][1] + arms[1][1]) / 2) ** 0.5
    smd = (arms[0][0] - arms[1][0]) / width if width else float("nan")
    return Found(float(fit.params["one:after"]), error, float(smd))


def _moments(arm: pd.DataFrame) -> tuple[float, float]:
    mean = float(np.average(arm.y, weights=arm.weight))
    return mean, float(np.average((arm.y - mean) ** 2, weights=arm.weight))
