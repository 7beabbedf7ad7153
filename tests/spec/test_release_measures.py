"""Base measures of SPEC §5.1 on a handful of settlements, worked by hand."""

from __future__ import annotations

import duckdb
import pytest

from gateway.catalogue.load import load_catalogue
from gateway.settings import Settings
from synthetic.warehouse.schema import TABLES

CATALOGUE = load_catalogue(Settings().policies)
MONEY = (
    "fulamt_ownpay_amt", "overlmt_selfpay", "preselfpay_amt", "inscp_amt", "fund_pay_sumamt",
    "hifp_pay", "hifes_pay", "hifmi_pay", "hifob_pay", "cvlserv_pay", "maf_pay", "acct_pay",
    "cash_payamt", "psn_pay",
)  # fmt: skip

SAME = {
    "insu_admdvs": "990101",
    "insutype": "310",
    "psn_type": "11",
    "age": 40,
    "gend": "1",
    "hosp_lv": "02",
    "fix_blng_admdvs": "990101",
    "fixmedins_code": "H99010100001",
    "begndate": "2024-03-01",
    "enddate": "2024-03-08",
    **dict.fromkeys(MONEY, 0),
}

# Ann: an outpatient visit. Ben: a visit, refunded the next day. Cem: one stay with an intermediate
# mid-term settlement and a closing one. Dua: a visit that cost nothing.
SETTLEMENTS = """
    setl_id | mdtrt_id | psn_no | med_type | medfee | refund_of | middle
    A1      | EA       | Ann    | 11       | 100.00 | -         | 0
    B1      | EB       | Ben    | 11       |  80.00 | -         | 0
    B2      | EB       | Ben    | 11       | -80.00 | B1        | 0
    C1      | EC       | Cem    | 21       | 4000.00| -         | 1
    C2      | EC       | Cem    | 21       | 2500.00| -         | 0
    D1      | ED       | Dua    | 11       |   0.00 | -         | 0
"""


@pytest.fixture(scope="module")
def counted() -> dict[str, object]:
    con = duckdb.connect()
    rows = [
        [cell.strip() for cell in line.split("|")] for line in SETTLEMENTS.strip().splitlines()[1:]
    ]
    for table in TABLES:
        _empty(con, table)
    for at, (setl_id, mdtrt_id, person, med_type, fee, refund_of, middle) in enumerate(rows):
        row = {
            "setl_id": setl_id,
            "mdtrt_id": mdtrt_id,
            "psn_no": person,
            "med_type": med_type,
            "medfee_sumamt": fee,
            "init_setl_id": None if refund_of == "-" else refund_of,
            "mid_setl_flag": middle,
            "refd_setl_flag": "0" if refund_of == "-" else "1",
            "setl_time": f"2024-03-{10 + at:02d} 09:00:00",
            **SAME,
        }
        marks = ", ".join("?" * len(row))
        con.execute(f"INSERT INTO setl_d ({', '.join(row)}) VALUES ({marks})", [*row.values()])
    con.execute(CATALOGUE.rollups_sql())
    fact = CATALOGUE.fact_sql(CATALOGUE.services["S02"], "settlement")
    cursor = con.execute(
        "SELECT sum(settlements) AS settlements, sum(visits) AS visits, sum(stays) AS stays,"
        " sum(medfee) AS medfee, count(DISTINCT psn_no) FILTER (counting) AS persons"
        f" FROM ({fact})"
    )
    names = [column[0] for column in cursor.description]
    return dict(zip(names, cursor.fetchone(), strict=True))


def _empty(con: duckdb.DuckDBPyConnection, table: str) -> None:
    columns = ", ".join(f"{c.name} {c.duckdb_type}" for c in TABLES[table].columns)
    con.execute(f"CREATE TABLE {table} ({columns})")


def test_a_mid_term_settlement_counts_once_per_encounter(counted: dict[str, object]) -> None:
    assert counted["stays"] == 1


def test_a_refund_takes_its_visit_back(counted: dict[str, object]) -> None:
    assert counted["visits"] == 1 + (1 - 1) + 1  # Ann, Ben refunded, Dua


def test_refunds_stay_in_sums_and_so_do_mid_term_settlements(counted: dict[str, object]) -> None:
    assert str(counted["medfee"]) == "6600.00"


def test_persons_have_a_settlement_of_non_zero_cost(counted: dict[str, object]) -> None:
    assert counted["persons"] == 3  # Ann, Cem, and Ben whose refund does not undo that he was there
