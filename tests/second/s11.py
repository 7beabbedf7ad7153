"""S11, second implementation: volume, price and savings of procured drugs.

Base prices are looked up by dates and joined to months as a whole: the index of a month is
worked out per generic, not per line.
"""

from __future__ import annotations

from tests.served_recount import Added, Found, Part, Quotient

TABLES = {
    "sold": """
        SELECT c.*, atc_code || '.' || route AS generic, atc_code[1:4] AS class,
               amount, packs AS units, packs * ddd_per_cnt AS ddd, prodentp_name AS maker,
               d.vbp_batch AS batch, d.vbp_begndate AS award, med_list_codg AS product,
               if(batch IS NULL, 'none', if(d.vbp_selected_flag = '1', 'selected', 'unselected'))
                   AS selected_flag
        FROM (SELECT setl_id, med_list_codg, sum(det_item_fee_sumamt) AS amount, sum(cnt) AS packs
              FROM fee_list_d WHERE list_type = '101' GROUP BY 1, 2) l
        JOIN care c USING (setl_id) JOIN drug_cat_b d USING (med_list_codg)""",
    "before": """
        SELECT generic, sum(ddd) AS ddd0, sum(amount) / sum(ddd) AS price0
        FROM sold
        WHERE date_trunc('month', setl_time) >= award - INTERVAL 1 YEAR
          AND date_trunc('month', setl_time) < award
        GROUP BY 1
        HAVING count(DISTINCT month) = 12 AND count(DISTINCT psn_no) > 29
           AND count(DISTINCT fixmedins_code) > 4 AND count(DISTINCT maker) > 2""",
    "procured": """
        SELECT s.* EXCLUDE (batch), batch,
               coalesce(batch, if(class IN (SELECT DISTINCT atc_code[1:4] FROM drug_cat_b
                                            WHERE vbp_batch IS NOT NULL), 'substitute', 'other'))
                   AS vbp_batch,
               b.price0, b.ddd0, s.amount / sum(s.ddd) OVER g AS now_each,
               s.ddd / sum(s.ddd) OVER g AS part,
               date_trunc('month', setl_time) >= award AS since,
               EXISTS (FROM vbp_agree_d a WHERE a.fixmedins_code = s.fixmedins_code
                       AND a.med_list_codg = s.product
                       AND s.setl_time >= date_trunc('month', a.begndate)
                       AND s.setl_time < date_trunc('month', a.enddate) + INTERVAL 1 MONTH)
                   AS promised
        FROM sold s LEFT JOIN before b ON b.generic = s.generic AND s.batch IS NOT NULL
        WINDOW g AS (PARTITION BY s.generic, s.month)""",
    "promises": """
        SELECT strftime(day, '%Y-%m') AS month, year(day) || 'Q' || quarter(day) AS quarter,
               atc_code || '.' || route AS generic, a.vbp_batch, 'selected' AS selected_flag,
               CASE WHEN hosp_lv < '05' THEN 'T' WHEN hosp_lv < '08' THEN 'S'
                    WHEN hosp_lv < '11' THEN 'P' ELSE 'N' END AS hosp_lv4,
               agre_cnt * ddd_per_cnt / (a.enddate - a.begndate + 1) AS ddd
        FROM (SELECT *, unnest(generate_series(begndate, enddate, INTERVAL 1 DAY))::DATE AS day
              FROM vbp_agree_d) a
        JOIN fixmedins_b USING (fixmedins_code) JOIN drug_cat_b USING (med_list_codg)
        WHERE fix_blng_admdvs[1:4] = (SELECT any_value(insu_admdvs[1:4]) FROM setl_d)""",
}  # fmt: skip


def _sum(column: str) -> Part:
    return Part("procured", "amount", f"sum({column})")


def _ddd(condition: str) -> Part:
    return Part("procured", "amount", f"sum(ddd) FILTER ({condition})")


MEASURES: dict[str, dict[str, Found]] = {
    "S11": {
        "patients": Part("procured", "count", "count(DISTINCT psn_no) FILTER (amount <> 0)"),
        "units": _sum("units"),
        "ddd": _sum("ddd"),
        "amount": _sum("amount"),
        "price_ddd": Quotient("amount", "ddd"),
        "_chosen": _ddd("selected_flag = 'selected'"),
        "_passed": _ddd("selected_flag = 'unselected'"),
        "_awarded": Added({"_chosen": 1, "_passed": 1}),
        "selected_share": Quotient("_chosen", "_awarded"),
        "_first": _ddd("vbp_batch = 'VBP-SYN-01'"),
        "_second": _ddd("vbp_batch = 'VBP-SYN-02'"),
        "_beside": _ddd("vbp_batch = 'substitute'"),
        "_class": Added({"_first": 1, "_second": 1, "_beside": 1}),
        "substitute_share": Quotient("_beside", "_class"),
        "_now": Part("procured", "amount", "sum(amount) FILTER (price0 IS NOT NULL)"),
        "_then": _sum("ddd * price0"),
        "price_index_paasche": Quotient("_now", "_then"),
        "_basket_now": _sum("ddd0 / 12 * now_each"),
        "_basket_then": _sum("ddd0 / 12 * price0 * part"),
        "price_index_laspeyres": Quotient("_basket_now", "_basket_then"),
        "award_now": Part("procured", "amount", "sum(amount) FILTER (since AND price0 > 0)"),
        "award_then": Part("procured", "amount", "sum(ddd * price0) FILTER (since)"),
        "saved": Added({"award_then": 1, "award_now": -1}),
        "bought_ddd": _ddd("promised"),
        "agreed_ddd": Part("promises", "amount", "sum(ddd)"),
        "completion": Quotient("bought_ddd", "agreed_ddd"),
    }
}
