"""The truths planted by SPEC 3.12, read back from a simulated city by SQL of their own.

Tolerances are those of the specification. Where it states none, chance decides: the bands are
computed from the number of events or persons that a truth is read from, so they narrow as the
city grows. The marginals are read from the same warehouses in `test_marginals.py`.
"""

from __future__ import annotations

from math import hypot, log, sqrt

import duckdb
import numpy as np
import pytest

from tests.bureau_figures import GROUP, Wanted, astray, ratios
from tests.bureau_warehouse import one, persons, table

_FILLS = """f AS (SELECT psn_no, fee_ocur_time::DATE AS d, atc_code AS drug,
    sum(least(90, coalesce(prd_days, cnt * ddd_per_cnt)))::INT AS supply
  FROM fee_list_d l JOIN drug_cat_b USING (med_list_codg)
  WHERE atc_code IN ('A10BA02', 'A10BK01') AND cnt > 0
    AND NOT EXISTS (FROM fee_list_d r WHERE r.init_feedetl_sn = l.bkkp_sn) GROUP BY ALL)"""


def test_pt1_award_cuts_prices_moves_shares_and_raises_volume(
    city: duckdb.DuckDBPyConnection,
) -> None:
    rows = city.execute("""
      SELECT atc_code, fee_ocur_time >= DATE '2024-10-01' AS post,
        sum(cnt * ddd_per_cnt) FILTER (vbp_selected_flag = '1') / sum(cnt * ddd_per_cnt),
        sum(det_item_fee_sumamt) FILTER (vbp_selected_flag = '1')
          / sum(cnt * ddd_per_cnt) FILTER (vbp_selected_flag = '1'), sum(cnt * ddd_per_cnt)
      FROM fee_list_d JOIN drug_cat_b USING (med_list_codg)
      WHERE vbp_batch = 'VBP-SYN-02' AND (fee_ocur_time BETWEEN '2023-10-01' AND '2024-06-30'
        OR fee_ocur_time BETWEEN '2024-10-01' AND '2025-06-30') GROUP BY 1, 2 ORDER BY 1, 2
    """).fetchall()  # fmt: skip
    assert len(rows) == 10
    for before, after in zip(rows[::2], rows[1::2], strict=True):
        assert float(after[3] / before[3]) == pytest.approx(0.35, rel=0.03)
        assert float(after[2]) == pytest.approx(0.75, abs=0.04)
    volume = ratios(city, f"""SELECT 'DDD', {GROUP} AS g,
        sum(cnt * ddd_per_cnt) FILTER (fee_ocur_time >= DATE '2024-10-01'),
        sum(cnt * ddd_per_cnt) FILTER (fee_ocur_time < DATE '2024-10-01')
      FROM fee_list_d JOIN drug_cat_b USING (med_list_codg)
      WHERE vbp_batch = 'VBP-SYN-02' AND (fee_ocur_time BETWEEN '2023-10-01' AND '2024-06-30'
        OR fee_ocur_time BETWEEN '2024-10-01' AND '2025-06-30') GROUP BY g""")  # fmt: skip
    assert astray(volume, {"DDD": Wanted(1.08, 0.03, "persons")}) == []


def test_pt2_nobody_gets_the_negotiated_drug_before_its_listing(
    city: duckdb.DuckDBPyConnection,
) -> None:
    first, users, bought, pharmacy = one(city, """SELECT min(fee_ocur_time)::DATE::VARCHAR,
        count(DISTINCT psn_no), count(*), avg((med_type LIKE '41%')::INT)
      FROM fee_list_d JOIN drug_cat_b USING (med_list_codg)
      WHERE atc_code = 'A10BJ06'""")  # fmt: skip
    assert first >= "2024-01-01"
    assert users == round(1.8e-4 * persons(city))
    assert pharmacy == pytest.approx(0.40, abs=3 * sqrt(0.4 * 0.6 / bought))


def test_pt3_flu_wave_doubles_infections_of_children(city: duckdb.DuckDBPyConnection) -> None:
    """× 2.1, against their other illness: the calendar and the reform change both alike."""
    wave, usual, others, usual_others = one(city, """
      WITH v AS (SELECT left(dscg_maindiag_code, 3) BETWEEN 'J10' AND 'J18' AS infection,
          begntime >= '2023-12-01' AND begntime < '2024-02-01' AS wave
        FROM mdtrt_d WHERE age < 15 AND dscg_maindiag_code IS NOT NULL
          AND month(begntime) IN (12, 1) AND begntime BETWEEN '2022-12-01' AND '2025-02-01')
      SELECT count(*) FILTER (infection AND wave), count(*) FILTER (infection AND NOT wave),
        count(*) FILTER (NOT infection AND wave), count(*) FILTER (NOT infection AND NOT wave)
      FROM v""")  # fmt: skip
    found = (wave / others) / (usual / usual_others)
    # An infection of the wave comes with a second one, so pairs count as one event.
    error = sqrt(2.1 / wave + 1 / usual)
    assert abs(log(found / 2.1)) < 3 * error
    assert error > 0.1 or found > 1.7


def test_pt5_programme_saves_stays_and_adds_visits_of_its_members(
    city: duckdb.DuckDBPyConnection,
) -> None:
    """S15: before and after, members against others with claims for hypertension before 2024."""
    rows = city.execute("""
      WITH h AS (SELECT psn_no FROM mdtrt_d WHERE left(dscg_maindiag_code, 3) = 'I10'
          AND begntime < '2024-01-01' GROUP BY 1 HAVING count(*) >= 2),
      e AS (SELECT psn_no, min(insu_admdvs) AS county, sum(greatest(0, date_diff('day',
            greatest(crt_insu_date, DATE '2023-01-01'),
            least(coalesce(paus_insu_date, DATE '2030-01-01'), DATE '2024-01-01')))) / 365.25 AS a,
          sum(greatest(0, date_diff('day', greatest(crt_insu_date, DATE '2024-01-01'),
            least(coalesce(paus_insu_date, DATE '2030-01-01'), DATE '2026-01-01')))) / 365.25 AS b
        FROM psn_insu_d GROUP BY 1),
      n AS (SELECT psn_no,
          count(*) FILTER (k = 'IP' AND year(begndate) = 2023 AND mid_setl_flag = '0') AS stays_a,
          count(*) FILTER (k = 'IP' AND year(begndate) > 2023 AND mid_setl_flag = '0') AS stays_b,
          count(*) FILTER (k = 'OP' AND y = 2023) AS visits_a,
          count(*) FILTER (k = 'OP' AND y > 2023) AS visits_b,
          coalesce(sum(medfee_sumamt) FILTER (y = 2023), 0)::DOUBLE AS cost_a,
          coalesce(sum(medfee_sumamt) FILTER (y > 2023), 0)::DOUBLE AS cost_b FROM s GROUP BY 1)
      SELECT county, stays_b / b - stays_a / a, visits_b / b - visits_a / a,
        cost_b / b - cost_a / a, cost_a / a
      FROM h JOIN e USING (psn_no) JOIN n USING (psn_no) WHERE a > 0.9 AND b > 0.9
    """).fetchall()  # fmt: skip
    county, change = np.array([r[0] for r in rows]), np.array([r[1:] for r in rows], dtype=float)

    def effect(here: str, column: int) -> tuple[float, float]:
        there = (county != here) & (county != "990102") & (county != "990104")
        parts = change[county == here, column], change[there, column]
        error = hypot(*(p.std() / sqrt(len(p)) for p in parts))
        return float(parts[0].mean() - parts[1].mean()), float(error)

    before = change[county == "990102", 3].mean()
    for column, planted in ((0, -0.10), (1, 0.6), (2, -0.06 * before)):
        found, error = effect("990102", column)
        assert abs(found - planted) < 3 * error
    more, error = effect("990102", 1)
    assert error > 0.2 or more > 2 * error  # 20 000 persons cannot tell it from nothing
    for placebo in ("990101", "990103", "990111", "990112"):
        nothing, error = effect(placebo, 0)
        assert abs(nothing) < 3 * error


def test_pt6_new_users_of_metformin_are_covered_on_62_of_100_days(
    city: duckdb.DuckDBPyConnection,
) -> None:
    """S10: twelve months insured and without the drug before, twelve months insured after."""
    users, covered, spread = one(city, f"""
      WITH {_FILLS}, i AS (SELECT psn_no, min(d) AS d FROM f WHERE drug = 'A10BA02' GROUP BY 1),
      e AS (SELECT psn_no, min(crt_insu_date) AS a, max(coalesce(paus_insu_date, '2030-01-01')) AS b
        FROM psn_insu_d GROUP BY 1),
      c AS (SELECT i.* FROM i JOIN e USING (psn_no)
        WHERE d BETWEEN '2024-01-01' AND '2024-12-31' AND a <= d - 365 AND b > d + 365),
      t AS (SELECT DISTINCT psn_no, c.d, unnest(range(f.d - c.d, f.d - c.d + supply)) AS day
        FROM f JOIN c USING (psn_no) WHERE drug = 'A10BA02'),
      p AS (SELECT count(*) FILTER (day < 365) / 365 AS part FROM t GROUP BY psn_no)
      SELECT count(*), avg(part), stddev_samp(part) FROM p""")  # fmt: skip
    assert users > 0.002 * persons(city)
    assert covered == pytest.approx(0.62, abs=max(0.03, 2 * spread / sqrt(users)))


def test_pt6_switches_to_sglt2_double_from_july_2024(city: duckdb.DuckDBPyConnection) -> None:
    (early, days_early), (late, days_late) = city.execute(f"""
      WITH {_FILLS}, n AS (SELECT *, lead(drug) OVER w AS then_drug, lead(d) OVER w AS then_d
        FROM f WINDOW w AS (PARTITION BY psn_no ORDER BY d, drug))
      SELECT count(*) FILTER (then_drug = 'A10BK01'), sum(then_d - d) FROM n
      WHERE drug = 'A10BA02' AND then_d <= d + supply + 60
      GROUP BY then_d >= DATE '2024-07-01' ORDER BY then_d >= DATE '2024-07-01'
    """).fetchall()  # fmt: skip
    found = (late / float(days_late)) / (early / float(days_early))
    error = sqrt(1 / early + 1 / late)
    assert abs(log(found / 2)) < 2 * error
    assert found > 1.2


def test_pt7_night_pharmacy_and_split_hospital_stand_out(city: duckdb.DuckDBPyConnection) -> None:
    night = city.execute("""SELECT avg((hour(setl_time) >= 22 OR hour(setl_time) < 6)::INT) AS n
      FROM s WHERE k = 'RX' GROUP BY fixmedins_code ORDER BY n DESC LIMIT 2""").fetchall()
    assert night[0][0] > 5 * night[1][0]  # no peer comes near: top 1 %
    again = city.execute("""
      WITH t AS (SELECT fixmedins_code, begntime, lag(endtime) OVER (PARTITION BY psn_no,
          fixmedins_code, left(dscg_maindiag_code, 3) ORDER BY begntime) AS p
        FROM mdtrt_d WHERE dscg_way IS NOT NULL)
      SELECT avg((p IS NOT NULL AND begntime < p + INTERVAL 15 DAY)::INT) AS r, count(*) FROM t
      GROUP BY fixmedins_code HAVING count(*) > 100 ORDER BY r DESC LIMIT 2""").fetchall()
    chance = sqrt(0.15 * 0.85 / again[0][1])
    assert again[0][0] == pytest.approx(0.15, abs=max(0.01, 2 * chance))
    assert again[0][0] > 3 * again[1][0]


def test_pt7_rings_of_cards_meet_at_one_counter_in_one_minute(
    city: duckdb.DuckDBPyConnection,
) -> None:
    """F14: at least five cards at one pharmacy in one minute, the same ones at least four times."""
    rings = city.execute("""
      WITH m AS (SELECT fixmedins_code, list(DISTINCT psn_no) AS cards FROM s WHERE k = 'RX'
        GROUP BY fixmedins_code, date_trunc('minute', setl_time) HAVING len(cards) >= 5),
      p AS (SELECT fixmedins_code, unnest(cards) AS card FROM m),
      often AS (SELECT * FROM p GROUP BY ALL HAVING count(*) >= 4)
      SELECT fixmedins_code, count(*) FROM often GROUP BY 1""").fetchall()
    # One ring of six in each 5 000 persons, 40 at `demo`; one may lose a card to a stay.
    assert round(sum(cards for _, cards in rings) / 6) == persons(city) // 5_000


def test_pt9_one_group_is_wide_and_one_narrows(city: duckdb.DuckDBPyConnection) -> None:
    """S06: SD ÷ mean by quarter of settlement, low and high outliers left out."""
    found = table(city, """SELECT adrg, year(setl_time) * 10 + quarter(setl_time),
        stddev_samp(medfee_sumamt) / avg(medfee_sumamt)
      FROM drg_rslt_d JOIN s USING (setl_id)
      WHERE adrg IN ('IU2', 'GW1') AND case_type NOT IN ('high', 'low')
      GROUP BY ALL""")  # fmt: skip

    def mean(group: str, *quarters: int) -> float:
        return sum(found[group, q] for q in quarters) / len(quarters)

    # Costs are planted by rank: what is left of chance is the split into levels and lines.
    scale = sqrt(20_000 / persons(city))
    for year in (20230, 20240, 20250):
        wide = mean("IU2", *(year + q for q in (1, 2, 3, 4)))
        assert wide == pytest.approx(1.32, abs=max(0.06 * scale, 0.02))
    quarters = mean("GW1", 20241, 20242, 20243, 20244)
    assert quarters == pytest.approx(1.32, abs=max(0.06 * scale, 0.02))
    assert mean("GW1", 20251, 20252) == pytest.approx((1.235 + 1.15) / 2, abs=0.08 * scale)
    assert found["GW1", 20254] == pytest.approx(0.98, abs=0.10 * scale)


def test_pt10_one_hospital_maps_one_drug_wrongly(city: duckdb.DuckDBPyConnection) -> None:
    rows = city.execute("""SELECT fixmedins_code, min(fee_ocur_time)::DATE::VARCHAR, count(*)
      FROM fee_list_d WHERE med_list_codg <> medins_list_codg[2:] GROUP BY 1""").fetchall()
    assert len(rows) == 1
    assert rows[0][1] >= "2024-03-01"
    assert rows[0][2] > 50


def test_pt11_the_city_less_its_other_counties_is_fewer_than_eleven(
    city: duckdb.DuckDBPyConnection,
) -> None:
    small, rest = one(city, """SELECT count(DISTINCT psn_no) FILTER (insu_admdvs = '990104'),
      count(DISTINCT psn_no) FILTER (insu_admdvs <> '990104') FROM psn_insu_d""")  # fmt: skip
    assert small == 9
    assert small + rest == persons(city)


def test_grouping_leaves_few_stays_out(city: duckdb.DuckDBPyConnection) -> None:
    found = table(
        city, "SELECT case_type, count(*) / sum(count(*)) OVER () FROM drg_rslt_d GROUP BY 1"
    )
    assert found["ungrouped"] <= 0.072
    assert found["normal"] > 0.75


def test_institutions_are_enough_for_published_cells(city: duckdb.DuckDBPyConnection) -> None:
    found = table(city, """SELECT CASE WHEN hosp_lv <= '04' THEN 'T' WHEN hosp_lv <= '07' THEN 'S'
        WHEN hosp_lv <= '10' THEN 'P' ELSE 'N' END, count(*) FROM fixmedins_b
      WHERE left(fix_blng_admdvs, 4) = '9901' GROUP BY 1""")  # fmt: skip
    assert found["T"] >= 3
    assert found["S"] >= 8
    assert found["P"] >= 24
    assert found["N"] >= 30
