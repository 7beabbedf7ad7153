"""S10, second implementation: each person's dispensings walked day by day, curves by statsmodels.

Nothing is joined or ranked here: a person's fills of a generic are a list of days and supplies, and
stops, covered days, switches and episodes are read off it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

import duckdb
import numpy as np
import pandas as pd
from statsmodels.duration.survfunc import SurvfuncRight

from tests.served_recount import Found, Part, Quotient

YEAR, GRACE, LEAST = 365, 30, 11
GAPS = (30, 60, 90)
Fill = tuple[int, int]
"""Day and days of supply."""


@dataclass(frozen=True)
class First:
    """Where and from whom a dispensing came."""

    setl_id: str
    house: str
    maker: str
    amount: float


@dataclass(frozen=True)
class Person:
    """Fills by generic, ascending; and the first product of each."""

    fills: dict[str, list[Fill]]
    first: dict[tuple[str, int], First]

    def fresh(self, generic: str) -> Iterator[int]:
        """Days on which the generic is dispensed for the first time in a year."""
        former = None
        for day, _ in self.fills[generic]:
            if former is None or day - former > YEAR:
                yield day
            former = day

    def stop(self, generic: str, start: int, gap: int) -> int:
        """The day on which supply ends before a gap, of the use that begins on a day."""
        until = start
        for day, supply in self.fills[generic]:
            if day > start and day > until + GRACE + gap:
                break
            if day >= start:
                until = max(until, day + supply)
        return until

    def stop_of_class(self, atc4: str, start: int, gap: int) -> int:
        """The same of the class as a whole."""
        whole = sorted(fill for g, own in self.fills.items() if g[:5] == atc4 for fill in own)
        return Person({atc4: whole}, {}).stop(atc4, start, gap)

    def switches(self, generic: str) -> list[tuple[int, str]]:
        """When the generic was given up for which other one of its ATC level-3 class."""
        found = []
        for other in self.fills:
            if other == generic or other[:4] != generic[:4]:
                continue
            for day in self.fresh(other):
                before = [d + s for d, s in self.fills[generic] if day - 150 <= d <= day]
                again = any(day < d <= day + 90 for d, _ in self.fills[generic])
                if before and not again and abs(max(before) - day) <= 60:
                    found.append((day, other))
        return sorted(found)

    def added(self, generic: str, start: int) -> bool:
        """Whether another generic of the class was taken besides for 30 days."""
        moves = self.switches(generic)
        for other in self.fills:
            if other == generic or other[:4] != generic[:4]:
                continue
            for day in self.fresh(other):
                ends = min(self.stop(other, day, 60), self.stop(generic, start, 60))
                if start < day <= start + YEAR and ends - day >= 30 and (day, other) not in moves:
                    return True
        return False


class Bureau:
    """The tables as persons and their visits."""

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self.visits = con.sql(
            "SELECT setl_id, init_setl_id, psn_no, begndate, setl_time, fixmedins_code, "
            "insu_admdvs, gend, med_type, age::DOUBLE AS age FROM setl_d"
        ).df()
        lines = con.sql(
            "SELECT setl_id, med_list_codg, cnt::DOUBLE AS cnt, prd_days::DOUBLE AS prd, "
            "det_item_fee_sumamt::DOUBLE AS amount, atc_code || '.' || route AS generic, "
            "prodentp_name AS maker, ddd_per_cnt::DOUBLE AS ddd FROM fee_list_d "
            "JOIN drug_cat_b USING (med_list_codg) WHERE fee_list_d.list_type = '101' "
            "AND setl_id IS NOT NULL AND route IS NOT NULL"
        ).df()
        stay = self.visits.med_type.str[0].eq("2") & ~self.visits.med_type.isin(["2106", "2107"])
        lines = lines.merge(self.visits[~stay], on="setl_id")
        self.begin = _month(lines.begndate.min(), 0)
        self.end = _month(self.visits.setl_time.max(), 1)
        self.where = self.visits.set_index("setl_id")[["insu_admdvs", "gend", "age"]].to_dict(
            "index"
        )
        self.spells = con.sql(
            "SELECT psn_no, coalesce(crt_insu_date, psn_insu_date) AS a, "
            "least(coalesce(paus_insu_date, '2200-01-01'), coalesce(die_date + 1, '2200-01-01')) "
            "AS b FROM psn_insu_d JOIN psn_info_b USING (psn_no)"
        ).fetchall()
        self.people = self._people(lines)

    def _people(self, lines: pd.DataFrame) -> dict[str, Person]:
        lines["origin"] = lines.init_setl_id.fillna(lines.setl_id)
        stated = lines.prd.where(lines.prd > 0, lines.cnt * lines.ddd)
        lines["stated"] = stated.where(lines.cnt > 0, 0.0)
        lines["given"] = lines.cnt.clip(lower=0)
        keys = ["origin", "med_list_codg", "generic", "maker"]
        net = lines.groupby(keys)[["cnt", "given", "stated", "amount"]].sum().reset_index()
        net = net[net.cnt > 0].merge(
            self.visits[["setl_id", "psn_no", "begndate", "fixmedins_code"]],
            left_on="origin", right_on="setl_id",
        )  # fmt: skip
        net["supply"] = net.stated * net.cnt / net.given
        net = net.sort_values(["origin", "med_list_codg"])
        found: dict[str, Person] = defaultdict(lambda: Person(defaultdict(list), {}))
        for (psn, generic, day), own in net.groupby(["psn_no", "generic", "begndate"]):
            supply = int(min(90, max(1, np.floor(own.supply.sum() + 0.5))))
            at, top = pd.Timestamp(day).toordinal(), own.iloc[0]
            found[psn].fills[generic].append((at, supply))
            found[psn].first[generic, at] = First(
                top.origin, top.fixmedins_code, top.maker, float(own.amount.sum())
            )
        return found

    def insured(self) -> dict[str, list[list[int]]]:
        """Spells without a day between, as one."""
        found: dict[str, list[list[int]]] = defaultdict(list)
        for psn, a, b in sorted(self.spells):
            runs, first, last = found[psn], a.toordinal(), b.toordinal()
            if first >= last:
                continue
            if runs and first <= runs[-1][1]:
                runs[-1][1] = max(runs[-1][1], last)
            else:
                runs.append([first, last])
        return found


def _month(day: pd.Timestamp, later: int) -> int:
    months = day.year * 12 + day.month - 1 + later
    return date(months // 12, months % 12 + 1, 1).toordinal()


def _quarter(day: int, later: int = 0) -> int:
    at = date.fromordinal(day)
    quarters = at.year * 4 + (at.month - 1) // 3 + later
    return date(quarters // 4, quarters % 4 * 3 + 1, 1).toordinal()


def _periods(day: int) -> dict[str, str]:
    at = date.fromordinal(day)
    return {"year": str(at.year), "quarter": f"{at.year}Q{(at.month + 2) // 3}"}


def _starts(person: Person) -> Iterator[tuple[str, int]]:
    """The first dispensings after a year without the class."""
    former: dict[str, int] = {}
    for day, generic in sorted((d, g) for g, own in person.fills.items() for d, _ in own):
        if generic[:5] not in former or day - former[generic[:5]] > YEAR:
            yield generic, day
        former[generic[:5]] = day


def _users(bureau: Bureau) -> Iterator[dict[str, object]]:
    insured = bureau.insured()
    for psn, person in bureau.people.items():
        for generic, day in _starts(person):
            known = _quarter(day) - bureau.begin >= YEAR
            seen = bureau.end - _quarter(day, 1)
            run = next((r for r in insured[psn] if r[0] <= day - YEAR and day < r[1]), None)
            if known and seen >= 455 and run is not None:
                yield _user(bureau, psn, (generic, day), run[1] - day) | {"seen": seen}


def _user(bureau: Bureau, psn: str, at: tuple[str, int], enrolled: int) -> dict[str, object]:
    generic, start = at
    person = bureau.people[psn]
    days = {
        d
        for day, supply in person.fills[generic]
        if day >= start
        for d in range(day, min(day + supply, start + YEAR))
    }
    moves = [o for d, o in person.switches(generic) if start < d <= start + YEAR]
    whole = enrolled >= YEAR
    return {
        **_place(bureau, person.first[at], start),
        "psn_no": psn, "atc4": generic[:5], "generic": generic,
        "moved": moves[0][:5] if moves else "none",
        "pdc": len(days) / YEAR if whole else np.nan,
        "adherent": float(len(days) / YEAR >= 0.8) if whole else np.nan,
        "added": float(person.added(generic, start)),
        "departed": float(not whole), "enrolled": enrolled,
        **{f"stop{gap}": person.stop(generic, start, gap) - start for gap in GAPS},
        **{f"end{gap}": person.stop_of_class(generic[:5], start, gap) - start for gap in GAPS},
    }  # fmt: skip


def _place(bureau: Bureau, first: First, day: int) -> dict[str, object]:
    where = bureau.where[first.setl_id]
    years = int(where["age"]) // 10 * 10
    return {
        **_periods(day), "insu_admdvs": where["insu_admdvs"], "gend": where["gend"],
        "age10": f"{years}-{years + 9}" if years < 80 else "80+",
        "fixmedins_code": first.house, "maker": first.maker, "amount": first.amount,
    }  # fmt: skip


def _courses(users: pd.DataFrame) -> pd.DataFrame:
    parts = []
    for gap in GAPS:
        own = users[users.seen >= 395 + gap].copy()
        limit = (own.enrolled - GRACE - gap).clip(0, YEAR)
        own["gap"] = str(gap)
        for name, stop in (("", f"stop{gap}"), ("class_", f"end{gap}")):
            own[f"{name}stopped"] = (own[stop] <= limit).astype(int)
            own[f"{name}days"] = np.minimum(own[stop], limit)
        parts.append(own)
    return pd.concat(parts)


def _use(bureau: Bureau, several: set[str]) -> Iterator[dict[str, object]]:
    """Days in use by quarter, and switches."""
    for psn, person in bureau.people.items():
        for generic, fills in person.fills.items():
            if generic[:4] not in several:
                continue
            begin = fills[0][0]
            episodes = []
            while True:
                until = person.stop(generic, begin, 60)
                episodes.append((begin, until))
                later = [day for day, _ in fills if day > until + 90]
                if not later:
                    break
                begin = later[0]
            moves = person.switches(generic)
            for begin, until in episodes:
                row = {"psn_no": psn, "used_generic": generic}
                place = _place(bureau, person.first[generic, begin], begin)
                day = _quarter(begin)
                while day < until:
                    inside = min(_quarter(day, 1), until) - max(day, begin)
                    what = {"moved_to": "none", "days": inside, "switches": 0}
                    yield {**place, **row, **what, **_periods(day), "at": day}
                    day = _quarter(day, 1)
            for day, other in moves:
                begin = max(a for a, _ in episodes if a <= day)
                place = _place(bureau, person.first[generic, begin], begin)
                what = {"moved_to": other[:5], "days": 0, "switches": 1}
                row = {"psn_no": psn, "used_generic": generic}
                yield {**place, **row, **what, **_periods(day), "at": _quarter(day)}


def _kaplan_meier(records: Sequence[dict[str, int]], at: int, part: int) -> float:
    """The estimate on a day, or `part` × 1.96 standard errors beside it; of few records -1."""
    if len(records) < LEAST:
        return -1.0
    frame = pd.DataFrame(records)
    curve = SurvfuncRight(frame.days, frame.stopped)
    upto = curve.surv_times <= at
    if not upto.any():
        return 1.0
    point, error = curve.surv_prob[upto][-1], 0.0
    if point > 0:
        error = curve.surv_prob_se[upto][-1]
    return float(min(1.0, max(0.0, point + part * 1.959963984540054 * error)))


def frames(con: duckdb.DuckDBPyConnection) -> dict[str, pd.DataFrame]:
    """Index users, their courses by gap, and use by calendar quarter."""
    con.create_function(
        "kaplan_meier", _kaplan_meier,
        ["STRUCT(days INTEGER, stopped INTEGER)[]", "INTEGER", "INTEGER"], "DOUBLE",
    )  # fmt: skip
    bureau = Bureau(con)
    users = pd.DataFrame(list(_users(bureau)))
    if users.empty:
        return {}
    users["switched"] = np.where(users.moved == "none", "no", "yes")
    many = Counter(zip(users.year, users.generic, users.moved, strict=True))
    rare = [many[key] < LEAST for key in zip(users.year, users.generic, users.moved, strict=True)]
    users["switch_to"] = users.moved.mask(np.array(rare) & (users.moved != "none"), "other")
    listed = con.sql("SELECT DISTINCT atc_code || '.' || route AS g FROM drug_cat_b").fetchall()
    classes = Counter(str(g)[:4] for (g,) in listed if g)
    use = pd.DataFrame(list(_use(bureau, {c for c, n in classes.items() if n > 1})))
    settled = {_quarter(day.toordinal()) for day in bureau.visits.setl_time}
    use = use[(use["at"] - bureau.begin >= YEAR) & use["at"].isin(settled)]
    ends = use["at"].map(lambda day: _quarter(day, 1))
    return {
        "index_users": users,
        "index_courses": _courses(users),
        "generic_use": use[bureau.end - ends >= 90].assign(amount=lambda x: x.days + x.switches),
    }


def _curve(of: str, at: int, part: int) -> Part:
    days, stopped = f"days := {of}days::INTEGER", f"stopped := {of}stopped::INTEGER"
    records = f"list(struct_pack({days}, {stopped}))"
    return Part("index_courses", "cv", f"kaplan_meier({records}, {at}, {part})")


TABLES: dict[str, str] = {}
MEASURES: dict[str, dict[str, Found]] = {
    "S10": {
        "persons": Part("index_users", "count", "count(DISTINCT psn_no)"),
        "_all": Part("index_users", "count", "count(DISTINCT psn_no)", ("switched", "switch_to")),
        "switch_share": Quotient("persons", "_all"),
        "pdc_mean": Part("index_users", "cv", "avg(pdc)"),
        "adherent_share": Part("index_users", "cv", "avg(adherent)"),
        "add_on_share": Part("index_users", "cv", "avg(added)"),
        "departed_share": Part("index_users", "cv", "avg(departed)"),
        **{
            f"{of}persistence_{at}{suffix}": _curve(of, at, part)
            for of in ("", "class_")
            for at in (90, 180, 365)
            for suffix, part in (("", 0), ("_low", -1), ("_high", 1))
        },
        "use_years": Part("generic_use", "count", "sum(days) / 365.25", ("moved_to",)),
        "switches": Part("generic_use", "count", "sum(switches)"),
        "switch_rate": Quotient("switches", "use_years", 2, 100),
    }
}
