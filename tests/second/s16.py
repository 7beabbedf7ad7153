"""S16, second implementation: a person is a list of dated codes, and a question is asked of each.

Reads the warehouse's files with pandas and nothing of the catalogue but the printed lists of codes;
no index, no sorted arrays: every criterion is a sentence about one person's record.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

CATALOGUE = Path(__file__).parents[2] / "policies" / "catalogue"
SENSITIVE = Path(__file__).parents[2] / "policies" / "data" / "sensitive.yaml"


@dataclass(frozen=True)
class Event:
    """What happened to a person on a day, where the person was insured, and how old."""

    day: date
    kind: str
    code: str
    city: str
    age: str


@dataclass
class Person:
    """One record."""

    sex: str
    events: dict[str, list[Event]] = field(default_factory=dict)
    months: set[int] = field(default_factory=set)


class Records:
    """Everybody in a warehouse."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.people = {
            str(row.psn_no): Person(str(row.gend))
            for row in self._table("psn_info_b", "psn_no", "gend").itertuples()
        }
        self._born = dict(self._table("psn_info_b", "psn_no", "brdy").itertuples(index=False))
        self._sensitive = yaml.safe_load(SENSITIVE.read_text(encoding="utf-8"))["sensitive"]
        self._settled()
        self._dispensed()
        self._registered()
        self._insured()

    def _table(self, name: str, *columns: str) -> pd.DataFrame:
        table = pd.read_parquet(self._folder / f"{name}.parquet", columns=[*columns, "vali_flag"])
        return table[table["vali_flag"] == "1"][list(columns)]

    def _add(self, person: str, day: Any, kind: str, code: str, *where: str) -> None:
        if person in self.people:
            own = self.people[person].events.setdefault(kind, [])
            own.append(Event(as_day(day), kind, code, *where))

    def _settled(self) -> None:
        """Main diagnoses and operations of encounters that count and were not undone."""
        setl = self._table(
            *("setl_d", "setl_id", "mdtrt_id", "psn_no", "setl_time", "begndate", "age"),
            *("mid_setl_flag", "refd_setl_flag", "init_setl_id", "insu_admdvs", "medfee_sumamt"),
        )
        care = self._table(
            "mdtrt_d", "mdtrt_id", "med_type", "dscg_maindiag_code", "oprn_oprt_code"
        )
        self.settlements = setl
        refunds = setl[setl["refd_setl_flag"] == "1"]
        undone = set(refunds["init_setl_id"].dropna())
        normal = setl[setl["refd_setl_flag"].fillna("0") != "1"].copy()
        normal["mid"] = normal["mid_setl_flag"].fillna("0") == "1"
        normal = normal.sort_values(["setl_time", "setl_id"], ascending=False, kind="stable")
        normal = normal.sort_values("mid", kind="stable")
        last = ~normal.duplicated("mdtrt_id")
        counted = normal[(last | ~normal["mid"]) & ~normal["setl_id"].isin(undone)]
        group = group_of()
        for row in counted.merge(care, on="mdtrt_id").itertuples():
            where = city(row.insu_admdvs), decade(float(row.age))
            dx, operation = row.dscg_maindiag_code, row.oprn_oprt_code
            diagnosed = isinstance(dx, str) and not self._hidden_dx(dx)
            if diagnosed and diagnoses(str(row.med_type)) and (code := group(dx)):
                self._add(row.psn_no, row.begndate, "dx_group", code, *where)
                self._add(row.psn_no, row.begndate, "dx_chapter", chapter(dx), *where)
            if isinstance(operation, str) and len(operation) >= 2:
                self._add(row.psn_no, row.begndate, "procedure", operation[:2], *where)

    def _hidden_dx(self, code: str) -> bool:
        return any(
            first <= code[:3] <= last
            for one in self._sensitive["dx"]
            if one["enabled"]
            for first, last in one["ranges"]
        )

    def _hidden_atc(self, code: str) -> bool:
        return any(code.startswith(one["prefix"]) for one in self._sensitive["prefix"]["atc"])

    def _dispensed(self) -> None:
        lines = self._table("fee_list_d", "setl_id", "med_list_codg", "list_type", "cnt")
        drugs = self._table("drug_cat_b", "med_list_codg", "atc_code", "route").dropna()
        setl = self.settlements
        origin = dict(
            zip(setl["setl_id"], setl["init_setl_id"].fillna(setl["setl_id"]), strict=True)
        )
        kept: dict[tuple[str, str], float] = defaultdict(float)
        for row in lines[lines["list_type"] == "101"].itertuples():
            if row.setl_id in origin:
                kept[origin[row.setl_id], row.med_list_codg] += float(row.cnt)
        by_id = {row.setl_id: row for row in setl.itertuples()}
        products = {row.med_list_codg: row for row in drugs.itertuples()}
        for (first, product), number in kept.items():
            if number <= 0 or product not in products:
                continue
            row, drug = by_id[first], products[product]
            if self._hidden_atc(drug.atc_code):
                continue
            where = city(row.insu_admdvs), decade(float(row.age))
            generic = f"{drug.atc_code}.{drug.route}"
            self._add(row.psn_no, row.begndate, "generic", generic, *where)
            for length in (1, 3, 4, 5):
                self._add(row.psn_no, row.begndate, "atc", drug.atc_code[:length], *where)

    def _registered(self) -> None:
        means = registrations()
        spells = self.spells = self._table(
            *("psn_insu_d", "psn_no", "insutype", "insu_admdvs", "crt_insu_date"),
            *("psn_insu_date", "paus_insu_date"),
        )
        held = spells[spells["insutype"].isin(["310", "340", "390", "391", "392"])]
        by_person = dict(iter(held.groupby("psn_no")))
        rows = self._table("opsp_reg_d", "psn_no", "opsp_dise_code", "begndate")
        for row in rows.itertuples():
            found = next((d for c, d in means if row.opsp_dise_code.startswith(c)), None)
            if found is None or found in ("mental", "hepatitis_b") or row.psn_no not in by_person:
                continue
            day = as_day(row.begndate)
            for spell in by_person[row.psn_no].itertuples():
                begins, ends = span(spell)
                if begins <= day < ends:
                    age = decade(age_on(as_day(self._born[row.psn_no]), day))
                    self._add(row.psn_no, day, "disease12", found, city(spell.insu_admdvs), age)

    def _insured(self) -> None:
        months = sorted({as_day(day).replace(day=1) for day in self.settlements["setl_time"]})
        died = dict(self._table("psn_info_b", "psn_no", "die_date").itertuples(index=False))
        for spell in self.spells.itertuples():
            if spell.insutype not in ("310", "340", "390", "391", "392"):
                continue
            begins, ends = span(spell)
            death = died.get(spell.psn_no)
            if death is not None and not pd.isna(death):
                ends = min(ends, as_day(death) + timedelta(days=1))
            for month in months:
                following = (month + timedelta(days=32)).replace(day=1)
                inside = max(begins, month) < min(ends, following)
                if inside and spell.psn_no in self.people:
                    self.people[spell.psn_no].months.add(month.year * 12 + month.month - 1)

    def cohorts(self, question: Mapping[str, Any]) -> tuple[list[set[str]], dict[str, int]]:
        """Who is left after each step, and the months of follow-up of who is left in the end."""
        entered = dict(self._entered(question))
        steps = [set(entered)]
        for criterion in question["criteria"]:
            steps.append({n for n in steps[-1] if self._holds(question, n, entered[n], criterion)})
        first, last = (int(question["period"][end]) for end in ("from", "to"))
        limit = range(first * 12, last * 12 + 12)
        follow = {n: self._run(n, entered[n].day, limit, 1) for n in steps[-1]}
        self.entered = entered
        return steps, {name: max(0, months) for name, months in follow.items()}

    def _inside(self, question: Mapping[str, Any], name: str, kind: str) -> Iterator[Event]:
        first, last = (int(question["period"][end]) for end in ("from", "to"))
        own = self.people[name].events.get(kind, ())
        return (event for event in own if first <= event.day.year <= last)

    def _entered(self, question: Mapping[str, Any]) -> Iterator[tuple[str, Event]]:
        asked = question["index"]
        for name in self.people:
            found = [
                event
                for event in self._inside(question, name, asked["kind"])
                if event.code in asked["codes"]
            ]
            if found:
                first = min(found, key=lambda e: (e.day, e.city, e.age))
                if first.city in question["geo"]:
                    yield name, first

    def _holds(
        self, question: Mapping[str, Any], name: str, first: Event, criterion: Mapping[str, Any]
    ) -> bool:
        match criterion["kind"]:
            case "age10":
                return first.age in criterion["values"]
            case "gend":
                return self.people[name].sex in criterion["values"]
            case "index_year":
                return str(first.day.year) in criterion["values"]
            case "enrolled":
                lower, upper = (int(question["period"][end]) for end in ("from", "to"))
                limit = range(lower * 12, upper * 12 + 12)
                before = self._run(name, first.day, limit, -1)
                after = self._run(name, first.day, limit, 1)
                return before >= criterion.get("before", 0) and after >= criterion.get("after", 0)
        found = any(
            event.code in criterion["codes"] and near(first.day, event.day, criterion.get("within"))
            for event in self._inside(question, name, criterion["kind"])
        )
        return found is not bool(criterion.get("exclude", False))

    def _run(self, name: str, day: date, limit: Iterable[int], step: int) -> int:
        """Months insured one after another from the one of a day on; -1 if not in that one."""
        allowed, months = set(limit), self.people[name].months
        month, length = day.year * 12 + day.month - 1, -1
        while month in months and month in allowed:
            month, length = month + step, length + 1
        return length


def near(index: date, day: date, within: Mapping[str, Any] | None) -> bool:
    if within is None:
        return True
    apart = (index - day).days if within["relation"] == "before" else (day - index).days
    return 1 <= apart <= within["days"]


def as_day(value: Any) -> date:
    return date(value.year, value.month, value.day)


def span(spell: Any) -> tuple[date, date]:
    begins = spell.psn_insu_date if pd.isna(spell.crt_insu_date) else spell.crt_insu_date
    ends = date(2999, 1, 1) if pd.isna(spell.paus_insu_date) else as_day(spell.paus_insu_date)
    return as_day(begins), ends


def city(county: str) -> str:
    return county[:4] + "00"


def decade(age: float) -> str:
    return "80+" if age >= 80 else f"{int(age // 10) * 10}-{int(age // 10) * 10 + 9}"


def age_on(born: date, day: date) -> int:
    return max(0, day.year - born.year - ((day.month, day.day) < (born.month, born.day)))


def diagnoses(med_type: str) -> bool:
    """Whether care of this kind makes diagnoses: all but pharmacies."""
    return med_type[:2] in {"11", "12", "13", "14", "15", "16", "51", "52", "81", "91"} or (
        med_type[0] == "2"
    )


def registrations() -> list[tuple[str, str]]:
    with (CATALOGUE / "S14" / "codes_disease12.csv").open(encoding="utf-8") as file:
        return [(code, row["code"]) for row in csv.DictReader(file) for code in row["opsp"].split()]


def group_of() -> Any:
    """A function of an ICD-10 code: its group by the printed list."""
    single: dict[str, str] = {}
    spans: list[tuple[str, str, str]] = []
    with (CATALOGUE / "S03" / "codes_dx_group.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            for part in row["icd10"].replace(" ", "").split(","):
                first, _, last = part.partition("-")
                if "." in first:
                    single[first] = row["code"]
                elif len(first) == 3 and first[1:].isdigit():
                    spans.append((first, last or first, row["code"]))

    def found(code: str) -> str | None:
        if chapter(code) is None:
            return None
        if code[:5] in single:
            return single[code[:5]]
        inside = (group for first, last, group in spans if first <= code[:3] <= last)
        return next(inside, f"other.{chapter(code)}")

    return found


def chapter(code: str) -> Any:
    letter = code[:1]
    if letter == "D":
        return "02" if code[:3] < "D50" else "03"
    if letter == "H":
        return "07" if code[:3] < "H60" else "08"
    letters = {"A": "01", "B": "01", "C": "02", "S": "19", "T": "19", "Z": "21", "U": "22"}
    letters |= dict.fromkeys("VWXY", "20")
    letters |= dict(zip("EFG", ("04", "05", "06"), strict=True))
    letters |= {c: f"{n:02d}" for n, c in enumerate("IJKLMNOPQR", 9)}
    return letters.get(letter)
