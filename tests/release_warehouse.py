"""A small random bureau warehouse for release tests: right tables, invented persons, no realism."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gateway.releases.build import Order, build
from gateway.settings import Settings
from gateway.warehouse import store
from synthetic.warehouse.schema import TABLES, arrow_schema
from tests.waivers import INVENTED

Row = dict[str, Any]
COUNTIES = ("990101", "990102", "990103", "990111")
TINY = "990104"
LEVELS = ("02", "05", "05", "08", "08", "09", "11", "11", "02", "05", "02", "05", "08")
OUT_OF_AREA = range(9, 13)
FEE_CATS = ("03", "04", "08", "09", "11")
DRUGS = (
    ("XA10BA02001", "A10BA02", "oral", ("甲厂", "乙厂", "丙厂")),
    ("XC08CA01001", "C08CA01", "oral", ("甲厂", "乙厂", "丙厂")),
    ("XJ01DD04001", "J01DD04", "injection", ("甲厂", "丁厂")),  # too few makers
    ("XN05AH03001", "N05AH03", "oral", ("甲厂", "乙厂", "丙厂")),  # sensitive
    ("XQ99XX99001", "Q99XX99", "oral", ("甲厂", "乙厂", "丙厂")),  # in no list
)
DRGS = ("BR21", "BR23", "FM19", "ES31", "0000", "QX99")  # the last is in no list
DIAGNOSES = ("I63.900", "I25.100", "K80.200", "J18.900", "B20.x00")
GROUP_OF = dict(zip(DIAGNOSES, ("BR21", "FM19", "BR23", "ES31", "0000"), strict=True))
STRAY = 0.03
"""Share of stays that a grouper by diagnosis puts elsewhere."""


def _institutions() -> list[Row]:
    return [
        {
            "fixmedins_code": f"H{COUNTIES[i % 4]}{i:05d}",
            "fixmedins_name": f"测试医院{i}",
            "fixmedins_type": "1",
            "hosp_lv": level,
            "fix_blng_admdvs": "990201" if i in OUT_OF_AREA else COUNTIES[i % 4],
        }
        for i, level in enumerate(LEVELS)
    ]


def _persons(rng: np.random.Generator, n: int) -> tuple[list[Row], list[Row]]:
    people, enrolled = [], []
    for i in range(n):
        born = date(1940, 1, 1) + timedelta(days=int(rng.integers(0, 365 * 82)))
        age = 2024 - born.year
        employee = age >= 20 and rng.random() < 0.4
        kind = ("12" if age >= 58 else "11") if employee else _resident(age)
        home = TINY if i < 9 else COUNTIES[int(rng.integers(0, 4))]
        person = {"psn_no": f"P{i:06d}", "gend": str(1 + int(rng.integers(0, 2))), "brdy": born}
        people.append(person)
        enrolled.append(
            {
                "psn_insu_rlts_id": f"E{i:06d}",
                "psn_no": person["psn_no"],
                "insutype": "310" if employee else "390",
                "psn_type": kind,
                "psn_insu_stas": "1",
                "psn_insu_date": date(2015, 1, 1),
                "crt_insu_date": date(2015, 1, 1),
                "paus_insu_date": date(2024, 8, 1) if i % 40 == 0 else None,
                "insu_admdvs": home,
            }
        )
    return people, enrolled


def _resident(age: int) -> str:
    if age < 6:
        return "1402"
    return "1403" if age < 18 else ("15" if age < 60 else "16")


def _amount(value: float) -> Decimal:
    return Decimal(round(value * 100)).scaleb(-2)


class _Writer:
    """Collects settlements with their lines, encounters and groups."""

    def __init__(self, rng: np.random.Generator, *, by_diagnosis: bool = False):
        self.rng = rng
        self.by_diagnosis = by_diagnosis
        self.setl: list[Row] = []
        self.fee: list[Row] = []
        self.mdtrt: list[Row] = []
        self.drg: list[Row] = []

    def settle(self, person: Row, insured: Row, house: Row, when: datetime, med_type: str) -> None:
        number = len(self.mdtrt)
        stay = med_type.startswith("2")
        days = int(self.rng.integers(1, 40)) if stay else 0
        begin = when - timedelta(days=days)
        self.mdtrt.append(
            {
                "mdtrt_id": f"M{number:07d}",
                "psn_no": person["psn_no"],
                "med_type": med_type,
                "begntime": begin,
                "endtime": when,
                "dscg_maindiag_code": str(self.rng.choice(DIAGNOSES)) if stay else None,
            }
        )
        visit = {"begin": begin, "when": when, "med_type": med_type, "number": number}
        middle = stay and self.rng.random() < 0.05
        if middle:
            self._one(person, insured, house, **visit, middle="1")
        first = self._one(person, insured, house, **visit, middle="0")
        if self.rng.random() < 0.03:
            self._refund(first, when + timedelta(days=2))
        if stay:
            group = str(self.rng.choice(DRGS))
            if self.by_diagnosis and self.rng.random() >= STRAY:
                group = GROUP_OF[self.mdtrt[-1]["dscg_maindiag_code"]]
            self.drg.append(
                {
                    "setl_id": first["setl_id"],
                    "grp_ver": "T1",
                    "drg_code": group,
                    "mdc": group[0],
                    "adrg": group[:3],
                    "rw": Decimal("1.2000"),
                    "std_fee": _amount(9000),
                    "pay_std_amt": _amount(8800),
                    "case_type": str(self.rng.choice(["normal", "normal", "high", "low"])),
                }
            )

    def _one(self, person: Row, insured: Row, house: Row, *, begin: datetime, when: datetime,
             med_type: str, number: int, middle: str) -> Row:  # fmt: skip
        setl_id = f"S{len(self.setl):07d}"
        lines = self._lines(setl_id, person, number)
        total = sum((line["det_item_fee_sumamt"] for line in lines), Decimal(0))
        own = _amount(float(total) * 0.1)
        scope = total - own
        fund = _amount(float(scope) * 0.6)
        age = (when.date() - person["brdy"]).days / 365.25
        row = {
            "setl_id": setl_id,
            "mdtrt_id": f"M{number:07d}",
            "psn_no": person["psn_no"],
            "gend": person["gend"],
            "brdy": person["brdy"],
            "age": Decimal(int(age * 10)).scaleb(-1),
            "insutype": insured["insutype"],
            "psn_type": insured["psn_type"],
            "insu_admdvs": insured["insu_admdvs"],
            "fixmedins_code": house["fixmedins_code"],
            "hosp_lv": house["hosp_lv"],
            "fix_blng_admdvs": house["fix_blng_admdvs"],
            "begndate": begin.date(),
            "enddate": when.date(),
            "setl_time": when,
            "med_type": med_type,
            "medfee_sumamt": total,
            "fulamt_ownpay_amt": own,
            "inscp_amt": scope,
            "fund_pay_sumamt": fund,
            "hifp_pay": fund,
            "psn_pay": total - fund,
            "cash_payamt": total - fund,
            "refd_setl_flag": "0",
            "mid_setl_flag": middle,
        }
        self.setl.append(row)
        self.fee.extend(lines)
        return row

    def _lines(self, setl_id: str, person: Row, number: int) -> list[Row]:
        lines = []
        for category in self.rng.choice(FEE_CATS, size=int(self.rng.integers(1, 5))):
            drug = DRUGS[int(self.rng.integers(0, len(DRUGS)))]
            maker = int(self.rng.integers(0, len(drug[3])))
            is_drug = category in {"09", "11"}
            lines.append(
                {
                    "bkkp_sn": f"F{len(self.fee) + len(lines):08d}",
                    "setl_id": setl_id,
                    "mdtrt_id": f"M{number:07d}",
                    "psn_no": person["psn_no"],
                    "cnt": Decimal(int(self.rng.integers(1, 4))),
                    "det_item_fee_sumamt": _amount(float(self.rng.gamma(2.0, 60.0)) + 1),
                    "med_chrgitm_type": str(category),
                    "chrgitm_lv": str(self.rng.choice(["01", "02", "03"])),
                    "list_type": "101" if is_drug else "201",
                    "med_list_codg": f"{drug[0]}{maker}" if is_drug else "SERV",
                }
            )
        return lines

    def _refund(self, original: Row, when: datetime) -> None:
        setl_id = f"S{len(self.setl):07d}"
        negated = {
            k: -v if isinstance(v, Decimal) and k != "age" else v for k, v in original.items()
        }
        self.setl.append(
            {
                **negated,
                "setl_id": setl_id,
                "init_setl_id": original["setl_id"],
                "setl_time": when,
                "refd_setl_flag": "1",
            }
        )
        for line in [f for f in self.fee if f["setl_id"] == original["setl_id"]]:
            self.fee.append(
                {
                    **line,
                    "bkkp_sn": f"F{len(self.fee):08d}",
                    "setl_id": setl_id,
                    "cnt": -line["cnt"],
                    "det_item_fee_sumamt": -line["det_item_fee_sumamt"],
                }
            )


def _drugs() -> list[Row]:
    return [
        {
            "med_list_codg": f"{code}{i}",
            "drug_genname": f"测试药{atc}",
            "atc_code": atc,
            "route": route,
            "prodentp_name": maker,
            "ddd_per_cnt": Decimal("7.5"),
            "ddd_per_pac": Decimal("7.5"),
            "list_type": "101",
        }
        for code, atc, route, makers in DRUGS
        for i, maker in enumerate(makers)
    ]


def _filler(kind: pa.DataType) -> Any:  # a value of the column's own type
    if pa.types.is_decimal(kind):
        return Decimal(0)
    if pa.types.is_timestamp(kind):
        return datetime(2020, 1, 1)  # noqa: DTZ001  (the warehouse holds local time)
    return date(2020, 1, 1) if pa.types.is_date(kind) else "0"


def _write(folder: Path, table: str, rows: list[Row]) -> None:
    schema = arrow_schema(TABLES[table])
    blank = {f.name: None if f.nullable else _filler(f.type) for f in schema} | {"vali_flag": "1"}
    full = [blank | row for row in rows]
    pq.write_table(pa.Table.from_pylist(full, schema=schema), folder / f"{table}.parquet")


AMOUNTS = (
    "overlmt_selfpay", "preselfpay_amt", "hifes_pay", "hifmi_pay", "hifob_pay", "cvlserv_pay",
    "maf_pay", "acct_pay", "hifdm_pay", "othfund_pay",
)  # fmt: skip


def build_warehouse(
    home: Path, *, persons: int = 1500, visits: int = 9000, seed: int = 7, days: int = 366,
    by_diagnosis: bool = False,
) -> Path:  # fmt: skip
    """Write version `v1` below `home/warehouse` and point to it; the same seed, the same rows.

    The visits lie in the first `days` of 2024. With `by_diagnosis` nearly all stays of a diagnosis
    are in one group, which holds few others.
    """
    rng = np.random.default_rng(seed)
    people, enrolled = _persons(rng, persons)
    houses = _institutions()
    writer = _Writer(rng, by_diagnosis=by_diagnosis)
    kinds = rng.choice(["11", "14", "21", "41"], size=visits, p=[0.5, 0.1, 0.3, 0.1])
    for kind in kinds:
        i = int(rng.integers(0, persons))
        pharmacies = [h for h in houses if h["hosp_lv"] == "11"]
        others = [h for h in houses if h["hosp_lv"] != "11"]
        choice = pharmacies if kind == "41" else others
        when = datetime(2024, 1, 1, 9) + timedelta(days=int(rng.integers(0, days)))  # noqa: DTZ001
        house = choice[int(rng.integers(0, len(choice)))]
        writer.settle(people[i], enrolled[i], house, when, str(kind))
    zero = {name: Decimal(0) for name in AMOUNTS}
    folder = home / "warehouse" / "versions" / "draft"
    folder.mkdir(parents=True)
    places = [{"admdvs": code} for code in (*COUNTIES, TINY, "990100")]
    _write(folder, "psn_info_b", people)
    _write(folder, "psn_insu_d", enrolled)
    _write(folder, "fixmedins_b", houses)
    _write(folder, "mdtrt_d", writer.mdtrt)
    _write(folder, "setl_d", [zero | row for row in writer.setl])
    _write(folder, "fee_list_d", writer.fee)
    _write(folder, "drg_rslt_d", writer.drg)
    _write(folder, "drug_cat_b", _drugs())
    _write(folder, "admdvs_b", places)
    source = {"kind": "simulate", "made_by": "tests"}
    store.publish(home / "warehouse", folder, source, datetime(2026, 1, 1, tzinfo=UTC))
    return home / "warehouse"


@dataclass(frozen=True)
class Built:
    """A home with a warehouse and releases."""

    home: Path

    @property
    def settings(self) -> Settings:
        return Settings(home=self.home)

    @property
    def warehouse(self) -> Path:
        return store.current(self.home / "warehouse")


def release_all(home: Path) -> None:
    """Make a home of invented records with releases of all services."""
    build_warehouse(home)
    order = Order(waivers=INVENTED)
    build(Settings(home=home), order, datetime(2026, 1, 1, tzinfo=UTC))
