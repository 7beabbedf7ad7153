"""The marginals of SPEC 3.1–3.6 and 3.11: what is asked, and the SQL that reads it back.

Each query gives (key, group of persons, numerator, denominator). [V] figures of the SPEC stand as
`mean` and `ratio`, its assumptions [A] as `about`. Where figures contradict each other, [V] wins:
visits by level give 258 yuan, not 282; class C of 12 % at tertiary hospitals is all own pay, which
is said to be 9 %; levels' lengths of stay give 8.1 days, not 8.5.
"""

from __future__ import annotations

from tests.bureau_figures import GROUP, Wanted, about, mean, ratio

EXPOSURE = f"""py AS (SELECT insutype, psn_type, {GROUP} AS g,
    sum(date_diff('day', greatest(crt_insu_date, DATE '2023-01-01'),
      least(coalesce(paus_insu_date, DATE '2026-01-01'), DATE '2026-01-01'))) / 365.25 AS py
  FROM psn_insu_d WHERE coalesce(paus_insu_date, DATE '2026-01-01') > DATE '2023-01-01'
  GROUP BY ALL)"""
_SETTLED = f"(SELECT *, {GROUP} AS g FROM s WHERE y >= 2023)"
_STAYS = f"(SELECT *, {GROUP} AS g FROM s WHERE k = 'IP' AND mid_setl_flag = '0')"

FEES = f"""CREATE TEMP TABLE IF NOT EXISTS fees AS
  SELECT
    CASE WHEN med_type = '41' THEN 'RX' WHEN dscg_way IS NOT NULL THEN 'IP' ELSE 'OP' END AS k,
    CASE WHEN hosp_lv <= '04' THEN 'T' WHEN hosp_lv <= '07' THEN 'S'
      WHEN hosp_lv <= '10' THEN 'P' ELSE 'N' END AS lv, med_chrgitm_type AS kind,
    chrgitm_lv AS class, {GROUP} AS g, sum(det_item_fee_sumamt)::DOUBLE AS amount,
    sum(fulamt_ownpay_amt)::DOUBLE AS own, sum(overlmt_selfpay)::DOUBLE AS over,
    sum(preselfpay_amt)::DOUBLE AS pre, sum(f.inscp_amt)::DOUBLE AS scope
  FROM fee_list_d f JOIN (SELECT mdtrt_id, hosp_lv, dscg_way FROM mdtrt_d) USING (mdtrt_id)
  GROUP BY ALL"""

_OUTPATIENT = {"09": 27, "11": 8, "10": 6, "03": 18, "04": 16, "05": 11, "06": 2, "08": 4, "14": 3}
_INPATIENT = {
    "09": 19, "11": 4, "10": 1, "08": 20, "04": 12, "03": 10, "05": 13, "06": 8, "01": 4, "07": 4,
    "02": 2, "14": 3,
}  # fmt: skip


def _mix(kind: str, shares: dict[str, int]) -> dict[str, Wanted]:
    return {f"{kind} {code}": about(share / 100, 0.016) for code, share in shares.items()}


SHEETS: dict[str, tuple[str, dict[str, Wanted]]] = {
    "groups of the insured in mid-2024": (
        f"""WITH i AS (SELECT *, {GROUP} AS g FROM psn_insu_d WHERE crt_insu_date <= '2024-07-01'
            AND coalesce(paus_insu_date, DATE '2030-01-01') > '2024-07-01')
          SELECT CASE WHEN psn_type IN ('11', '12') THEN psn_type ELSE '390' END AS k, g, count(*),
            sum(count(*)) OVER (PARTITION BY g) FROM i GROUP BY k, g""",
        {"11": ratio(0.207), "12": ratio(0.079), "390": ratio(0.714)},
    ),
    "flexible workers and employees without an account": (
        f"""SELECT 'flexible', {GROUP} AS g, count(*) FILTER (emp_fom = '2'),
            count(*) FILTER (emp_fom IS NOT NULL) FROM psn_insu_d GROUP BY g
          UNION ALL SELECT 'pooled', {GROUP} AS g, count(*) FILTER (hi_type = '2'), count(*)
          FROM psn_insu_d WHERE insutype = '310' GROUP BY g""",
        {"flexible": ratio(0.17), "pooled": ratio(0.07)},
    ),
    "events in a person-year": (
        f"""WITH {EXPOSURE}, p AS (SELECT insutype, g, sum(py) AS py FROM py GROUP BY ALL),
          v AS (SELECT insutype, k, g, count(DISTINCT mdtrt_id) AS n FROM {_SETTLED} GROUP BY ALL)
          SELECT insutype || ' ' || k, g, n, py FROM v JOIN p USING (insutype, g)""",
        {
            "310 IP": mean(0.214, "events"), "390 IP": mean(0.208, "events"),
            "310 OP": mean(8.11), "390 OP": mean(3.21), "310 RX": mean(5.79),
            "390 RX": mean(0.05, "events"),
        },
    ),
    "cost of a settlement": (
        f"""SELECT insutype || ' ' || k, g, sum(medfee_sumamt), count(*) FROM {_SETTLED}
          GROUP BY ALL""",
        {
            "310 IP": mean(11_522), "390 IP": mean(7_339), "310 OP": mean(282),
            "390 OP": mean(176), "310 RX": mean(96),
        },
    ),
    "cost of a whole stay": (
        f"""SELECT insutype, g, sum(medfee_sumamt), count(DISTINCT mdtrt_id) FROM {_SETTLED}
          WHERE k = 'IP' GROUP BY ALL""",
        {"310": mean(11_522), "390": mean(7_339)},
    ),
    "cost by level": (
        f"""SELECT insutype || ' ' || k || ' ' || lv, g, sum(medfee_sumamt), count(*)
          FROM {_SETTLED} WHERE k = 'IP' GROUP BY ALL
          UNION ALL SELECT k || ' ' || lv, g, sum(medfee_sumamt), count(*) FROM {_SETTLED}
          WHERE k = 'OP' GROUP BY ALL""",
        {
            "310 IP T": mean(13_335), "390 IP T": mean(11_278), "310 IP S": about(8_900, 450),
            "310 IP P": about(6_100, 500), "390 IP S": about(6_300, 315),
            "390 IP P": about(3_000, 150), "OP T": about(400, 36), "OP S": about(250, 32),
            "OP P": about(105, 15),
        },
    ),
    "cost per head": (
        f"""WITH {EXPOSURE}, p AS (SELECT psn_type, g, sum(py) AS py FROM py
            WHERE insutype = '310' GROUP BY ALL)
          SELECT psn_type, g, m, py FROM p JOIN (SELECT psn_type, g, sum(medfee_sumamt) AS m
            FROM {_SETTLED} WHERE k <> 'RX' AND insutype = '310' GROUP BY ALL) USING (psn_type, g)
        """,
        {"11": mean(2_881), "12": mean(9_614)},
    ),
    # Basic insurance with its large-amount and critical-illness parts; assistance is apart.
    "pay ratio of stays": (
        f"""SELECT insutype || ' ' || coalesce(lv, 'all'), g, sum(hifp_pay + hifob_pay + hifmi_pay),
            sum(inscp_amt) FROM {_SETTLED} WHERE k = 'IP' GROUP BY insutype, g, ROLLUP (lv)""",
        {
            "310 all": ratio(0.841), "310 T": ratio(0.831), "390 all": ratio(0.660),
            "390 T": ratio(0.617, "persons"),
            # known for 2023 only: the ±2 points of SPEC 3.6
            "310 S": Wanted(0.874, 0.02), "310 P": Wanted(0.894, 0.02),
            "390 S": Wanted(0.724, 0.02), "390 P": Wanted(0.808, 0.02),
        },
    ),
    "medical assistance where it pays": (
        f"""SELECT k, g, sum(maf_pay), count(*) FROM {_SETTLED}
          WHERE maf_pay > 0 AND k <> 'RX' GROUP BY ALL""",
        {"IP": mean(1_273, "persons"), "OP": mean(86, "persons")},
    ),
    "growth in 2023": (
        f"""WITH d AS (SELECT psn_no, insutype, y, greatest(0, date_diff('day',
              greatest(crt_insu_date, make_date(y, 1, 1)),
              least(coalesce(paus_insu_date, DATE '2030-01-01'), make_date(y + 1, 1, 1)))) AS days
            FROM psn_insu_d, (VALUES (2022), (2023)) v(y)),
          e AS (SELECT insutype, sum(days) FILTER (y = 2022) AS early,
              sum(days) FILTER (y = 2023) AS late FROM d GROUP BY 1)
          SELECT insutype || ' ' || k, {GROUP} AS g, count(*) FILTER (y = 2023) / any_value(late),
            count(*) FILTER (y = 2022) / any_value(early)
          FROM s JOIN e USING (insutype) WHERE k <> 'IP' GROUP BY insutype, k, g""",
        # employees: the reform of PT4
        {
            "310 OP": Wanted(1.20, 0.012, "persons"), "390 OP": mean(1.211),
            "310 RX": ratio(0.88, "persons"),
        },
    ),
    "away from home": (
        f"""SELECT 'OP away', g, count(*) FILTER (pay_loc <> '2'), count(*) FROM {_SETTLED}
            WHERE k = 'OP' GROUP BY g
          UNION ALL SELECT 'OP beyond', g, count(*) FILTER (pay_loc = '4'),
            count(*) FILTER (pay_loc <> '2') FROM {_SETTLED} WHERE k = 'OP' GROUP BY g
          UNION ALL SELECT 'IP near', g, count(*) FILTER (pay_loc = '3'), count(*)
            FROM {_SETTLED} WHERE k = 'IP' GROUP BY g
          UNION ALL SELECT 'IP beyond', g, count(*) FILTER (pay_loc = '4'), count(*)
            FROM {_SETTLED} WHERE k = 'IP' GROUP BY g""",
        {
            "OP away": Wanted(0.054, 0.003), "OP beyond": ratio(0.651, "persons"),
            "IP near": about(0.09, 0.005), "IP beyond": about(0.04, 0.005),
        },
    ),
    "levels of stays and visits": (
        f"""SELECT insutype || ' ' || k || ' ' || lv, g, count(*),
            sum(count(*)) OVER (PARTITION BY insutype, k, g) FROM {_SETTLED}
          WHERE k <> 'RX' GROUP BY insutype, k, lv, g""",
        {
            key: about(share, 0.01)
            for key, share in {
                "310 IP T": 0.63, "310 IP S": 0.27, "310 IP P": 0.10, "390 IP T": 0.34,
                "390 IP S": 0.44, "390 IP P": 0.22, "310 OP T": 0.42, "310 OP S": 0.20,
                "310 OP P": 0.38, "390 OP T": 0.14, "390 OP S": 0.18, "390 OP P": 0.68,
            }.items()
        },
    ),
    "days of a stay by level": (
        f"""SELECT lv, g, sum(greatest(1, date_diff('day', begndate, enddate))), count(*)
          FROM {_STAYS} GROUP BY ALL""",
        {"T": about(7.6, 0.15), "S": about(8.6, 0.17), "P": about(8.3, 0.17)},
    ),
    "insured all 2024 without a visit": (
        f"""WITH i AS (SELECT psn_no, min(insutype) AS insutype FROM psn_insu_d
            WHERE crt_insu_date <= '2024-01-01'
              AND coalesce(paus_insu_date, DATE '2030-01-01') >= '2025-01-01' GROUP BY 1),
          v AS (SELECT DISTINCT psn_no, 1 AS seen FROM s WHERE y = 2024 AND k = 'OP')
          SELECT insutype, {GROUP} AS g, count(*) FILTER (seen IS NULL), count(*)
          FROM i LEFT JOIN v USING (psn_no) GROUP BY insutype, g""",
        {"310": about(0.30, 0.01), "390": about(0.45, 0.01)},
    ),
    "hours and delays": (
        f"""SELECT 'visits at night', g, count(*) FILTER (hour(setl_time) NOT BETWEEN 6 AND 21),
            count(*) FROM {_SETTLED} WHERE k = 'OP' GROUP BY g
          UNION ALL SELECT 'at discharge', g, count(*) FILTER (setl_time::DATE = enddate), count(*)
            FROM {_STAYS} WHERE enddate < '2025-08-01' GROUP BY g
          UNION ALL SELECT 'within a week', g,
            count(*) FILTER (date_diff('day', enddate, setl_time::DATE) <= 7), count(*)
            FROM {_STAYS} WHERE enddate < '2025-08-01' GROUP BY g""",
        {
            "visits at night": about(0.03, 0.002), "at discharge": about(0.82, 0.01),
            "within a week": about(0.95, 0.01),
        },
    ),
    "kinds of fees": (
        """SELECT k || ' ' || kind, g, sum(amount), sum(sum(amount)) OVER (PARTITION BY k, g)
          FROM fees WHERE k <> 'RX' GROUP BY k, kind, g""",
        _mix("OP", _OUTPATIENT) | _mix("IP", _INPATIENT),
    ),
    "catalogue classes": (
        """SELECT class, g, sum(amount), sum(sum(amount)) OVER (PARTITION BY g) FROM fees
          GROUP BY class, g""",
        {"01": about(0.44, 0.015), "02": about(0.46, 0.015), "03": about(0.10, 0.015)},
    ),
    "who bears an amount": (
        """SELECT lv || ' ' || part, g, value, amount FROM (SELECT lv, g, sum(amount) AS amount,
            sum(own) AS own, sum(over) AS over, sum(pre) AS pre, sum(scope) AS scope
            FROM fees GROUP BY lv, g) UNPIVOT (value FOR part IN (own, over, pre, scope))""",
        {
            "T own": about(0.09, 0.02), "T over": about(0.01, 0.005), "T pre": about(0.06, 0.02),
            "T scope": about(0.84, 0.01), "P own": about(0.05, 0.01),
            "P over": about(0.005, 0.005), "P pre": about(0.045, 0.01),
            "P scope": about(0.90, 0.015),
        },
    ),
}  # fmt: skip
