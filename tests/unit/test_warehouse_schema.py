"""The canonical schema: one dictionary of fields, every column classified, types that agree."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from synthetic.warehouse import schema
from synthetic.warehouse.schema import TABLES, arrow_schema, duckdb_columns

# SPEC 4.1: how many items each class has.
ITEMS = dict(zip(range(1, 13), (10, 8, 8, 9, 9, 10, 7, 5, 5, 5, 5, 6), strict=True))
COLUMNS = [(t.name, c) for t in TABLES.values() for c in t.columns]


def test_the_warehouse_has_its_tables() -> None:
    assert set(TABLES) == {
        "psn_info_b", "psn_insu_d", "fixmedins_b", "mdtrt_d", "setl_d", "setl_fund_d",
        "fee_list_d", "setl_diag_list_d", "drug_cat_b", "drg_rslt_d", "admdvs_b",
        "dip_rslt_d", "opsp_reg_d", "psn_clct_detl_d", "fund_flow_m", "mcs_cat_b", "vbp_agree_d",
        "recon_3201_d", "sel_trac_d", "chr_prog_d", "trac_flow_d", "drug_recl_b",
    }  # fmt: skip


def test_every_column_maps_to_one_item_of_the_classification() -> None:
    for table, column in COLUMNS:
        found = re.fullmatch(r"C(\d\d)-(\d\d)", column.item)
        assert found, (table, column.name, column.item)
        assert 1 <= int(found[2]) <= ITEMS[int(found[1])], (table, column.name, column.item)


def test_direct_identifiers_are_classified_as_such() -> None:
    person = TABLES["psn_info_b"]
    assert [person.column(n).item for n in ("psn_name", "certno", "psn_no", "tel", "brdy")] == [
        "C01-01", "C01-03", "C01-04", "C01-07", "C01-09",
    ]  # fmt: skip
    assert TABLES["fee_list_d"].column("bilg_dr_code").item == "C05-07"
    assert TABLES["fixmedins_b"].column("hosp_lv").item == "C08-01"


def test_names_are_unique_in_a_table_and_keys_are_mandatory() -> None:
    for table in TABLES.values():
        names = [c.name for c in table.columns]
        assert len(names) == len(set(names)), table.name
        assert all(table.column(key).mandatory for key in table.key), table.name


def test_no_interface_name_means_two_columns_of_one_table() -> None:
    for table in TABLES.values():
        own = {c.name for c in table.columns}
        aliases = [a for c in table.columns for a in c.interface_names]
        assert len(aliases) == len(set(aliases))
        assert own.isdisjoint(aliases), table.name


def test_interface_dialect_of_the_settlement_is_known() -> None:
    setl = TABLES["setl_d"]
    pairs = {"inscp_amt": "inscp_scp_amt", "psn_pay": "psn_part_amt", "othfund_pay": "oth_pay"}
    for name, alias in pairs.items():
        assert alias in setl.column(name).interface_names


def test_no_field_of_the_dictionary_is_unused() -> None:
    path = Path(schema.__file__).with_name("fields.csv")
    with path.open(encoding="utf-8", newline="") as file:
        named = {row["name"] for row in csv.DictReader(file)}
    assert named == {column.name for _, column in COLUMNS}


@pytest.mark.parametrize("name", sorted(TABLES))
def test_arrow_and_duckdb_agree_on_every_type(name: str) -> None:
    table = TABLES[name]
    empty = arrow_schema(table).empty_table()
    assert isinstance(empty, pa.Table)
    with duckdb.connect() as connection:
        connection.register("empty", empty)
        described = connection.execute("DESCRIBE SELECT * FROM empty").fetchall()
    assert {row[0]: row[1] for row in described} == dict(duckdb_columns(table))
