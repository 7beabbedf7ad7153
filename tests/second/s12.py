"""S12, second implementation: negotiated drugs by channel, from lines and settlements."""

from __future__ import annotations

from tests.served_recount import Found, Part, Quotient

TABLES = {
    "negotiated": """
        SELECT c.*, atc_code || '.' || route AS generic, amount, packs * ddd_per_cnt AS ddd,
               if(med_type[1:2] <> '41', 'hospital', if(outside, 'external', 'dual_channel'))
                   AS channel3,
               if(inscp_amt = 0, 0, round(scope * fund_pay_sumamt / inscp_amt, 2)) AS fund_part,
               d.nego_begndate AS listed, packs, prodentp_name AS maker
        FROM (SELECT setl_id, med_list_codg, sum(det_item_fee_sumamt) AS amount, sum(cnt) AS packs,
                     sum(inscp_amt) AS scope, bool_or(rx_circ_flag = '1') AS outside
              FROM fee_list_d WHERE list_type = '101' GROUP BY 1, 2) l
        JOIN care c USING (setl_id) JOIN drug_cat_b d USING (med_list_codg)""",
    "peopled": """
        SELECT month, county, count(DISTINCT psn_no) AS n
        FROM (SELECT insured.month, psn_no, e.insu_admdvs AS county
              FROM insured JOIN psn_insu_d e USING (psn_no)
              WHERE e.insutype = if(insured.insutype2 = 'employee', '310', '390')
                AND strftime(e.crt_insu_date, '%Y-%m') <= insured.month
                AND (e.paus_insu_date IS NULL
                     OR e.paus_insu_date > strptime(insured.month, '%Y-%m')))
        GROUP BY 1, 2 HAVING n >= 100""",
    "reach": """
        SELECT n.month, generic, insu_admdvs, 1 / (SELECT count(*) FROM peopled p
                                                   WHERE p.month = n.month) AS part
        FROM negotiated n JOIN peopled p ON p.month = n.month AND p.county = n.insu_admdvs
        WHERE packs > 0 GROUP BY 1, 2, 3""",
}  # fmt: skip

_CHANNEL = ("generic", "channel3")
_MONTHS = """list((year(setl_time) - year(listed)) * 12 + month(setl_time) - month(listed)
             ORDER BY setl_time) FILTER (amount > 0)"""
_HOUSES = "count(DISTINCT fixmedins_code)"
MEASURES: dict[str, dict[str, Found]] = {
    "S12": {
        "patients": Part("negotiated", "count", "count(DISTINCT psn_no) FILTER (amount <> 0)"),
        "fills": Part("negotiated", "count", "sum(sign(amount))"),
        "ddd": Part("negotiated", "amount", "sum(ddd)"),
        "amount": Part("negotiated", "amount", "sum(amount)"),
        "fund_part": Part("negotiated", "amount", "sum(fund_part)"),
        "insured": Part("insured", "count", "count(DISTINCT psn_no)", _CHANNEL),
        "users_10k": Quotient("patients", "insured", 4, 10_000),
        "reimbursement": Quotient("fund_part", "amount"),
        "_every": Part("negotiated", "count", "sum(sign(amount))", ("channel3",)),
        "channel_share": Quotient("fills", "_every"),
        "months_listed": Part("negotiated", "days", _MONTHS, percentile=50),
        "district_coverage": Part("reach", "amount", "sum(part)"),
        "institutions": Part(
            "negotiated", "label",
            f"CASE WHEN {_HOUSES} < 10 THEN '5-9' WHEN {_HOUSES} < 20 THEN '10-19'"
            f" WHEN {_HOUSES} < 50 THEN '20-49' ELSE '50+' END",
        ),
    }
}  # fmt: skip
