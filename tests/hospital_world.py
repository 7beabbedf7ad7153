"""A small city of invented hospitals whose every case is known: for tests of one's own data.

Seven secondary hospitals of 990100 with three cases each in March 2024, a tertiary one alone in its
group, one in another city; one patient was in two hospitals, one case was refunded. Every person
has a name, a number, a certificate and a telephone that must never be seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from gateway.warehouse import store
from synthetic.warehouse.schema import TABLES, arrow_schema

MONTH = "2024-03"
SECONDARY = tuple(f"H990101{n:05d}" for n in range(1, 8))
TERTIARY = "H99011100008"
AWAY = "H99020100009"
HOUSES = (*SECONDARY, TERTIARY, AWAY)
CANARIES = ("CANARYPSN", "CANARYCERT", "CANARYTEL", "测试金丝雀")
REFUNDED = f"{SECONDARY[0]}-R"
PAYMENT = Decimal(9000)
GROUPS = (("BR23", "high"), ("BR23", "normal"), ("0000", "ungrouped"))
Row = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """One case: its number at its hospital, patient, department, cost and group."""

    number: str
    house: str
    person: str
    dept: str
    cost: Decimal
    drg: str
    kind: str
    refunded: bool = False


def cases() -> list[Case]:
    """All cases; the n-th hospital's cost n times 500 yuan more than 8 000, 8 200 and 8 400."""
    found = []
    for n, house in enumerate(HOUSES):
        for i, (drg, kind) in enumerate(GROUPS):
            person = "CANARYPSN-SHARED" if i == 0 and n < 2 else f"CANARYPSN-{n}-{i}"
            cost = Decimal(8000 + 500 * n + 200 * i)
            found.append(Case(f"{house}-{i}", house, person, f"K0{1 + i % 2}", cost, drg, kind))
    lost = Case(REFUNDED, SECONDARY[0], "CANARYPSN-R", "K01", Decimal(5000), "BR23", "normal", True)
    return [*found, lost]


def build_hospitals(home: Path) -> None:
    """Make it the current warehouse of a home; every table that is not told of is empty."""
    rows: dict[str, list[Row]] = {name: [] for name in TABLES}
    rows["fixmedins_b"] = [_house(code) for code in HOUSES]
    for person in sorted({case.person for case in cases()}):
        rows["psn_info_b"].append(_person(person))
        rows["psn_insu_d"].append(_enrolled(person))
    for case in cases():
        for table, row in _records(case):
            rows[table].append(row)
    folder = home / "warehouse" / "versions" / "draft"
    folder.mkdir(parents=True)
    for table, own in rows.items():
        schema = arrow_schema(TABLES[table])
        filled = [{**_blank(schema), "vali_flag": "1", **row} for row in own]
        pq.write_table(pa.Table.from_pylist(filled, schema=schema), folder / f"{table}.parquet")
    store.publish(home / "warehouse", folder, {"kind": "test"}, datetime(2025, 1, 1, tzinfo=UTC))


def _blank(schema: pa.Schema) -> Row:
    return {field.name: None if field.nullable else _zero(field.type) for field in schema}


def _zero(kind: pa.DataType) -> Any:  # a value of the column's type
    if pa.types.is_decimal(kind):
        return Decimal(0)
    if pa.types.is_timestamp(kind):
        return datetime(2000, 1, 1)  # noqa: DTZ001 - the warehouse's times have no zone
    if pa.types.is_date(kind):
        return date(2000, 1, 1)
    return 0 if pa.types.is_integer(kind) else "0"


def _house(code: str) -> Row:
    return {
        "fixmedins_code": code,
        "fixmedins_name": f"测试医院{code[-2:]}",
        "fixmedins_type": "1",
        "hosp_lv": "02" if code == TERTIARY else "05",
        "fix_blng_admdvs": code[1:7],
    }


def _person(number: str) -> Row:
    return {
        "psn_no": number,
        "psn_name": f"测试金丝雀{number[-3:]}",
        "certno": f"CANARYCERT{number[10:]}",
        "tel": f"CANARYTEL{number[10:]}",
        "gend": "1",
        "brdy": date(1980, 5, 1),
    }


def _enrolled(number: str) -> Row:
    return {
        "psn_insu_rlts_id": f"E{number}",
        "psn_no": number,
        "insutype": "310",
        "psn_type": "1101",
        "psn_insu_stas": "1",
        "insu_admdvs": "990101",
        "psn_insu_date": date(2015, 1, 1),
        "crt_insu_date": date(2015, 1, 1),
    }


def _records(case: Case) -> list[tuple[str, Row]]:
    visit: Row = {
        "mdtrt_id": f"M{case.number}",
        "psn_no": case.person,
        "fixmedins_code": case.house,
        "med_type": "21",
        "insutype": "310",
        "psn_type": "1101",
        "gend": "1",
        "brdy": date(1980, 5, 1),
    }
    begin, end = datetime(2024, 3, 4), datetime(2024, 3, 9)  # noqa: DTZ001 - as above
    settled = {
        **visit,
        "setl_id": f"S{case.number}",
        "medins_setl_id": case.number,
        "setl_time": end,
        "begndate": begin.date(),
        "enddate": end.date(),
        "insu_admdvs": "990101",
        "fix_blng_admdvs": case.house[1:7],
        "hosp_lv": "02" if case.house == TERTIARY else "05",
        "medfee_sumamt": case.cost,
        "inscp_amt": case.cost,
        "fund_pay_sumamt": case.cost / 2,
        "age": Decimal("43.8"),
        "refd_setl_flag": "0",
        "mid_setl_flag": "0",
        "crte_time": end,
    }
    setl = f"S{case.number}"
    drg = {"drg_code": case.drg, "case_type": case.kind, "rw": Decimal("1.1500")}
    dip = {"dip_code": "I63.9:", "dip_dx4": "I63.9", "dip_type": "1", "aux_flag": "0"}
    stay = {"begntime": begin, "endtime": end, "dscg_dept_codg": case.dept}
    rows = [
        ("mdtrt_d", {**visit, **stay, "dscg_maindiag_code": "I63.900"}),
        ("setl_d", settled),
        ("drg_rslt_d", {"setl_id": setl, **drg, "std_fee": Decimal(10000), "pay_std_amt": PAYMENT}),
        ("dip_rslt_d", {"setl_id": setl, **dip, "case_type": "normal", "score": Decimal("800.00"),
                        "pay_std_amt": Decimal(8800)}),
    ]  # fmt: skip
    if case.refunded:
        back = {name: -settled[name] for name in ("medfee_sumamt", "inscp_amt", "fund_pay_sumamt")}
        when = datetime(2024, 3, 20)  # noqa: DTZ001 - as above
        marks = {"setl_id": f"{setl}X", "init_setl_id": setl, "refd_setl_flag": "1",
                 "medins_setl_id": None, "setl_time": when}  # fmt: skip
        rows.append(("setl_d", {**settled, **back, **marks}))
    return rows
