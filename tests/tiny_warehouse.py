"""A hand-written valid warehouse of two invented persons: every integrity rule holds.

Tests take `rows()`, change one thing and see exactly what follows. A person and a resident child,
an outpatient visit, a stay with grouping, a pharmacy purchase, and a refunded visit.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from synthetic.warehouse.schema import TABLES, arrow_schema

Row = dict[str, Any]
Rows = dict[str, list[Row]]

_HOSPITAL, _CLINIC, _PHARMACY = "H99010100001", "H99010200002", "P99010100003"
_DRUG = "XC08CA01001"
_ADULT = {"psn_no": "PA", "gend": "1", "brdy": date(1970, 5, 1), "insutype": "310"}
_CHILD = {"psn_no": "PB", "gend": "2", "brdy": date(2015, 3, 1), "insutype": "390"}
_FUND_FIELDS = [
    "cvlserv_pay",
    "hifes_pay",
    "hifmi_pay",
    "hifob_pay",
    "hifdm_pay",
    "maf_pay",
    "othfund_pay",
]


def _money(value: str | int) -> Decimal:
    return Decimal(value).quantize(Decimal("0.01"))


def _age(born: date, on: date) -> Decimal:
    return Decimal(str(round((on - born).days / 365.25, 1)))


def _line(
    number: int,
    visit: Row,
    *,
    cnt: str,
    pric: str,
    lv: str,
    kind: str,
    code: str,
    prop: str = "0",
    limit: str | None = None,
) -> Row:
    amount = _money(Decimal(cnt) * Decimal(pric))
    over = Decimal(0)
    if lv == "03":
        own, preself, inscp, share = amount, Decimal(0), Decimal(0), Decimal(1)
    else:
        if limit is not None:
            over = _money(max(Decimal(pric) - Decimal(limit), Decimal(0)) * Decimal(cnt))
        share = Decimal(prop)
        own, preself = Decimal(0), _money((amount - over) * share)
        inscp = amount - over - preself
    return {
        "bkkp_sn": f"{visit['setl_id']}-{number}",
        "feedetl_sn": f"F{visit['setl_id']}-{number}",
        **{k: visit[k] for k in ("setl_id", "mdtrt_id", "psn_no", "fixmedins_code")},
        **{k: visit[k] for k in ("insu_admdvs", "pay_loc", "med_type")},
        "fee_ocur_time": visit["setl_time"] - timedelta(minutes=10),
        "cnt": Decimal(cnt),
        "pric": Decimal(pric),
        "det_item_fee_sumamt": amount,
        "pric_uplmt_amt": Decimal(limit) if limit else None,
        "selfpay_prop": share,
        "fulamt_ownpay_amt": own,
        "overlmt_selfpay": over,
        "preselfpay_amt": preself,
        "inscp_amt": inscp,
        "chrgitm_lv": lv,
        "list_type": "101" if kind == "09" else "201",
        "med_list_codg": code,
        "med_chrgitm_type": kind,
        "bilg_dept_codg": None if visit["med_type"] == "41" else "D01",
    }


def _visit(setl: str, person: Row, place: str, med_type: str, begin: date, *, days: int = 0) -> Row:
    employee = person["insutype"] == "310"
    return {
        "setl_id": setl,
        "mdtrt_id": f"M{setl}",
        **person,
        "psn_insu_rlts_id": f"E{person['psn_no']}",
        "age": _age(person["brdy"], begin),
        "psn_type": "11" if employee else "14",
        "cvlserv_flag": "0",
        "insu_admdvs": "990101" if employee else "990102",
        "pay_loc": "2",
        "fixmedins_code": place,
        "hosp_lv": {"H99010100001": "02", "H99010200002": "09"}.get(place, "11"),
        "fix_blng_admdvs": "990101",
        "begndate": begin,
        "enddate": begin + timedelta(days=days),
        "setl_time": datetime.combine(begin + timedelta(days=days), datetime.min.time())
        + timedelta(hours=15),
        "med_type": med_type,
        "setl_type": "2",
        "refd_setl_flag": "0",
        "mid_setl_flag": "0",
        "year": str(begin.year),
    }


def _settled(visit: Row, lines: list[Row], ratio: str, account: str = "0") -> Row:
    """The header of the lines: nothing deductible, the pool pays its ratio of what is in scope."""

    def total(name: str) -> Decimal:
        return sum((line[name] for line in lines), Decimal(0))

    medfee, inscp = total("det_item_fee_sumamt"), total("inscp_amt")
    pooled = _money(inscp * Decimal(ratio))
    paid = medfee - pooled
    zero = dict.fromkeys(_FUND_FIELDS, Decimal(0))
    return {
        **visit,
        **zero,
        "medfee_sumamt": medfee,
        **{n: total(n) for n in ("fulamt_ownpay_amt", "overlmt_selfpay", "preselfpay_amt")},
        "inscp_amt": inscp,
        "dedc_std": Decimal(0),
        "act_pay_dedc": Decimal(0),
        "pool_prop_selfpay": Decimal(ratio),
        "hifp_pay": pooled,
        "fund_pay_sumamt": pooled,
        "psn_pay": paid,
        "acct_pay": _money(account),
        "cash_payamt": paid - _money(account),
        "ownpay_hosp_part": Decimal(0),
        "acct_mulaid_pay": Decimal(0),
    }


_SIGNED_SETL = [
    "medfee_sumamt",
    "fulamt_ownpay_amt",
    "overlmt_selfpay",
    "preselfpay_amt",
    "inscp_amt",
    "hifp_pay",
    "fund_pay_sumamt",
    "psn_pay",
    "acct_pay",
    "cash_payamt",
]
_SIGNED_LINE = [
    "cnt",
    "det_item_fee_sumamt",
    "fulamt_ownpay_amt",
    "overlmt_selfpay",
    "preselfpay_amt",
    "inscp_amt",
]


def _refund(setl: Row, lines: list[Row]) -> tuple[Row, list[Row]]:
    back = {**setl, "setl_id": setl["setl_id"] + "R", "init_setl_id": setl["setl_id"]}
    back |= {name: -setl[name] for name in _SIGNED_SETL}
    back |= {"refd_setl_flag": "1", "setl_time": setl["setl_time"] + timedelta(days=1)}
    returned = [
        {
            **line,
            **{name: -line[name] for name in _SIGNED_LINE},
            "bkkp_sn": line["bkkp_sn"] + "R",
            "init_feedetl_sn": line["feedetl_sn"],
            "setl_id": back["setl_id"],
        }
        for line in lines
    ]
    return back, returned


def _funds(setl: Row) -> list[Row]:
    pool = "310100" if setl["insutype"] == "310" else "390100"
    parts = {pool: setl["hifp_pay"], "310200": setl["acct_pay"]}
    return [
        {"setl_id": setl["setl_id"], "fund_pay_type": kind, "fund_payamt": amount}
        for kind, amount in parts.items()
        if amount
    ]


def _encounter(setl: Row, main: str) -> Row:
    keys = [c.name for c in TABLES["mdtrt_d"].columns if c.name in setl]
    stay = setl["med_type"] == "21"
    return {
        **{key: setl[key] for key in keys},
        "begntime": datetime.combine(setl["begndate"], datetime.min.time()) + timedelta(hours=9),
        "endtime": setl["setl_time"] - timedelta(minutes=5),
        "inhosp_stas": "0",
        "adm_dept_codg": "D01" if stay else None,
        "dscg_way": "1" if stay else None,
        "dscg_maindiag_code": main if setl["med_type"] != "41" else None,
    }


def _diagnoses(encounter: Row, codes: list[str]) -> list[Row]:
    return [
        {
            "diag_info_id": f"{encounter['mdtrt_id']}-{i}",
            "mdtrt_id": encounter["mdtrt_id"],
            "psn_no": encounter["psn_no"],
            "inout_diag_type": "2",
            "diag_type": "1",
            "maindiag_flag": "1" if i == 1 else "0",
            "diag_srt_no": i,
            "diag_code": code,
        }
        for i, code in enumerate(codes, 1)
    ]


def _masters() -> Rows:
    regions = {"990000": None, "990100": "990000", "990101": "990100", "990102": "990100"}
    level = {"990000": "1", "990100": "2"}
    places = {_HOSPITAL: ("1", "02"), _CLINIC: ("1", "09"), _PHARMACY: ("2", "11")}
    return {
        "admdvs_b": [
            {
                "admdvs": code,
                "admdvs_name": f"虚构{code}",
                "prnt_admdvs": parent,
                "admdvs_lv": level.get(code, "3"),
            }
            for code, parent in regions.items()
        ],
        "fixmedins_b": [
            {
                "fixmedins_code": code,
                "fixmedins_name": f"测试机构{code[-1]}",
                "fixmedins_type": kind,
                "hosp_lv": lv,
                "fix_blng_admdvs": "990101",
            }
            for code, (kind, lv) in places.items()
        ],
        "drug_cat_b": [
            {
                "med_list_codg": _DRUG,
                "drug_genname": "测试地平",
                "route": "oral",
                "prodentp_name": "甲厂",
                "atc_code": "C08CA01",
                "ddd_per_cnt": Decimal("14"),
                "list_type": "101",
                "chrgitm_lv": "01",
                "begndate": date(2020, 1, 1),
            }
        ],
        "psn_info_b": [
            {k: person[k] for k in ("psn_no", "gend", "brdy")} for person in (_ADULT, _CHILD)
        ],
        "psn_insu_d": [
            {
                "psn_insu_rlts_id": f"E{person['psn_no']}",
                "psn_no": person["psn_no"],
                "insutype": person["insutype"],
                "hi_type": "1" if person["insutype"] == "310" else "2",
                "psn_type": "11" if person["insutype"] == "310" else "14",
                "psn_insu_stas": "1",
                "crt_insu_date": date(2020, 1, 1),
                "insu_admdvs": "990101" if person["insutype"] == "310" else "990102",
            }
            for person in (_ADULT, _CHILD)
        ],
    }


def rows() -> Rows:
    """The rows of every table, as fresh dictionaries."""
    visit = _visit("S1", _ADULT, _CLINIC, "11", date(2024, 2, 5))
    visit_lines = [
        _line(1, visit, cnt="2", pric="12.5", lv="01", kind="09", code=_DRUG),
        _line(2, visit, cnt="1", pric="10", lv="01", kind="02", code="110200001"),
    ]
    stay = _visit("S2", _ADULT, _HOSPITAL, "21", date(2024, 3, 1), days=5)
    stay_lines = [
        _line(1, stay, cnt="5", pric="300", lv="02", kind="01", code="110100001", prop="0.1"),
        _line(2, stay, cnt="1", pric="900", lv="01", kind="05", code="120400001", limit="800"),
        _line(3, stay, cnt="3", pric="50", lv="03", kind="08", code="130100001"),
    ]
    bought = _visit("S3", _ADULT, _PHARMACY, "41", date(2024, 4, 2))
    bought_lines = [_line(1, bought, cnt="1", pric="25", lv="01", kind="09", code=_DRUG)]
    undone = _visit("S4", _CHILD, _CLINIC, "11", date(2024, 2, 7))
    undone_lines = [_line(1, undone, cnt="1", pric="40", lv="01", kind="03", code="210100001")]
    headers = [
        _settled(visit, visit_lines, "0.7"),
        _settled(stay, stay_lines, "0.86"),
        _settled(bought, bought_lines, "0", account="25"),
        _settled(undone, undone_lines, "0.55"),
    ]
    back, back_lines = _refund(headers[3], undone_lines)
    encounters = [_encounter(setl, "I10.x00") for setl in headers]
    encounters[3]["dscg_maindiag_code"] = "J06.900"
    encounters[1]["dscg_maindiag_code"] = "I63.900"
    return {
        **_masters(),
        "mdtrt_d": encounters,
        "setl_d": [*headers, back],
        "setl_fund_d": [part for setl in [*headers, back] for part in _funds(setl)],
        "fee_list_d": [*visit_lines, *stay_lines, *bought_lines, *undone_lines, *back_lines],
        "setl_diag_list_d": [
            *_diagnoses(encounters[0], ["I10.x00"]),
            *_diagnoses(encounters[1], ["I63.900", "I10.x00"]),
            *_diagnoses(encounters[3], ["J06.900"]),
        ],
        "drg_rslt_d": [
            {
                "setl_id": "S2",
                "grp_ver": "CHS-DRG-2.0",
                "mdc": "B",
                "adrg": "BR2",
                "drg_code": "BR23",
                "rw": Decimal("1.15"),
                "std_fee": Decimal("3000"),
                "case_type": "normal",
            }
        ],
    }


def one(table: list[Row], **key: object) -> Row:
    """The one row with these values."""
    (found,) = [row for row in table if all(row[name] == value for name, value in key.items())]
    return found


def arrow(table: str, content: list[Row]) -> pa.Table:
    """The rows as a table of the canonical schema; valid unless they say otherwise."""
    schema = arrow_schema(TABLES[table])
    loose = pa.schema([pa.field(f.name, f.type) for f in schema])  # defects may be nulls
    stamped = [{"vali_flag": "1", "crte_time": row.get("setl_time"), **row} for row in content]
    return pa.Table.from_pylist(stamped, schema=loose)


def write(folder: Path, content: Rows) -> Path:
    """The warehouse as Parquet files in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in TABLES:
        pq.write_table(arrow(name, content.get(name, [])), folder / f"{name}.parquet")
    return folder
