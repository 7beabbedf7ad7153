"""The truths planted by SPEC 3.12, read back from a `ci` warehouse by SQL of their own.

Tolerances are those of the specification, widened where 20 000 persons cannot do better.
The marginals are read from the same warehouse in `test_marginals.py`.
"""

from __future__ import annotations

import duckdb
import pytest

from tests.bureau_warehouse import one, table

_FILLS = """f AS (SELECT psn_no, fee_ocur_time::DATE AS d, atc_code AS drug,
    sum(least(90, coalesce(prd_days, cnt * ddd_per_cnt)))::INT AS supply
  FROM fee_list_d l JOIN drug_cat_b USING (med_list_codg)
  WHERE atc_code IN ('A10BA02', 'A10BK01') AND cnt > 0
    AND NOT EXISTS (FROM fee_list_d r WHERE r.init_feedetl_sn = l.bkkp_sn) GROUP BY ALL)"""


def test_pt1_award_cuts_prices_moves_shares_and_raises_volume(
    bureau: duckdb.DuckDBPyConnection,
) -> None:
    rows = bureau.execute("""
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
        assert float(after[2]) == pytest.approx(0.75, abs=0.04)
        total[False] += float(before[4])
        total[True] += float(after[4])
    assert total[True] / total[False] == pytest.approx(1.08, abs=0.04)


def test_pt2_nobody_gets_the_negotiated_drug_before_its_listing(
    bureau: duckdb.DuckDBPyConnection,
) -> None:
    first, users, pharmacy = one(bureau, """SELECT min(fee_ocur_time)::DATE::VARCHAR,
        count(DISTINCT psn_no), avg((med_type LIKE '41%')::INT)
      FROM fee_list_d JOIN drug_cat_b USING (med_list_codg)
      WHERE atc_code = 'A10BJ06'""")  # fmt: skip
    assert first >= "2024-01-01"
    assert users == 4  # 1.8 per 10 000 of 20 000
    assert pharmacy == pytest.approx(0.40, abs=0.12)


def test_pt3_flu_wave_doubles_infections_of_children(bureau: duckdb.DuckDBPyConnection) -> None:
    wave, usual = one(bureau, """
      SELECT count(*) FILTER (begntime BETWEEN '2023-12-01' AND '2024-01-31'),
        count(*) FILTER (begntime BETWEEN '2022-12-01' AND '2023-01-31'
          OR begntime BETWEEN '2024-12-01' AND '2025-01-31') / 2
      FROM mdtrt_d WHERE age < 15 AND left(dscg_maindiag_code, 3) BETWEEN 'J10' AND 'J18'
    """)  # fmt: skip
    assert 1.4 < wave / usual < 3.0


def test_pt4_reform_raises_visits_and_lowers_pharmacy(bureau: duckdb.DuckDBPyConnection) -> None:
    found = table(bureau, """
      WITH e AS (SELECT y, sum(greatest(0, date_diff('day',
          greatest(crt_insu_date, make_date(y, 1, 1)),
          least(coalesce(paus_insu_date, DATE '2030-01-01'), make_date(y + 1, 1, 1))))) AS days
        FROM psn_insu_d, (VALUES (2022), (2023)) v(y) WHERE insutype = '310' GROUP BY 1),
      n AS (SELECT k, y, count(*) AS n FROM s WHERE insutype = '310' AND k <> 'IP' GROUP BY 1, 2)
      SELECT k, sum(n / days) FILTER (y = 2023) / sum(n / days) FILTER (y = 2022)
      FROM n JOIN e USING (y) GROUP BY 1""")  # fmt: skip
    assert found["OP"] == pytest.approx(1.20, abs=0.03)
    assert found["RX"] == pytest.approx(0.88, abs=0.03)


def test_pt6_new_users_of_metformin_are_covered_on_62_of_100_days(
    bureau: duckdb.DuckDBPyConnection,
) -> None:
    """S10: twelve months insured and without the drug before, twelve months insured after."""
    users, covered = one(bureau, f"""
      WITH {_FILLS}, i AS (SELECT psn_no, min(d) AS d FROM f WHERE drug = 'A10BA02' GROUP BY 1),
      e AS (SELECT psn_no, min(crt_insu_date) AS a, max(coalesce(paus_insu_date, '2030-01-01')) AS b
        FROM psn_insu_d GROUP BY 1),
      c AS (SELECT i.* FROM i JOIN e USING (psn_no)
        WHERE d BETWEEN '2024-01-01' AND '2024-12-31' AND a <= d - 365 AND b > d + 365),
      t AS (SELECT DISTINCT psn_no, c.d, unnest(range(f.d - c.d, f.d - c.d + supply)) AS day
        FROM f JOIN c USING (psn_no) WHERE drug = 'A10BA02')
      SELECT count(DISTINCT psn_no), count(*) FILTER (day < 365) / 365 / count(DISTINCT psn_no)
      FROM t""")  # fmt: skip
    assert users > 70
    assert covered == pytest.approx(0.62, abs=0.03)


def test_pt6_switches_to_sglt2_double_from_july_2024(bureau: duckdb.DuckDBPyConnection) -> None:
    found = table(bureau, f"""
      WITH {_FILLS}, n AS (SELECT *, lead(drug) OVER w AS then_drug, lead(d) OVER w AS then_d
        FROM f WINDOW w AS (PARTITION BY psn_no ORDER BY d, drug))
      SELECT then_d >= DATE '2024-07-01',
        count(*) FILTER (then_drug = 'A10BK01') / sum(then_d - d) FROM n
      WHERE drug = 'A10BA02' AND then_d <= d + supply + 60 GROUP BY 1""")  # fmt: skip
    # Some 20 and 45 switches: a ratio of 2 lies here 95 times in 100, a ratio of 1 does not.
    assert 1.2 < found[True] / found[False] < 3.4


def test_pt7_night_pharmacy_and_split_hospital_stand_out(bureau: duckdb.DuckDBPyConnection) -> None:
    night = bureau.execute("""SELECT avg((hour(setl_time) >= 22 OR hour(setl_time) < 6)::INT) AS n
      FROM s WHERE k = 'RX' GROUP BY fixmedins_code ORDER BY n DESC LIMIT 2""").fetchall()
    assert night[0][0] > 5 * night[1][0]
    again = bureau.execute("""
      WITH t AS (SELECT fixmedins_code, begntime, lag(endtime) OVER (PARTITION BY psn_no,
          fixmedins_code, left(dscg_maindiag_code, 3) ORDER BY begntime) AS p
        FROM mdtrt_d WHERE dscg_way IS NOT NULL)
      SELECT avg((p IS NOT NULL AND begntime < p + INTERVAL 15 DAY)::INT) AS r FROM t
      GROUP BY fixmedins_code HAVING count(*) > 100 ORDER BY r DESC LIMIT 2""").fetchall()
    assert again[0][0] == pytest.approx(0.15, abs=0.03)
    assert again[0][0] > 3 * again[1][0]


def test_pt7_rings_of_cards_meet_at_one_counter_in_one_minute(
    bureau: duckdb.DuckDBPyConnection,
) -> None:
    """F14: at least five cards at one pharmacy in one minute, the same ones at least four times."""
    rings = bureau.execute("""
      WITH m AS (SELECT fixmedins_code, list(DISTINCT psn_no) AS cards FROM s WHERE k = 'RX'
        GROUP BY fixmedins_code, date_trunc('minute', setl_time) HAVING len(cards) >= 5),
      p AS (SELECT fixmedins_code, unnest(cards) AS card FROM m),
      often AS (SELECT * FROM p GROUP BY ALL HAVING count(*) >= 4)
      SELECT fixmedins_code, count(*) FROM often GROUP BY 1""").fetchall()
    assert (
        sum(cards for _, cards in rings) // 5 == 4
    )  # one ring in each 5 000 persons, 40 at `demo`


def test_pt8_few_persons_cost_much(bureau: duckdb.DuckDBPyConnection) -> None:
    one_percent, five, twenty = one(bureau, """
      WITH i AS (SELECT DISTINCT psn_no FROM psn_insu_d WHERE crt_insu_date < '2025-01-01'
          AND coalesce(paus_insu_date, '2030-01-01') > '2024-01-01'),
      p AS (SELECT psn_no, sum(medfee_sumamt) AS m FROM s WHERE y = 2024 GROUP BY 1),
      r AS (SELECT coalesce(m, 0) AS m, percent_rank() OVER (ORDER BY coalesce(m, 0) DESC) AS k
        FROM i LEFT JOIN p USING (psn_no))
      SELECT sum(m) FILTER (k < 0.01) / sum(m), sum(m) FILTER (k < 0.05) / sum(m),
        sum(m) FILTER (k < 0.20) / sum(m) FROM r""")  # fmt: skip
    assert float(one_percent) == pytest.approx(0.27, abs=0.03)
    assert float(five) == pytest.approx(0.50, abs=0.05)
    assert 0.80 < float(twenty) < 0.86


def test_pt9_one_group_is_wide_and_one_narrows(bureau: duckdb.DuckDBPyConnection) -> None:
    """S06: SD ÷ mean by quarter of settlement, low and high outliers left out."""
    found = table(bureau, """SELECT adrg, year(setl_time) * 10 + quarter(setl_time),
        stddev_samp(medfee_sumamt) / avg(medfee_sumamt)
      FROM drg_rslt_d JOIN s USING (setl_id)
      WHERE adrg IN ('IU2', 'GW1') AND case_type NOT IN ('high', 'low')
      GROUP BY ALL""")  # fmt: skip

    def mean(group: str, *quarters: int) -> float:
        return sum(found[group, q] for q in quarters) / len(quarters)

    for year in (20230, 20240, 20250):
        wide = mean("IU2", *(year + q for q in (1, 2, 3, 4)))
        assert wide == pytest.approx(1.32, abs=0.06)
    assert mean("GW1", 20241, 20242, 20243, 20244) == pytest.approx(1.32, abs=0.06)
    assert mean("GW1", 20251, 20252) == pytest.approx((1.235 + 1.15) / 2, abs=0.08)
    assert found["GW1", 20254] == pytest.approx(0.98, abs=0.10)


def test_pt10_one_hospital_maps_one_drug_wrongly(bureau: duckdb.DuckDBPyConnection) -> None:
    rows = bureau.execute("""SELECT fixmedins_code, min(fee_ocur_time)::DATE::VARCHAR, count(*)
      FROM fee_list_d WHERE med_list_codg <> medins_list_codg[2:] GROUP BY 1""").fetchall()
    assert len(rows) == 1
    assert rows[0][1] >= "2024-03-01"
    assert rows[0][2] > 50


def test_pt11_the_city_less_its_other_counties_is_fewer_than_eleven(
    bureau: duckdb.DuckDBPyConnection,
) -> None:
    small, rest = one(bureau, """SELECT count(DISTINCT psn_no) FILTER (insu_admdvs = '990104'),
      count(DISTINCT psn_no) FILTER (insu_admdvs <> '990104') FROM psn_insu_d""")  # fmt: skip
    assert small == 9
    assert small + rest == 20_000


def test_grouping_leaves_few_stays_out(bureau: duckdb.DuckDBPyConnection) -> None:
    found = table(
        bureau, "SELECT case_type, count(*) / sum(count(*)) OVER () FROM drg_rslt_d GROUP BY 1"
    )
    assert found["ungrouped"] <= 0.072
    assert found["normal"] > 0.75


def test_institutions_are_enough_for_published_cells(bureau: duckdb.DuckDBPyConnection) -> None:
    found = table(bureau, """SELECT CASE WHEN hosp_lv <= '04' THEN 'T' WHEN hosp_lv <= '07' THEN 'S'
        WHEN hosp_lv <= '10' THEN 'P' ELSE 'N' END, count(*) FROM fixmedins_b
      WHERE left(fix_blng_admdvs, 4) = '9901' GROUP BY 1""")  # fmt: skip
    assert found["T"] >= 3
    assert found["S"] >= 8
    assert found["P"] >= 24
    assert found["N"] >= 30
