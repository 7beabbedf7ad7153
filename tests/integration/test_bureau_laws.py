"""A simulated warehouse is reproducible to the byte, obeys the integrity rules, names nobody."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from gateway.traces.forms import read_code
from gateway.traces.loading import load_traces, resold
from gateway.traces.source import TraceSource
from gateway.traces.standing import STATUSES, status_of
from synthetic.bureau import SimulationReport, simulate
from synthetic.bureau.people import populate
from synthetic.bureau.settings import Run
from synthetic.integrity.engine import check
from synthetic.warehouse.schema import TABLES, arrow_schema

SEED = 5
NOT_HERE = {"R13"}  # the rule about settlement lists, which this warehouse does not have
RESOLD = 60  # PT12: trace codes sold twice, which rule R24 is there to see


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SimulationReport]:
    folder = tmp_path_factory.mktemp("mini")
    return folder, simulate(folder, "mini", SEED, threads=1)


@pytest.fixture(scope="module")
def sql(made: tuple[Path, SimulationReport]) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        for name in TABLES:
            connection.execute(f"CREATE VIEW {name} AS FROM '{made[0] / name}.parquet'")
        yield connection


def count(sql: duckdb.DuckDBPyConnection, query: str) -> int:
    row = sql.execute(f"SELECT count(*) FROM {query}").fetchone()
    assert row is not None
    return int(row[0])


def test_same_seed_gives_the_same_bytes_on_any_number_of_threads(
    made: tuple[Path, SimulationReport], tmp_path: Path
) -> None:
    again = simulate(tmp_path, "mini", SEED, threads=3)
    assert again.files == made[1].files
    assert (tmp_path / "manifest.json").read_bytes() == (made[0] / "manifest.json").read_bytes()


def test_another_seed_gives_another_city() -> None:
    first, second = populate(Run("mini", SEED)), populate(Run("mini", SEED + 1))
    assert (first.birth != second.birth).mean() > 0.9


def test_the_manifest_names_every_file_and_knows_no_clock(
    made: tuple[Path, SimulationReport],
) -> None:
    manifest = json.loads((made[0] / "manifest.json").read_text(encoding="utf-8"))
    assert set(manifest["tables"]) == set(TABLES)
    assert manifest["persons"] == 2_000
    assert manifest["fictional"] is True
    assert all(manifest["tables"][n]["rows"] == rows for n, rows in made[1].rows.items())
    assert "2026-" not in json.dumps(manifest["tables"])


@pytest.mark.parametrize("name", sorted(TABLES))
def test_files_have_exactly_the_canonical_schema(
    made: tuple[Path, SimulationReport], name: str
) -> None:
    assert pq.read_schema(made[0] / f"{name}.parquet").equals(arrow_schema(TABLES[name]))


@pytest.mark.parametrize("name", sorted(TABLES))
def test_rows_lie_in_the_order_of_their_keys(
    made: tuple[Path, SimulationReport], name: str
) -> None:
    keys = pq.read_table(made[0] / f"{name}.parquet", columns=[TABLES[name].key[0]]).column(0)
    ordered = keys.to_pylist()
    assert ordered == sorted(ordered)


def test_every_integrity_rule_holds_but_those_that_see_what_was_planted(
    made: tuple[Path, SimulationReport], sql: duckdb.DuckDBPyConnection
) -> None:
    results = {r.rule.id: r for r in check(made[0]).results}
    mismapped = count(sql, "fee_list_d WHERE med_list_codg <> medins_list_codg[2:]")  # PT10
    assert {i: (r.failed, r.reasons) for i, r in results.items() if r.failed} == {
        "R19b": (mismapped, ()),
        "R24": (RESOLD, ()),
    }
    assert {i for i, r in results.items() if r.status != "passed"} == NOT_HERE | {"R19b", "R24"}


def test_legal_oddities_are_always_there(sql: duckdb.DuckDBPyConnection) -> None:
    assert count(sql, "setl_d WHERE refd_setl_flag = '1'") > 100
    assert count(sql, "setl_d WHERE mid_setl_flag = '1'") > 0
    assert count(sql, "fee_list_d WHERE setl_id IS NULL") > 0
    assert count(sql, "setl_d WHERE med_type IN ('16', '1403')") > 500


def test_a_refund_mirrors_its_lines(sql: duckdb.DuckDBPyConnection) -> None:
    query = """(SELECT 1 FROM fee_list_d r JOIN fee_list_d o ON r.init_feedetl_sn = o.bkkp_sn
      WHERE r.cnt <> -o.cnt OR r.inscp_amt <> -o.inscp_amt OR r.pric <> o.pric)"""
    assert count(sql, "fee_list_d WHERE init_feedetl_sn IS NOT NULL") > 100
    assert count(sql, query) == 0


def test_no_region_is_real(sql: duckdb.DuckDBPyConnection) -> None:
    for table, column in (
        ("psn_insu_d", "insu_admdvs"), ("setl_d", "insu_admdvs"), ("setl_d", "fix_blng_admdvs"),
        ("fee_list_d", "insu_admdvs"), ("admdvs_b", "admdvs"),
    ):  # fmt: skip
        assert count(sql, f"{table} WHERE left({column}, 2) NOT IN ('98', '99')") == 0
    assert count(sql, "setl_d WHERE substr(fixmedins_code, 2, 2) NOT IN ('98', '99')") == 0


def test_persons_are_visibly_invented(sql: duckdb.DuckDBPyConnection) -> None:
    persons = sql.execute("SELECT certno, psn_name, tel FROM psn_info_b").fetchall()
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    for number, name, phone in persons:
        right = "10X98765432"[
            sum(int(d) * w for d, w in zip(number[:17], weights, strict=True)) % 11
        ]
        assert len(number) == 18
        assert number.startswith("9901")
        assert number[17] != right, "a valid certificate number"
        assert name.startswith("测试")
        assert phone.startswith("1990000")


def test_drug_codes_have_the_national_form_and_an_invented_enterprise(
    sql: duckdb.DuckDBPyConnection,
) -> None:
    drugs = sql.execute("SELECT med_list_codg, prodentp_name FROM drug_cat_b").fetchall()
    assert len({code for code, _ in drugs}) == len(drugs)
    assert all(code.endswith("99999") for code, _ in drugs)
    assert all(len(code) == (23 if code[0] == "X" else 20) for code, _ in drugs)
    assert all(maker.startswith("虚构") for _, maker in drugs)


def test_the_small_county_has_nine_insured(sql: duckdb.DuckDBPyConnection) -> None:
    small = "psn_insu_d WHERE insu_admdvs = '990104'"
    assert count(sql, f"(SELECT DISTINCT psn_no FROM {small})") == 9
    assert count(sql, f"{small} AND paus_insu_date IS NULL") == 9


def test_light_year_has_headers_but_no_lines(sql: duckdb.DuckDBPyConnection) -> None:
    light = "setl_d s SEMI JOIN fee_list_d f USING (setl_id) WHERE s.setl_time < DATE '2023-01-01'"
    assert count(sql, light) == 0
    assert count(sql, "setl_d WHERE setl_time < DATE '2023-01-01'") > 1_000


def test_a_defect_profile_damages_what_it_says(tmp_path: Path) -> None:
    simulate(tmp_path, "mini", SEED, defects="heavy")
    failed = {r.rule.id: r.failed for r in check(tmp_path).results if r.failed}
    assert {"R01", "R14", "R19", "R23"} <= set(failed)
    with duckdb.connect() as connection:
        row = connection.execute(
            f"SELECT avg((ipt_days IS NULL)::INT) FROM '{tmp_path}/mdtrt_d.parquet' "
            "WHERE dscg_way IS NOT NULL"
        ).fetchone()
    assert row is not None
    assert row[0] == pytest.approx(0.95, abs=0.03)


def test_packs_move_before_and_after_their_sale_and_every_status_can_be_looked_up(
    made: tuple[Path, SimulationReport], tmp_path: Path
) -> None:
    now = datetime(2026, 1, 2, tzinfo=UTC)
    load_traces(made[0], tmp_path / "traces.db", b"k" * 32, now)
    with closing(duckdb.connect()) as db:
        for name in ("sel_trac_d", "trac_flow_d"):
            db.execute(f"CREATE VIEW {name} AS FROM '{made[0]}/{name}.parquet'")
        wrong = db.execute("""SELECT count(*) FROM trac_flow_d f
          LEFT JOIN sel_trac_d s ON s.drug_trac_codg = f.trac_codg AND s.trdn_flag = '0'
          WHERE f.flow_time::DATE NOT BETWEEN f.manu_date AND f.expy_end
            OR flow_type = '3503' AND s.sel_retn_time <= flow_time
            OR flow_type = '3506' AND coalesce(s.sel_retn_time >= flow_time, true)
            OR flow_type = '3504' AND s.sel_sn IS NOT NULL""").fetchone()
        moved = db.execute("SELECT trac_codg FROM trac_flow_d ORDER BY flow_type DESC LIMIT 900")
        codes = {str(row[0]) for row in moved.fetchall()}
    assert wrong == (0,)
    twice = {sale.code for sale in resold(made[0])}
    assert 0 < len(twice) <= RESOLD
    source = TraceSource(tmp_path / "traces.db", b"k" * 32)
    looked = {code: source.look(read_code(code)) for code in codes | twice}
    found = {code: status_of(each.pack, now.date()) for code, each in looked.items()}
    assert set(found.values()) >= {*STATUSES} - {"unknown", "expired"}
    assert all(found[code] in ("sold_more_than_once", "recalled") for code in twice)
    assert all(each.product for each in looked.values())
