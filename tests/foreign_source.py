"""The canonical rows as an invented city's old system would export them; for import tests.

The layout is that of `examples/import/mapping.yaml`: other names, encodings, spellings of dates,
amounts and codes, refunds as positive amounts, values found only in other files.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.tiny_warehouse import Row, Rows

Layout = dict[str, Callable[[Row], Any]]

_SEX = {"1": "男", "2": "女"}
_TYPE = {"310": "职工", "390": "居民"}
_KIND = {"11": "在职", "14": "未成年"}


def _get(name: str) -> Callable[[Row], Any]:
    return lambda row: row.get(name)


def _slashed(name: str) -> Callable[[Row], str]:
    return lambda row: f"{row[name]:%Y/%-m/%-d}" if row.get(name) else ""


def _dotted(name: str) -> Callable[[Row], str]:
    return lambda row: f"{row[name]:%d.%m.%Y}" if row.get(name) else ""


def _moment(name: str) -> Callable[[Row], str]:
    return lambda row: f"{row[name]:%Y-%m-%d %H:%M:%S}"


def _positive(name: str) -> Callable[[Row], str]:
    return lambda row: f"{abs(row[name]):,.2f}"


def _short(name: str) -> Callable[[Row], str]:
    return lambda row: str(row[name]).lstrip("0")


LAYOUTS: dict[str, tuple[str, str, Layout]] = {
    "参保人.csv": (
        "psn_info_b",
        "gb18030",
        {
            "个人编号": _get("psn_no"),
            "姓名": lambda row: f"测试{row['psn_no']}",
            "性别": lambda row: _SEX[row["gend"]],
            "出生日期": _slashed("brdy"),
        },
    ),
    "参保信息.csv": (
        "psn_insu_d",
        "gb18030",
        {
            "参保编号": _get("psn_insu_rlts_id"),
            "个人编号": _get("psn_no"),
            "险种": lambda row: _TYPE[row["insutype"]],
            "身份": lambda row: _KIND[row["psn_type"]],
            "状态": lambda row: "正常",
            "参保日期": _dotted("crt_insu_date"),
            "停保日期": _dotted("paus_insu_date"),
            "参保地": _get("insu_admdvs"),
        },
    ),
    "jigou.txt": (
        "fixmedins_b",
        "utf-8",
        {
            "CODE": _get("fixmedins_code"),
            "NAME": _get("fixmedins_name"),
            "LEVEL": _short("hosp_lv"),
            "AREA": _get("fix_blng_admdvs"),
        },
    ),
    "visits/2024.csv": (
        "mdtrt_d",
        "utf-8",
        {
            "visit_no": _get("mdtrt_id"),
            "person": _get("psn_no"),
            "enrolment": _get("psn_insu_rlts_id"),
            "hospital": _get("fixmedins_code"),
            "came": _moment("begntime"),
            "left_at": _moment("endtime"),
            "category": _get("med_type"),
            "department": _get("adm_dept_codg"),
            "discharge": _get("dscg_way"),
            "main_diagnosis": _get("dscg_maindiag_code"),
            "remark": lambda row: 'said "fine",\nleft' if row["med_type"] == "21" else "",
        },
    ),
    "settlements.csv": (
        "setl_d",
        "utf-8",
        {
            "settle_no": _get("setl_id"),
            "visit_no": _get("mdtrt_id"),
            "born": _slashed("brdy"),
            "begndate": lambda row: f"{row['begndate']:%Y%m%d}",
            "enddate": _slashed("enddate"),
            "settled_at": _moment("setl_time"),
            "refund": lambda row: "Y" if row["refd_setl_flag"] == "1" else "N",
            "refund_of": _get("init_setl_id"),
            "midterm": lambda row: "N",
            "medfee_sumamt": _positive("medfee_sumamt"),
            "fulamt_ownpay_amt": _positive("fulamt_ownpay_amt"),
            "overlmt_selfpay": _positive("overlmt_selfpay"),
            "preselfpay_amt": _positive("preselfpay_amt"),
            "inscp_scp_amt": _positive("inscp_amt"),
            "hifp_pay": _positive("hifp_pay"),
            "maf_pay": lambda row: "-",
            "ratio_percent": lambda row: row["pool_prop_selfpay"] * 100,
            "psn_part_amt": _positive("psn_pay"),
            "acct_pay": _positive("acct_pay"),
            "psn_cash_pay": _positive("cash_payamt"),
        },
    ),
    "charges.csv": (
        "fee_list_d",
        "utf-8",
        {
            "line_no": _get("bkkp_sn"),
            "settle_no": _get("setl_id"),
            "visit_no": _get("mdtrt_id"),
            "charged_at": lambda row: f"{row['fee_ocur_time']:%Y/%m/%d %H:%M:%S}",
            "quantity": lambda row: abs(row["cnt"]),
            "price": _get("pric"),
            "amount": _positive("det_item_fee_sumamt"),
            "price_limit": _get("pric_uplmt_amt"),
            "own_share": _get("selfpay_prop"),
            "over_limit": _positive("overlmt_selfpay"),
            "pre_selfpay": _positive("preselfpay_amt"),
            "in_scope": _positive("inscp_amt"),
            "class": _short("chrgitm_lv"),
            "list": _get("list_type"),
            "item_code": _get("med_list_codg"),
            "category": _short("med_chrgitm_type"),
            "department": _get("bilg_dept_codg"),
        },
    ),
    "diagnoses.csv": (
        "setl_diag_list_d",
        "utf-8",
        {
            "visit_no": _get("mdtrt_id"),
            "position": _get("diag_srt_no"),
            "icd": lambda row: row["diag_code"][0].lower() + row["diag_code"][1:],
        },
    ),
    "drugs.csv": (
        "drug_cat_b",
        "utf-8",
        {
            "code": _get("med_list_codg"),
            "generic": _get("drug_genname"),
            "way": lambda row: "口服",
            "maker": _get("prodentp_name"),
            "atc": _get("atc_code"),
            "ddd_per_unit": _get("ddd_per_cnt"),
            "class": _short("chrgitm_lv"),
            "listed_from": _get("begndate"),
        },
    ),
    "drg.csv": (
        "drg_rslt_d",
        "utf-8",
        {
            "settle_no": _get("setl_id"),
            "drg": _get("drg_code"),
            "weight": _get("rw"),
            "standard_fee": _get("std_fee"),
            "kind": lambda row: "正常",
        },
    ),
}


def write_foreign(
    folder: Path, content: Rows, rubbish: dict[str, list[str]] | None = None
) -> dict[str, list[int]]:
    """The export in the folder; the lines of each file at which its rubbish stands."""
    places: dict[str, list[int]] = {}
    for name, (table, encoding, layout) in LAYOUTS.items():
        delimiter = "|" if name.endswith(".txt") else ","
        lines = _lines(content[table], layout, delimiter)
        bad = (rubbish or {}).get(name, [])
        text, places[name] = _mixed(lines, bad)
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode(encoding, errors="surrogateescape"))
    return places


def _lines(content: list[Row], layout: Layout, delimiter: str) -> list[str]:
    lines = [delimiter.join(layout) + "\n"]
    for row in content:
        out = io.StringIO()
        values = [value(row) for value in layout.values()]
        csv.writer(out, delimiter=delimiter, lineterminator="\n").writerow(values)
        lines.append(out.getvalue())
    return lines


def _mixed(lines: list[str], bad: list[str]) -> tuple[str, list[int]]:
    """Rubbish spread evenly among the good lines, and the physical line each begins at."""
    head, body = lines[0], lines[1:]
    step = max(len(body) // (len(bad) + 1), 1)
    text, line, places, left = head, 2, [], list(bad)
    for position, record in enumerate(body, 1):
        text, line = text + record, line + record.count("\n")
        if left and position % step == 0:
            places.append(line)
            text, line = text + left[0] + "\n", line + 1 + left[0].count("\n")
            left.pop(0)
    for record in left:
        places.append(line)
        text, line = text + record + "\n", line + 1 + record.count("\n")
    return text, places


def many(content: Rows, times: int) -> Rows:
    """The persons and all that is theirs, repeated under other keys and a week apart."""
    keyed = {"psn_no", "psn_insu_rlts_id", "mdtrt_id", "setl_id", "init_setl_id", "bkkp_sn"}
    keyed |= {"feedetl_sn", "init_feedetl_sn", "diag_info_id"}
    masters = {"admdvs_b", "fixmedins_b", "drug_cat_b"}
    out: Rows = {name: list(rows) for name, rows in content.items() if name in masters}
    for name, rows in content.items():
        if name not in masters:
            out[name] = [_clone(row, keyed, n) for n in range(times) for row in rows]
    return out


def _clone(row: Row, keyed: set[str], number: int) -> Row:
    return {
        name: f"{value}n{number}" if name in keyed and value is not None else value
        for name, value in row.items()
    }
