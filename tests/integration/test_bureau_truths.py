"""The marginals of SPEC 3.1 and the truths planted by SPEC 3.12, read back from a `ci` warehouse.

Tolerances are wider than at `demo`, by the sampling error of a tenth of the persons.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import duckdb
import pytest

from synthetic.bureau import simulate
from synthetic.warehouse.schema import TABLES

_NORMAL = """CREATE TABLE s AS SELECT *, year(setl_time) AS y,
  CASE clr_type WHEN '21' THEN 'IP' WHEN '41' THEN 'RX' ELSE 'OP' END AS k,
  CASE WHEN hosp_lv <= '04' THEN 'T' WHEN hosp_lv <= '07' THEN 'S' ELSE 'P' END AS lv
FROM setl_d WHERE refd_setl_flag = '0' AND setl_id NOT IN
  (SELECT init_setl_id FROM setl_d WHERE init_setl_id IS NOT NULL)"""


@pytest.fixture(scope="module")
def sql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    folder = tmp_path_factory.mktemp("ci")
    simulate(folder, "ci", 1)
    with duckdb.connect() as connection:
        for name in TABLES:
            connection.execute(f"CREATE VIEW {name} AS FROM '{folder / name}.parquet'")
        connection.execute(_NORMAL)
        yield connection


def table(sql: duckdb.DuckDBPyConnection, query: str) -> dict[Any, float]:  # Any: one or two keys
    """First columns → last column."""
    rows = sql.execute(query).fetchall()
    return {r[:-1] if len(r) > 2 else r[0]: float(r[-1]) for r in rows}


def test_events_per_person_year_meet_the_national_rates(sql: duckdb.DuckDBPyConnection) -> None:
    found = table(sql, """
      WITH e AS (SELECT insutype, sum(date_diff('day', greatest(crt_insu_date, DATE '2023-01-01'),
          least(coalesce(paus_insu_date, DATE '2026-01-01'), DATE '2026-01-01'))) / 365.25 AS py
        FROM psn_insu_d WHERE coalesce(paus_insu_date, DATE '2026-01-01') > DATE '2023-01-01'
        GROUP BY 1),
      v AS (SELECT insutype, k, count(DISTINCT mdtrt_id) AS n FROM s WHERE y >= 2023 GROUP BY ALL)
      SELECT insutype, k, n / py FROM v JOIN e USING (insutype)""")  # fmt: skip
    assert found["310", "IP"] == pytest.approx(0.214, abs=0.01)
    assert found["390", "IP"] == pytest.approx(0.208, abs=0.01)
    assert found["310", "OP"] == pytest.approx(8.11, rel=0.02)
    assert found["390", "OP"] == pytest.approx(3.21, rel=0.02)
    assert found["310", "RX"] == pytest.approx(5.79, rel=0.02)
    assert found["390", "RX"] == pytest.approx(0.05, rel=0.10)


def test_mean_costs_meet_the_national_figures(sql: duckdb.DuckDBPyConnection) -> None:
    found = table(sql, "SELECT insutype, k, avg(medfee_sumamt) FROM s WHERE y >= 2023 GROUP BY ALL")
    assert found["310", "IP"] == pytest.approx(11_522, rel=0.04)
    assert found["390", "IP"] == pytest.approx(7_339, rel=0.04)
    assert found["310", "OP"] == pytest.approx(282, rel=0.03)
    assert found["390", "OP"] == pytest.approx(176, rel=0.05)
    assert found["310", "RX"] == pytest.approx(96, rel=0.03)
    level = table(sql, """SELECT insutype, avg(medfee_sumamt) FROM s
      WHERE y >= 2023 AND k = 'IP' AND lv = 'T' GROUP BY 1""")  # fmt: skip
    assert level["310"] == pytest.approx(13_335, rel=0.04)
    assert level["390"] == pytest.approx(11_278, rel=0.04)


def test_pay_ratios_meet_the_national_figures(sql: duckdb.DuckDBPyConnection) -> None:
    found = table(sql, """SELECT insutype, sum(fund_pay_sumamt) / sum(inscp_amt) FROM s
      WHERE y >= 2023 AND k = 'IP' GROUP BY 1""")  # fmt: skip
    assert found["310"] == pytest.approx(0.841, abs=0.02)
    assert found["390"] == pytest.approx(0.660, abs=0.03)


def test_lengths_of_stay_by_level(sql: duckdb.DuckDBPyConnection) -> None:
    found = table(sql, """SELECT lv, avg(greatest(1, date_diff('day', begndate, enddate))) FROM s
      WHERE k = 'IP' AND mid_setl_flag = '0' GROUP BY 1""")  # fmt: skip
    assert found == pytest.approx({"T": 7.6, "S": 8.6, "P": 8.3}, rel=0.06)


def test_pt1_award_cuts_prices_and_moves_shares(sql: duckdb.DuckDBPyConnection) -> None:
    rows = sql.execute("""
      SELECT atc_code, fee_ocur_time >= DATE '2024-10-01' AS post,
        sum(cnt * ddd_per_cnt) FILTER (vbp_selected_flag = '1') / sum(cnt * ddd_per_cnt),
        sum(det_item_fee_sumamt) FILTER (vbp_selected_flag = '1')
          / sum(cnt * ddd_per_cnt) FILTER (vbp_selected_flag = '1'), sum(cnt * ddd_per_cnt)
      FROM fee_list_d JOIN drug_cat_b USING (med_list_codg)
      WHERE vbp_batch = 'VBP-SYN-02' AND (fee_ocur_time BETWEEN '2023-10-01' AND '2024-06-30'
        OR fee_ocur_time BETWEEN '2024-10-01' AND '2025-06-30') GROUP BY 1, 2 ORDER BY 1, 2
    """).fetchall()  # fmt: skip
    assert len(rows) == 10
    total = {False: 0.0, True: 0.0}
    for before, after in zip(rows[::2], rows[1::2], strict=True):
        assert float(after[3] / before[3]) == pytest.approx(0.35, rel=0.03)
        assert float(after[2]) == pytest.approx(0.75, abs=0.06)
        total[False] += float(before[4])
        total[True] += float(after[4])
    assert total[True] / total[False] == pytest.approx(1.08, abs=0.06)


def test_pt2_nobody_gets_the_negotiated_drug_before_its_listing(
    sql: duckdb.DuckDBPyConnection,
) -> None:
    row = sql.execute("""SELECT min(fee_ocur_time)::DATE::VARCHAR, count(DISTINCT psn_no)
      FROM fee_list_d JOIN drug_cat_b USING (med_list_codg)
      WHERE atc_code = 'A10BJ06'""").fetchone()  # fmt: skip
    assert row is not None
    assert row[0] >= "2024-01-01"
    assert row[1] == 4  # 1.8 per 10 000 of 20 000


def test_pt3_flu_wave_doubles_infections_of_children(sql: duckdb.DuckDBPyConnection) -> None:
    row = sql.execute("""SELECT count(*) FILTER (begntime BETWEEN '2023-12-01' AND '2024-01-31'),
        count(*) FILTER (begntime BETWEEN '2022-12-01' AND '2023-01-31'
          OR begntime BETWEEN '2024-12-01' AND '2025-01-31')
      FROM mdtrt_d WHERE age < 15 AND left(dscg_maindiag_code, 3) BETWEEN 'J10' AND 'J18'
    """).fetchone()  # fmt: skip
    assert row is not None
    assert 1.4 < row[0] / (row[1] / 2) < 3.0


def test_pt4_reform_raises_visits_and_lowers_pharmacy(sql: duckdb.DuckDBPyConnection) -> None:
    found = table(sql, """SELECT k, count(*) FILTER (y = 2023) / count(*) FILTER (y = 2022) FROM s
      WHERE insutype = '310' AND k <> 'IP' GROUP BY 1""")  # fmt: skip
    assert found["OP"] == pytest.approx(1.2, abs=0.10)
    assert found["RX"] == pytest.approx(0.88, abs=0.06)


def test_pt7_night_pharmacy_and_split_hospital_stand_out(sql: duckdb.DuckDBPyConnection) -> None:
    night = sql.execute("""SELECT avg((hour(setl_time) >= 22 OR hour(setl_time) < 6)::INT) AS n
      FROM s WHERE k = 'RX' GROUP BY fixmedins_code ORDER BY n DESC LIMIT 2""").fetchall()
    assert night[0][0] > 5 * night[1][0]
    again = sql.execute("""
      WITH t AS (SELECT fixmedins_code, begntime, lag(endtime) OVER (PARTITION BY psn_no,
          fixmedins_code, left(dscg_maindiag_code, 3) ORDER BY begntime) AS p
        FROM mdtrt_d WHERE dscg_way IS NOT NULL)
      SELECT avg((p IS NOT NULL AND begntime < p + INTERVAL 15 DAY)::INT) AS r FROM t
      GROUP BY fixmedins_code HAVING count(*) > 100 ORDER BY r DESC LIMIT 2""").fetchall()
    assert again[0][0] == pytest.approx(0.15, abs=0.05)
    assert again[0][0] > 3 * again[1][0]


def test_pt8_few_persons_cost_much(sql: duckdb.DuckDBPyConnection) -> None:
    row = sql.execute("""
      WITH p AS (SELECT psn_no, sum(medfee_sumamt) AS m FROM s WHERE y = 2024 GROUP BY 1),
      r AS (SELECT m, row_number() OVER (ORDER BY m DESC) AS k FROM p)
      SELECT sum(m) FILTER (k <= 186) / sum(m) FROM r""").fetchone()
    assert row is not None
    assert 0.22 < float(row[0]) < 0.32


def test_pt9_one_group_is_wide_and_one_narrows(sql: duckdb.DuckDBPyConnection) -> None:
    found = table(sql, """SELECT adrg, year(begndate) AS year,
        stddev_pop(medfee_sumamt) / avg(medfee_sumamt) FROM drg_rslt_d JOIN s USING (setl_id)
      WHERE adrg IN ('IU2', 'GW1') GROUP BY 1, 2""")  # fmt: skip
    assert found["GW1", 2024] == pytest.approx(1.32, abs=0.2)
    assert found["GW1", 2025] == pytest.approx(0.98, abs=0.12)
    assert found["IU2", 2025] == pytest.approx(1.32, abs=0.2)


def test_pt10_one_hospital_maps_one_drug_wrongly(sql: duckdb.DuckDBPyConnection) -> None:
    rows = sql.execute("""SELECT fixmedins_code, min(fee_ocur_time)::DATE::VARCHAR, count(*)
      FROM fee_list_d WHERE med_list_codg <> medins_list_codg[2:] GROUP BY 1""").fetchall()
    assert len(rows) == 1
    assert rows[0][1] >= "2024-03-01"
    assert rows[0][2] > 50


def test_grouping_leaves_few_stays_out(sql: duckdb.DuckDBPyConnection) -> None:
    found = table(
        sql, "SELECT case_type, count(*) / sum(count(*)) OVER () FROM drg_rslt_d GROUP BY 1"
    )
    assert found["ungrouped"] <= 0.072
    assert found["normal"] > 0.75


def test_institutions_are_enough_for_published_cells(sql: duckdb.DuckDBPyConnection) -> None:
    found = table(sql, """SELECT CASE WHEN hosp_lv <= '04' THEN 'T' WHEN hosp_lv <= '07' THEN 'S'
        WHEN hosp_lv <= '10' THEN 'P' ELSE 'N' END, count(*) FROM fixmedins_b
      WHERE left(fix_blng_admdvs, 4) = '9901' GROUP BY 1""")  # fmt: skip
    assert found["T"] >= 3
    assert found["S"] >= 8
    assert found["P"] >= 24
    assert found["N"] >= 30
