"""SPEC S14's definitions at their edges: who is a case, how supply counts, which stratum it makes.

Each example is a handful of records; the answer is read from the view `chronic_year`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from gateway.catalogue.load import load_catalogue
from gateway.releases.engine.sql import Library, written
from gateway.settings import Settings
from synthetic.warehouse.schema import TABLES, arrow_schema

LIBRARY = Library.of(load_catalogue(Settings().policies).rollups_sql())
CASES = written(LIBRARY.expanded("cases", "SELECT * FROM chronic_year WHERE year = '2024'"))
DRUGS = {"calcium": ("C08CA01", "28"), "beta": ("C07AB02", "28"), "statin": ("C10AA05", "28")}
NEW_YEAR = date(2024, 1, 1)


@dataclass
class Records:
    """One person insured all 2024, and the care written down."""

    rows: dict[str, list[dict[str, Any]]] = field(
        default_factory=dict
    )  # by the warehouse's columns

    def __post_init__(self) -> None:
        self.add("psn_info_b", psn_no="P", gend="1", brdy=date(1960, 1, 1))
        self.add("psn_insu_d", psn_insu_rlts_id="P", psn_no="P", insutype="310", psn_type="11",
                 insu_admdvs="990101", crt_insu_date=date(2020, 1, 1))  # fmt: skip
        for name, (atc, ddd) in DRUGS.items():
            self.add("drug_cat_b", med_list_codg=name, atc_code=atc, route="oral",
                     ddd_per_cnt=Decimal(ddd))  # fmt: skip
        self.visit(date(2024, 12, 31), "J06.900")

    def add(self, table: str, **row: Any) -> None:  # the columns' own types
        self.rows.setdefault(table, []).append({"vali_flag": "1", **row})

    def visit(self, day: date, dx: str | None = None, med_type: str = "11", **drugs: int) -> str:
        """A settlement of the day, with days of supply of some drugs."""
        name = f"S{len(self.rows.get('setl_d', ()))}"
        self.add("mdtrt_d", mdtrt_id=name, psn_no="P", med_type=med_type, dscg_maindiag_code=dx)
        self.bill(name, name, day, med_type)
        for drug, days in drugs.items():
            self.add("fee_list_d", bkkp_sn=f"{name}{drug}", setl_id=name, mdtrt_id=name,
                     psn_no="P", med_list_codg=drug, list_type="101", cnt=Decimal(1),
                     prd_days=Decimal(days) if days else None)  # fmt: skip
        return name

    def bill(self, name: str, of: str, day: date, med_type: str, **more: Any) -> None:
        self.add("setl_d", **{
            "setl_id": name, "mdtrt_id": of, "psn_no": "P", "insutype": "310", "psn_type": "11",
            "age": Decimal(64), "gend": "1", "insu_admdvs": "990101", "fix_blng_admdvs": "990101",
            "fixmedins_code": "H", "med_type": med_type, "refd_setl_flag": "0",
            "mid_setl_flag": "0", "begndate": day, "enddate": day,
            "setl_time": datetime.combine(day, time(9)), "medfee_sumamt": Decimal(100), **more,
        })  # fmt: skip

    def refund(self, of: str, day: date) -> None:
        self.bill(f"R{of}", of, day, "11", refd_setl_flag="1", init_setl_id=of,
                  medfee_sumamt=Decimal(-100))  # fmt: skip

    def cases(self) -> Mapping[str, Mapping[str, Any]]:
        """What is found of the person's 2024, by disease."""
        with duckdb.connect(config={"threads": 1}) as con:
            for name, table in TABLES.items():
                schema = arrow_schema(table)
                blank = {f.name: None if f.nullable else _filler(f.type) for f in schema}
                rows = [blank | row for row in self.rows.get(name, [])]
                con.register(f"own_{name}", pa.Table.from_pylist(rows, schema=schema))
                con.execute(f"CREATE VIEW {name} AS FROM own_{name}")
            found = con.sql(CASES).to_arrow_table().to_pylist()
        return {row["disease12"]: row for row in found}


def _filler(kind: pa.DataType) -> Any:  # a value of the column's own type
    if pa.types.is_decimal(kind):
        return Decimal(0)
    if pa.types.is_integer(kind):
        return 0
    if pa.types.is_timestamp(kind):
        return datetime(2020, 1, 1)  # noqa: DTZ001  (the warehouse holds local time)
    return date(2020, 1, 1) if pa.types.is_date(kind) else "0"


@pytest.fixture
def records() -> Records:
    return Records()


def on(number: int) -> date:
    """The day of the year that is so many days after New Year."""
    return NEW_YEAR + timedelta(days=number)


def every_month(records: Records) -> None:
    """Somebody's settlement each month, so that every month counts as insured."""
    for month in range(1, 13):
        records.visit(date(2024, month, 28), "J06.900")


@pytest.mark.parametrize(("apart", "found"), [(29, False), (30, True)])
def test_two_visits_make_a_case_from_thirty_days_apart(
    records: Records, apart: int, found: bool
) -> None:
    records.visit(on(10), "I10.x00")
    records.visit(on(10 + apart), "I10.x00")
    assert ("hypertension" in records.cases()) == found


def test_a_refunded_visit_is_none(records: Records) -> None:
    records.visit(on(10), "I10.x00")
    records.refund(records.visit(on(80), "I10.x00"), on(82))
    assert records.cases() == {}


def test_one_stay_makes_a_case_also_by_a_further_diagnosis(records: Records) -> None:
    stay = records.visit(on(10), "J18.900", "21")
    also = {"inout_diag_type": "2", "diag_type": "1", "maindiag_flag": "0", "diag_code": "E11.900"}
    records.add("setl_diag_list_d", diag_info_id="D", mdtrt_id=stay, psn_no="P", **also)
    (case,) = records.cases().values()
    assert (case["disease12"], case["by_stay"], case["stays"]) == ("diabetes", True, 1)
    assert (case["related_stays"], case["stratum5"]) == (0, "3")


@pytest.mark.parametrize(
    ("begin", "end", "found"),
    [
        (date(2020, 1, 1), None, True),
        (date(2024, 12, 31), None, True),
        (date(2025, 1, 1), None, False),
        (date(2020, 1, 1), date(2024, 1, 1), False),
        (date(2020, 1, 1), date(2024, 1, 2), True),
    ],
)
def test_a_registration_in_force_on_a_day_of_the_year_makes_a_case(
    records: Records, begin: date, end: date | None, found: bool
) -> None:
    records.add("opsp_reg_d", trt_dcla_detl_sn="T", psn_no="P", insutype="310",
                opsp_dise_code="M05300", begndate=begin, enddate=end)  # fmt: skip
    assert ("copd" in records.cases()) == found


@pytest.mark.parametrize(
    ("drug", "days", "found"),
    [("calcium", (10, 20), True), ("calcium", (10, 10), False), ("calcium", (10,), False),
     ("beta", (10, 100), False)],
)  # fmt: skip
def test_two_days_of_a_specific_drug_make_a_case_told_as_drug_only(
    records: Records, drug: str, days: Sequence[int], found: bool
) -> None:
    for number in days:
        records.visit(on(number), None, "41", **{drug: 14})
    cases = records.cases()
    assert ("hypertension" in cases) == found
    assert not found or cases["hypertension"]["drug_only"]


@pytest.mark.parametrize(
    ("fills", "covered", "gap"),
    [
        ({0: 90, 90: 90, 180: 90, 270: 90}, 360, False),
        ({0: 90, 60: 90, 180: 90, 270: 90}, 360, False),  # handed out early, used up later
        ({0: 90, 120: 90, 210: 90, 300: 66}, 336, False),  # 30 days without
        ({0: 90, 121: 90, 211: 90, 301: 65}, 335, True),  # 31 days without
        ({0: 90, 90: 99}, 180, True),  # never more than 90 days at once
        ({0: 0, 30: 0}, 56, True),  # nothing prescribed in days: 28 DDDs a pack
    ],
)
def test_supply_is_counted_day_by_day(
    records: Records, fills: Mapping[int, int], covered: int, gap: bool
) -> None:
    every_month(records)
    for day, days in fills.items():
        records.visit(on(day), None, "41", calcium=days)
    case = records.cases()["hypertension"]
    assert (case["window_days"], case["covered_days"], case["gap"]) == (366, covered, gap)


def test_two_drugs_at_a_time_cover_a_day_once(records: Records) -> None:
    every_month(records)
    records.visit(on(0), "I10.x00", calcium=60, beta=60)
    records.visit(on(60), "I10.x00", calcium=60)
    assert records.cases()["hypertension"]["covered_days"] == 120


@pytest.mark.parametrize(("first", "known"), [(366 - 91, True), (366 - 90, False)])
def test_supply_is_known_from_ninety_one_days_observed(
    records: Records, first: int, known: bool
) -> None:
    every_month(records)
    records.visit(on(first), None, "41", calcium=30)
    records.visit(on(first + 30), None, "41", calcium=30)
    assert (records.cases()["hypertension"]["pdc"] is not None) == known


def hypertensive(records: Records, supply: int) -> Records:
    """A case without anything else, supplied for so many of 300 days observed."""
    every_month(records)
    records.visit(on(66), "I10.x00", calcium=60)
    for start in range(60, supply, 60):
        records.visit(on(66 + start), "I10.x00", calcium=min(60, supply - start))
    return records


@pytest.mark.parametrize(("supply", "stratum"), [(240, "1"), (239, "2")])
def test_the_lowest_stratum_takes_eighty_days_of_a_hundred(
    records: Records, supply: int, stratum: str
) -> None:
    assert hypertensive(records, supply).cases()["hypertension"]["stratum5"] == stratum


EVENTS = {
    "an emergency visit": ([("R07.400", "13")], "3"),
    "a stay for something else": ([("K35.800", "21")], "3"),
    "a second disease": ([("E11.900", "11"), ("E11.900", "11")], "3"),
    "a related stay": ([("I10.x00", "21")], "4"),
    "two more diseases": ([("E11.900", "11"), ("J44.900", "11")] * 2, "4"),
    "two stays": ([("K35.800", "21"), ("S72.000", "21")], "5"),
    "heart failure in a stay": ([("I50.900", "21")], "5"),
    "dialysis": ([("Z99.200", "11"), ("Z99.200", "11")], "5"),
    "cancer under treatment": ([("C34.900", "11"), ("C34.900", "11")], "5"),
    "heart failure at one visit": ([("I50.900", "11")], "1"),
}


@pytest.mark.parametrize("event", EVENTS)
def test_what_happens_besides_decides_over_the_stratum(records: Records, event: str) -> None:
    happened, stratum = EVENTS[event]
    hypertensive(records, 300)
    for number, (dx, med_type) in enumerate(happened):
        records.visit(on(100 + 45 * number), dx, med_type)
    assert {row["stratum5"] for row in records.cases().values()} == {stratum}


def test_a_registration_for_cancer_without_care_for_it_is_a_second_disease(
    records: Records,
) -> None:
    hypertensive(records, 300)
    records.add("opsp_reg_d", trt_dcla_detl_sn="T", psn_no="P", insutype="310",
                opsp_dise_code="M00503", begndate=date(2020, 1, 1))  # fmt: skip
    assert records.cases()["cancer"]["stratum5"] == "3"
