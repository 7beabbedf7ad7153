"""S01, second implementation: the public bulletin, from settlements and enrolment spells."""

from __future__ import annotations

from tests.served_recount import Added, Found, Part, Quotient

TABLES = {
    "at_quarter_end": """
        SELECT psn_no, year(day) || 'Q' || quarter(day) AS quarter,
               if(arg_max(insutype, (crt_insu_date, psn_insu_rlts_id)) = '310',
                  'employee', 'resident') AS insutype2
        FROM psn_insu_d JOIN psn_info_b USING (psn_no),
             (SELECT DISTINCT last_day(setl_time) AS day FROM setl_d
              WHERE month(setl_time) % 3 = 0)
        WHERE crt_insu_date <= day AND coalesce(paus_insu_date > day, true)
          AND coalesce(die_date >= day, true)
        GROUP BY 1, 2""",
}  # fmt: skip

_AMOUNTS = {"medfee": "medfee_sumamt", "_inscp": "inscp_amt", "fund": "fund_pay_sumamt"}
MEASURES: dict[str, dict[str, Found]] = {
    "S01": {
        "insured": Part("at_quarter_end", "count", "count(*)"),
        "settlements": Part("care", "count", "sum(n)"),
        "visits": Part("care", "count", "sum(n) FILTER (benefit5 IN ('OP', 'OPSP'))"),
        "stays": Part("care", "count", "sum(n) FILTER (benefit5 = 'IP')"),
        **{name: Part("care", "amount", f"sum({column})") for name, column in _AMOUNTS.items()},
        "ratio_inscp": Quotient("fund", "_inscp"),
        "avg_stay": Quotient("medfee", "stays", 2),
        "_local": Part("care", "count", "sum(n) FILTER (pay_loc3 = 'local')"),
        "_away": Added({"settlements": 1, "_local": -1}),
        "out_of_area_share": Quotient("_away", "settlements"),
    }
}
