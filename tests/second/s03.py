"""S03, second implementation: every person's days one by one, with the code lists people read.

Which diagnoses make a group and which operations a family is taken from the texts of
`codes_dx_group.csv` and `codes_ci_family.csv`. Enrolment and the time after an event are a truth
value for each day, where the service reckons with intervals.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pandas as pd

from tests.policy_factory import POLICIES
from tests.served_recount import Added, Found, Part, Quotient

FOLDER = POLICIES / "catalogue" / "S03"
CLEAN, FOLLOWED, LONG = 730, 365, date(2100, 1, 1)
KINDS_OF_CODE = {
    "dx": re.compile(r"\b[A-Z]\d\d(?:\.\d)?(?:-[A-Z]\d\d(?:\.\d)?)?\b"),
    "operation": re.compile(r"(?<![A-Z\d.])\d\d\.\d+(?:-\d\d\.\d+)?"),
    "filed": re.compile(r"\bM\d{5}\b"),
}
CHAPTERS = "ABCDEFGHIJKLMNOPQRSTVWXYZU"
Days = npt.NDArray[np.bool_]
Row = dict[str, Any]


def _spans(text: str) -> Iterator[tuple[str, str]]:
    """`C00-C43, Z51.1` as first and last codes."""
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        yield first, last or first


def _inside(code: str, spans: Iterable[tuple[str, str]]) -> bool:
    return any(first <= code[: len(first)] <= last for first, last in spans)


@dataclass
class Lists:
    """Groups and families as their lists say them."""

    groups: list[tuple[str, str, list[tuple[str, str]]]] = field(default_factory=list)
    families: list[tuple[str, Mapping[str, list[tuple[str, str]]]]] = field(default_factory=list)
    known: dict[tuple[str, str], set[str]] = field(default_factory=dict)

    @classmethod
    def read(cls) -> Lists:
        own = cls()
        for row in _csv("codes_dx_group.csv"):
            if not row["icd10"].startswith("rest"):
                own.groups.append((row["code"], row["parent"], list(_spans(row["icd10"]))))
        own.groups.sort(key=lambda one: -max(len(first) for first, _ in one[2]))  # splits first
        for row in _csv("codes_ci_family.csv"):
            rule = row["rule"].split(";")[0]
            found = {
                kind: [span for text in pattern.findall(rule) for span in _spans(text)]
                for kind, pattern in KINDS_OF_CODE.items()
            }
            own.families.append((row["code"], found))
        return own

    def of(self, dx: str, operation: str) -> set[str]:
        """Group and families of an encounter."""
        if (dx, operation) not in self.known:
            self.known[dx, operation] = self._of(dx, operation)
        return self.known[dx, operation]

    def _of(self, dx: str, operation: str) -> set[str]:
        found = {
            code
            for code, rule in self.families
            if _inside(dx, rule["dx"]) or _inside(operation, rule["operation"])
        }
        if len(dx) >= 3 and dx[0] in CHAPTERS:
            found.add(self.group(dx))
        return found

    def group(self, dx: str) -> str:
        """The finest group that has the code, or the rest of its chapter."""
        fine = [one for one in self.groups if any(len(s[0]) == 5 for s in one[2])]
        for code, _, spans in fine:
            if _inside(dx, [span for span in spans if len(span[0]) == 5]):
                return code
        for code, _, spans in self.groups:
            if _inside(dx, [span for span in spans if len(span[0]) == 3]):
                return code
        return "other." + chapter(dx)

    def filed(self, disease: str) -> set[str]:
        """What a registration stands for."""
        own = {"M03900": "I10-I15", "M01600": "E11-E14", "M04600": "I24-I25", "M04803": "I69",
               "M05300": "J44", "M07803": "N18.5"}  # fmt: skip
        found = {code for code, rule in self.families if _inside(disease, rule["filed"])}
        return found | ({own[disease]} if disease in own else set())


def _csv(name: str) -> list[dict[str, str]]:
    with (FOLDER / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def chapter(dx: str) -> str:
    """The ICD-10 chapter of a code."""
    last = ("B99", "D48", "D89", "E90", "F99", "G99", "H59", "H95", "I99", "J99", "K93", "L99",
            "M99", "N99", "O99", "P96", "Q99", "R99", "T98")  # fmt: skip
    if dx[0] in "VWXY":
        return "20"
    if dx[0] in "ZU":
        return "21" if dx[0] == "Z" else "22"
    return f"{1 + sum(dx[:3] > end for end in last):02d}"


@dataclass
class Person:
    """One person: enrolment day by day, and what there was of each target."""

    enrolled: Days
    seen: dict[str, list[Row]] = field(default_factory=dict)
    filed: dict[str, list[tuple[int, int, str]]] = field(default_factory=dict)
    _qualifying: dict[str, set[int]] = field(default_factory=dict)

    def qualifying(self, target: str) -> set[int]:
        """Days of stays and of visits with another 30 to 365 days away."""
        if target not in self._qualifying:
            self._qualifying[target] = self._found(target)
        return self._qualifying[target]

    def _found(self, target: str) -> set[int]:
        own = self.seen.get(target, [])
        visits = [one["day"] for one in own if one["care"] == "OP"]
        return {
            one["day"]
            for one in own
            if one["care"] == "IP" or any(30 <= abs(one["day"] - v) <= 365 for v in visits)
        }

    def known(self, target: str) -> Days:
        """On which days an event or a registration lies in the 730 days before."""
        days = np.zeros(len(self.enrolled), np.bool_)
        for day in self.qualifying(target):
            days[max(day + 1, 0) : max(day + CLEAN + 1, 0)] = True
        for first, end, _ in self.filed.get(target, []):
            days[max(first + 1, 0) : max(end + CLEAN, 0)] = True
        return days

    @cached_property
    def clean(self) -> Days:
        """Days insured, with 730 insured days of data before them. Asked once all spells are in."""
        days = len(self.enrolled)
        found = np.zeros(days, np.bool_)
        broken = np.append(0, np.cumsum(~self.enrolled))
        found[CLEAN:] = broken[CLEAN + 1 :] == broken[: max(days - CLEAN, 0)]
        return found

    def firsts(self, target: str) -> list[int]:
        """First qualifying events."""
        known, clean = self.known(target), self.clean
        events = self.qualifying(target) | {day for day, _, _ in self.filed.get(target, [])}
        return [d for d in sorted(events) if 0 <= d < len(clean) and clean[d] and not known[d]]


def frames(con: duckdb.DuckDBPyConnection) -> dict[str, pd.DataFrame]:
    """Cases, person-time and followed cases of the warehouse open in a connection."""
    return _Bureau(con, Lists.read()).frames()


class _Bureau:
    def __init__(self, con: duckdb.DuckDBPyConnection, lists: Lists) -> None:
        self.lists = lists
        first, last = con.execute(
            "SELECT date_trunc('month', min(setl_time))::DATE, last_day(max(setl_time)) FROM setl_d"
        ).fetchall()[0]
        self.zero, self.length = first, (last - first).days + 1
        self.months = sorted(
            {row[0] for row in con.execute(
                "SELECT date_trunc('month', setl_time)::DATE FROM setl_d").fetchall()}
        )  # fmt: skip
        self.spells = con.execute(
            "SELECT psn_no, insutype, coalesce(crt_insu_date, psn_insu_date), paus_insu_date, "
            "die_date, psn_insu_rlts_id, gend, brdy FROM psn_insu_d JOIN psn_info_b USING (psn_no) "
            "WHERE insutype IN ('310', '340', '390', '391', '392')"
        ).fetchall()
        self.people = {row[0]: Person(np.zeros(self.length, np.bool_)) for row in self.spells}
        self.bills = self._bills(con)
        self._see(con)
        self.time = [row for spell in self.spells for row in self._time(spell)]
        self.months_of: dict[str, list[Row]] = {}
        for row in self.time:
            self.months_of.setdefault(row["psn_no"], []).append(row)
        for number, person in self.people.items():
            clean = np.append(0, np.cumsum(person.clean))
            for row in self.months_of.get(number, []):
                row["clean"] = int(clean[row["high"]] - clean[row["low"]])

    def _at(self, day: date | None) -> int:
        return (day - self.zero).days if day else (LONG - self.zero).days

    def _bills(self, con: duckdb.DuckDBPyConnection) -> dict[str, list[Row]]:
        """Encounters of a cost by person."""
        found: dict[str, list[Row]] = {}
        for visit, person, day, house, fee, oop in con.execute(
            "SELECT mdtrt_id, psn_no, min(begndate), any_value(fixmedins_code), "
            "sum(medfee_sumamt)::DOUBLE, sum(psn_pay)::DOUBLE FROM setl_d GROUP BY ALL "
            "HAVING sum(medfee_sumamt) > 0"
        ).fetchall():
            row = {"visit": visit, "day": self._at(day), "house": house, "medfee": fee, "oop": oop}
            found.setdefault(person, []).append(row)
        return found

    def _see(self, con: duckdb.DuckDBPyConnection) -> None:
        kinds = {
            visit: (med, dx or "", operation or "")
            for visit, med, dx, operation in con.execute(
                "SELECT mdtrt_id, med_type, dscg_maindiag_code, oprn_oprt_code FROM mdtrt_d"
            ).fetchall()
        }
        for person in self.people:
            for bill in self.bills.get(person, []):
                med, dx, operation = kinds.get(bill["visit"], ("41", "", ""))
                if med.startswith("41"):
                    continue
                care = "IP" if med[0] == "2" or med[:2] == "52" else "OP"
                for target in self.lists.of(dx, operation):
                    row = {**bill, "care": care}
                    self.people[person].seen.setdefault(target, []).append(row)
        for person, disease, begin, end, house in con.execute(
            "SELECT psn_no, opsp_dise_code, begndate, enddate, ide_fixmedins_no FROM opsp_reg_d"
        ).fetchall():
            for target in self.lists.filed(disease[:6]) if person in self.people else ():
                spell = (self._at(begin), self._at(end), house)
                self.people[person].filed.setdefault(target, []).append(spell)

    def _time(self, spell: tuple[Any, ...]) -> Iterator[Row]:
        """A row for every month of a spell, with its days."""
        person, insutype, begin, pause, death, number, gend, born = spell
        first = self._at(begin)
        end = min(self._at(pause), self._at(death + timedelta(days=1) if death else None))
        self.people[person].enrolled[max(first, 0) : max(end, 0)] = True
        for month in self.months:
            start = self._at(month)
            stop = self._at((month + timedelta(days=31)).replace(day=1))
            low, high = max(start, first), min(stop, end)
            if low < high:
                years = month.year - born.year - ((month.month, month.day) < (born.month, born.day))
                yield {
                    "psn_no": person, "year": str(month.year), "month": month.month,
                    "insutype2": "employee" if insutype in {"310", "340"} else "resident",
                    "age10": "80+" if years >= 80 else _decade(max(years, 0)), "gend": gend,
                    "low": low, "high": high, "days": high - low, "spell": number,
                    "middle": month.month == 7 and first <= start,
                }  # fmt: skip

    def _standing(self) -> dict[tuple[str, str], Row]:
        """Who a person is in a year: as in July, else in the last month."""
        best: dict[tuple[str, str], Row] = {}
        for row in sorted(self.time, key=lambda r: r["spell"], reverse=True):
            key = (row["psn_no"], row["year"])
            rank = (row["month"] == 7, row["month"], row["days"])
            if key not in best or rank >= best[key]["rank"]:
                best[key] = {**row, "rank": rank}
        return best

    def frames(self) -> dict[str, pd.DataFrame]:
        cases, known, followed = [], [], []
        standing: dict[str, list[Row]] = {}
        for row in self._standing().values():
            standing.setdefault(row["psn_no"], []).append(row)
        for number, person in self.people.items():
            clean = person.clean
            for target in sorted(person.seen.keys() | person.filed.keys()):
                firsts = person.firsts(target)
                dark = np.append(0, np.cumsum(person.known(target) & clean))
                for row in standing.get(number, []):
                    here = {**_placed(target), **_own(row)}
                    cases += [{**here, **one} for one in self._case(number, target, row, firsts)]
                    followed += [
                        {**here, **self._after(number, target, day)}
                        for day in firsts
                        if self._year(day) == row["year"] and self._whole(person, day)
                    ]
                for row in self.months_of.get(number, []) if dark[-1] else ():
                    days = int(dark[row["high"]] - dark[row["low"]])
                    known.append({**_placed(target), **_own(row), "days": days})
        return {
            "morbid_case": pd.DataFrame(cases, columns=[*KEYS, *_CASE]),
            "morbid_time": pd.DataFrame(self.time),
            "morbid_known": pd.DataFrame(known, columns=[*KEYS, "days"]),
            "morbid_followed": pd.DataFrame(followed, columns=[*KEYS, *_AFTER]),
        }

    def _standing(self) -> dict[tuple[str, str], Row]:
        """Who a person is in a year: as in July, else in the last month."""
        best: dict[tuple[str, str], tuple[tuple[bool, int, int], Row]] = {}
        for row in sorted(self.time, key=lambda r: str(r["spell"]), reverse=True):
            key = (row["psn_no"], row["year"])
            rank = (row["month"] == 7, row["month"], row["days"])
            if key not in best or rank >= best[key][0]:
                best[key] = (rank, row)
        return {key: row for key, (_, row) in best.items()}

    def _case(self, number: str, target: str, row: Row, firsts: list[int]) -> Iterator[Row]:
        """By institution what the person's year cost for the target, if it makes a case."""
        person, year = self.people[number], row["year"]
        start, end = (self._at(date(int(year) + later, 1, 1)) for later in (0, 1))
        filed = [one for one in person.filed.get(target, []) if one[0] < end and one[1] > start]
        if not filed and not any(start <= day < end for day in person.qualifying(target)):
            return
        houses = {house: [0.0, 0.0] for *_, house in filed}
        for one in person.seen.get(target, []):
            if start <= one["day"] < end:
                bill = houses.setdefault(one["house"], [0.0, 0.0])
                bill[0] += one["medfee"]
                bill[1] += one["oop"]
        new = any(start <= day < end for day in firsts)
        for house, (fee, oop) in houses.items():
            yield {"house": house, "medfee": fee, "oop": oop, "new": number if new else None}

    def _after(self, number: str, target: str, day: int) -> Row:
        """What 365 days from an event cost."""
        until = day + FOLLOWED
        every = [b for b in self.bills.get(number, []) if day <= b["day"] < until]
        own = [b for b in self.people[number].seen.get(target, []) if day <= b["day"] < until]
        return {
            "cost12": sum(b["medfee"] for b in every),
            "own12": sum(b["medfee"] for b in own),
            "oop12": sum(b["oop"] for b in every),
        }

    def _whole(self, person: Person, day: int) -> bool:
        until = day + FOLLOWED
        return until <= self.length and bool(person.enrolled[day:until].all())

    def _year(self, day: int) -> str:
        return str((self.zero + timedelta(days=day)).year)


def _decade(years: int) -> str:
    return f"{years // 10 * 10}-{years // 10 * 10 + 9}"


def _own(row: Row) -> Row:
    return {name: row[name] for name in ("psn_no", "year", "insutype2", "age10", "gend")}


def _placed(target: str) -> Row:
    family = target.startswith("CI")
    above = target[-2:] if target.startswith("other.") else chapter(target)
    return {
        "dx_chapter": None if family else above,
        "dx_group": None if family else target,
        "ci_family": target if family else None,
    }


KEYS = (
    "psn_no", "year", "insutype2", "age10", "gend", "dx_chapter", "dx_group", "ci_family",
)  # fmt: skip
_CASE, _AFTER = ("house", "medfee", "oop", "new"), ("cost12", "own12", "oop12")
_DX = ("dx_chapter", "dx_group", "ci_family")
TABLES: dict[str, str] = {}


def _spread(column: str, percentile: int) -> Part:
    listed = f"list({column} ORDER BY {column})"
    return Part("morbid_followed", "amount", listed, percentile=percentile)


MEASURES: dict[str, dict[str, Found]] = {
    "S03": {
        "exposure_py": Part("morbid_time", "count", "sum(days) / 365.25", _DX),
        "insured": Part("morbid_time", "count", "count(DISTINCT psn_no) FILTER (middle)", _DX),
        "prevalent": Part("morbid_case", "count", "count(DISTINCT psn_no)"),
        "prevalence_1000": Quotient("prevalent", "insured", 2, 1000),
        "incident": Part("morbid_case", "count", "count(DISTINCT new)"),
        "_clean": Part("morbid_time", "count", "sum(clean) / 365.25", _DX),
        "_known": Part("morbid_known", "count", "sum(days) / 365.25"),
        "at_risk_py": Added({"_clean": 1, "_known": -1}),
        "incidence_100k": Quotient("incident", "at_risk_py", 1, 100_000),
        "medfee": Part("morbid_case", "amount", "sum(medfee)"),
        "oop": Part("morbid_case", "amount", "sum(oop)"),
        "avg_medfee": Quotient("medfee", "prevalent", 2),
        "avg_oop": Quotient("oop", "prevalent", 2),
        "followed": Part("morbid_followed", "count", "count(*)"),
        **{f"{name}_mean": Part("morbid_followed", "amount", f"avg({name})") for name in _AFTER},
        **{f"cost12_p{p}": _spread("cost12", p) for p in (50, 75, 90)},
        **{f"own12_p{p}": _spread("own12", p) for p in (50, 90)},
        "oop12_p90": _spread("oop12", 90),
    }
}
