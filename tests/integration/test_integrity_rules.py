"""Each integrity rule sees the one thing broken for it, and nothing else does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from synthetic.integrity.engine import check, engine, run_rules
from synthetic.integrity.model import Severity, Status, WarehouseUnreadable
from synthetic.integrity.rules import RULES
from tests.tiny_warehouse import Row, Rows, arrow, one, rows, write

BLOCKING = {"R01", "R02", "R03", "R04", "R05", "R06", "R07", "R09", "R12", "R19"}


@pytest.fixture(scope="module")
def loaded() -> Iterator[duckdb.DuckDBPyConnection]:
    """The valid warehouse in memory; tests change it inside a transaction they roll back."""
    with engine(threads=1) as connection:
        for name, content in rows().items():
            _replace(connection, name, content)
        yield connection


def _replace(connection: duckdb.DuckDBPyConnection, name: str, content: list[Row]) -> None:
    connection.register("fresh", arrow(name, content))
    connection.execute(f"CREATE OR REPLACE TABLE {name} AS FROM fresh")
    connection.unregister("fresh")


def _failed(connection: duckdb.DuckDBPyConnection, content: Rows) -> dict[str, int]:
    connection.begin()
    try:
        for name, valid in rows().items():
            if content[name] != valid:
                _replace(connection, name, content[name])
        results = run_rules(connection)
    finally:
        connection.rollback()
    return {r.rule.id: r.failed for r in results if r.status is Status.FAILED}


def test_rules_are_r01_to_r25_and_the_blocking_ones_are_those_of_the_specification() -> None:
    numbered = [f"R{n:02d}" for n in range(1, 26)]
    assert [rule.id for rule in RULES] == [*numbered[:19], "R19b", *numbered[19:]]
    assert {rule.id for rule in RULES if rule.severity is Severity.BLOCK} == BLOCKING


def test_a_valid_warehouse_passes_every_rule_it_has_tables_for(tmp_path: Path) -> None:
    report = check(write(tmp_path, rows()))
    assert {r.rule.id: r.failed for r in report.results if r.failed} == {}
    silent = {r.rule.id: r.reasons for r in report.results if r.status is Status.NOT_APPLICABLE}
    assert silent == {
        "R13": ("table setl_list_d absent",),
        "R19b": ("no rows to check",),
        "R22": ("table policy_caps absent",),
        "R24": ("table sel_trac_d empty",),
        "R25": ("table fund_flow_m empty",),
    }
    assert report.blocked_rules == ()


def _set(table: str, key: dict[str, object], **values: object) -> Callable[[Rows], None]:
    def change(content: Rows) -> None:
        one(content[table], **key).update(values)

    return change


def _drop(table: str, key: dict[str, object]) -> Callable[[Rows], None]:
    def change(content: Rows) -> None:
        content[table].remove(one(content[table], **key))

    return change


def _again(table: str, key: dict[str, object], **values: object) -> Callable[[Rows], None]:
    def change(content: Rows) -> None:
        content[table].append({**one(content[table], **key), **values})

    return change


def _at(month: int, day: int, hour: int = 0) -> datetime:
    return datetime.combine(date(2024, month, day), time(hour))


S1, S2, S3 = {"setl_id": "S1"}, {"setl_id": "S2"}, {"setl_id": "S3"}
LINE = {"bkkp_sn": "S1-2"}
D = Decimal

BROKEN = [
    ("R01", _set("fee_list_d", LINE, pric=D("10.02")), {"R01": 1}),
    ("R02", _set("fee_list_d", LINE, inscp_amt=D("9.90")), {"R02": 1, "R03": 1, "R04": 1}),
    ("R03 class", _set("fee_list_d", LINE, chrgitm_lv="02"), {"R03": 1}),
    ("R03 limit", _set("fee_list_d", {"bkkp_sn": "S2-2"}, pric_uplmt_amt=D(750)), {"R03": 1}),
    ("R04 lines lost", _drop("fee_list_d", LINE), {"R04": 1}),
    ("R04 light month", _drop("fee_list_d", {"bkkp_sn": "S3-1"}), {}),
    ("R04 no line in a full month", _drop("fee_list_d", {"bkkp_sn": "S4-1"}), {"R04": 1}),
    ("R05", _set("setl_d", S1, inscp_amt=D("34.9")), {"R04": 1, "R05": 1, "R10": 1}),
    ("R06", _set("setl_d", S1, maf_pay=D("1")), {"R06": 1}),
    ("R07", _set("setl_d", S1, ownpay_hosp_part=D("1")), {"R07": 1}),
    ("R08", _set("setl_d", S1, cash_payamt=D("1")), {"R08": 1}),
    ("R08 family", _set("setl_d", S3, acct_mulaid_pay=D("26")), {"R08": 1}),
    ("R09", _drop("setl_fund_d", {"setl_id": "S1"}), {"R09": 1}),
    ("R09 account", _set("setl_fund_d", S3, fund_payamt=D("24")), {"R09": 1}),
    ("R10", _set("setl_d", S1, act_pay_dedc=D("5")), {"R10": 1}),
    ("R10 ratio", _set("setl_d", S1, pool_prop_selfpay=D("0.5")), {"R10": 1}),
    ("R11", _set("psn_insu_d", {"psn_no": "PA"}, hi_type="2"), {"R11": 1}),
    ("R12 lost original", _set("setl_d", {"setl_id": "S4R"}, init_setl_id="S9"), {"R12": 1}),
    ("R12 other amount", _set("setl_d", {"setl_id": "S4R"}, init_setl_id="S1"), {"R12": 1}),
    ("R12 flag", _set("setl_d", {"setl_id": "S4R"}, refd_setl_flag="0"), {"R12": 1}),
    (
        "R14 order",
        _set("setl_diag_list_d", {"diag_info_id": "MS2-2"}, diag_srt_no=3),
        {"R14": 1},
    ),
    (
        "R14 two main",
        _set("setl_diag_list_d", {"diag_info_id": "MS2-2"}, maindiag_flag="1"),
        {"R14": 1},
    ),
    ("R14 main lost", _set("mdtrt_d", {"mdtrt_id": "MS2"}, dscg_maindiag_code=None), {"R14": 1}),
    (
        "R15",
        _set("mdtrt_d", {"mdtrt_id": "MS1"}, begntime=_at(2, 5, 23)),
        {"R15": 1},
    ),
    ("R15 line", _set("fee_list_d", LINE, fee_ocur_time=_at(2, 8)), {"R15": 1}),
    ("R15 settled", _set("setl_d", S1, setl_time=_at(2, 4)), {"R15": 1}),
    ("R16 age", _set("setl_d", S1, age=D("50.0")), {"R16": 1}),
    ("R16 whole years", _set("setl_d", S1, age=D("53.0")), {}),
    (
        "R16 sex",
        _set("setl_diag_list_d", {"diag_info_id": "MS2-2"}, diag_code="N80.000"),
        {"R16": 1},
    ),
    ("R17", _set("psn_insu_d", {"psn_no": "PB"}, psn_type="11"), {"R17": 1}),
    ("R18", _set("setl_d", S3, fixmedins_code="H99010200002"), {"R18": 1}),
    ("R18 dept", _set("fee_list_d", {"bkkp_sn": "S3-1"}, bilg_dept_codg="D01"), {"R18": 1}),
    ("R19 code", _set("setl_d", S1, med_type="88"), {"R19": 1}),
    ("R19 local extension", _set("setl_d", S1, med_type="110104"), {}),
    ("R19 region", _set("setl_d", S1, insu_admdvs="990177"), {"R19": 1}),
    ("R19 institution", _set("setl_d", S1, fixmedins_code="H99010100009"), {"R19": 1}),
    ("R19 drug", _set("fee_list_d", {"bkkp_sn": "S3-1"}, med_list_codg="X0"), {"R19": 1}),
    (
        "R19 drug not yet valid",
        _set("drug_cat_b", {"atc_code": "C08CA01"}, begndate=date(2024, 3, 1)),
        {"R19": 1},
    ),
    (
        "R19 diagnosis",
        _set("setl_diag_list_d", {"diag_info_id": "MS2-2"}, diag_code="I1"),
        {"R19": 1},
    ),
    ("R19 parent", _set("admdvs_b", {"admdvs": "990102"}, prnt_admdvs="990300"), {"R19": 1}),
    (
        "R20 overlap",
        _again(
            "mdtrt_d",
            {"mdtrt_id": "MS2"},
            mdtrt_id="MX",
            begntime=_at(3, 3),
            inhosp_stas="1",
        ),
        {"R20": 1},
    ),
    (
        "R20 outpatient inside",
        _set("setl_d", S1, begndate=date(2024, 3, 3), enddate=date(2024, 3, 3), age=D("53.8")),
        {"R20": 1, "R15": 1},
    ),
    ("R21", _set("psn_insu_d", {"psn_no": "PB"}, insutype="310", psn_type="11"), {"R21": 2}),
    ("R23", _set("drg_rslt_d", S2, case_type="high"), {"R23": 1}),
    ("R23 version", _set("drg_rslt_d", S2, grp_ver=None), {"R23": 1}),
    ("R23 outpatient", _set("drg_rslt_d", S2, setl_id="S1"), {"R23": 1}),
]


@pytest.mark.parametrize(
    ("change", "expected"), [b[1:] for b in BROKEN], ids=[b[0] for b in BROKEN]
)
def test_one_broken_thing_fails_its_rule_with_its_count(
    loaded: duckdb.DuckDBPyConnection,
    change: Callable[[Rows], None],
    expected: dict[str, int],
) -> None:
    content = rows()
    change(content)
    found = _failed(loaded, content)
    assert found == {rule: count for rule, count in expected.items() if count}


def _sale(number: str, day: int, made: date, split: str, code: str) -> Row:
    return {
        "sel_sn": number, "finl_trns_pric": D("1.5"), "manu_date": made,
        "expy_end": date(2026, 1, 1), "sel_retn_time": _at(4, day), "trdn_flag": split,
        "drug_trac_codg": code * 20,
    }  # fmt: skip


def test_rules_about_sales_ledger_and_caps_run_when_there_is_something_to_check(
    tmp_path: Path,
) -> None:
    early, late = date(2024, 1, 1), date(2024, 9, 1)
    sales = [_sale("A", 1, early, "0", "1"), _sale("B", 2, early, "0", "1")]
    sales += [_sale("C", 3, early, "1", "1"), _sale("D", 4, late, "0", "2")]
    ledger = {"ym": "202402", "insutype": "310", "fund_type": "pooled"}
    ledger |= {"flow": "benefit_op", "amt": D("25.00")}
    folder = write(tmp_path, {**rows(), "sel_trac_d": sales, "fund_flow_m": [ledger]})
    (folder / "policy.json").write_text(
        '{"annual_caps": [{"insutype": "310", "field": "hifp_pay", "cap": "1000.00"}]}'
    )
    report = check(folder)
    failed = {r.rule.id: r.failed for r in report.results if r.failed}
    # one code sold twice unsplit, one sold before it was made; 24.50 settled against 25.00 booked;
    # more pooled payment in the year than the cap
    assert failed == {"R22": 1, "R24": 2, "R25": 1}
    assert report.result("R24").sample == ("B", "D")


def test_a_rule_whose_foreign_table_has_other_columns_is_not_applicable(tmp_path: Path) -> None:
    folder = write(tmp_path, rows())
    for name in ("setl_list_d", "setl_list_item_d"):
        pq.write_table(pa.table({"month": ["202402"]}), folder / f"{name}.parquet")
    result = check(folder).result("R13")
    assert result.status is Status.NOT_APPLICABLE
    assert result.reasons == ("table setl_list_d lacks column setl_id",)


def test_an_empty_catalogue_leaves_its_part_of_r19_unchecked_and_says_so(tmp_path: Path) -> None:
    result = check(write(tmp_path, {**rows(), "drug_cat_b": []})).result("R19")
    assert result.status is Status.PASSED
    assert result.reasons == ("table drug_cat_b empty",)


def test_invalid_rows_are_looked_at_by_no_rule(tmp_path: Path) -> None:
    content = rows()
    content["fee_list_d"].append({**content["fee_list_d"][0], "bkkp_sn": "dead", "vali_flag": "0"})
    assert check(write(tmp_path, content)).blocked_rules == ()


def test_a_folder_that_is_no_warehouse_is_named_as_such(tmp_path: Path) -> None:
    with pytest.raises(WarehouseUnreadable, match="no Parquet table"):
        check(tmp_path)
    folder = write(tmp_path, rows())
    pq.write_table(pa.table({"setl_id": ["S1"]}), folder / "setl_d.parquet")
    with pytest.raises(WarehouseUnreadable, match=r"setl_d.parquet lacks columns: mdtrt_id"):
        check(folder)
