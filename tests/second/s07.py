"""S07, second implementation: stays by DIP group, each with the last result of its encounter."""

from __future__ import annotations

from tests.served_recount import Found, Part, Quotient

TABLES = {
    "dips": """
        SELECT mdtrt_id, last(d.dip_code ORDER BY setl_time, setl_id) AS dip_code,
               last(d.dip_dx4 ORDER BY setl_time, setl_id) AS dx4,
               last(d.score ORDER BY setl_time, setl_id) AS score,
               last(d.std_fee ORDER BY setl_time, setl_id) AS usual_fee,
               last(d.pay_std_amt ORDER BY setl_time, setl_id) AS pay,
               last(d.case_type ORDER BY setl_time, setl_id) AS kind,
               last(d.aux_flag ORDER BY setl_time, setl_id) AS aux
        FROM dip_rslt_d d JOIN (SELECT setl_id, mdtrt_id, setl_time FROM setl_d) USING (setl_id)
        GROUP BY 1""",
    "dip_stays": """
        SELECT i.*, coalesce(dip_code, '0000') AS dip_group,
               if(dip_group = '0000', '00000', dx4) AS dip_dx4,
               score, usual_fee, pay, kind, aux,
               if(whole AND coalesce(kind, '') NOT IN ('high', 'low'), cost, NULL) AS typical
        FROM inpatient i LEFT JOIN dips USING (mdtrt_id)""",
    "dip_lines": """
        SELECT s.*, med_chrgitm_type AS category, a AS amount
        FROM (SELECT setl_id, med_chrgitm_type, sum(det_item_fee_sumamt) AS a
              FROM fee_list_d GROUP BY 1, 2) JOIN dip_stays s USING (setl_id)""",
}  # fmt: skip


def _count(condition: str) -> Part:
    return Part("dip_stays", "count", f"sum(n) FILTER ({condition})")


def _sum(column: str) -> Part:
    return Part("dip_stays", "amount", f"sum({column})")


_KINDS = {"drug": "'09', '10', '11'", "consumable": "'08'", "lab": "'04'", "exam": "'03'"}
_COST = "list(cost ORDER BY cost) FILTER (whole)"
MEASURES: dict[str, dict[str, Found]] = {
    "S07": {
        "stays": _count("true"),
        "los_days": Part("dip_stays", "count", "sum(n * los)"),
        "medfee": _sum("medfee_sumamt"),
        "score_sum": _sum("n * score"),
        "payment": _sum("n * pay"),
        "avg_medfee": Quotient("medfee", "stays", 2),
        "medfee_p50": Part("dip_stays", "amount", _COST, percentile=50),
        "score_mean": Quotient("score_sum", "stays", 2),
        "cv": Part("dip_stays", "cv", "stddev_samp(typical) / avg(typical)"),
        "los_mean": Quotient("los_days", "stays", 2),
        "pay_cost_ratio": Quotient("payment", "medfee"),
        "_observed": _sum("if(usual_fee IS NULL, NULL, medfee_sumamt)"),
        "_expected": _sum("n * usual_fee"),
        "deviation": Quotient("_observed", "_expected"),
        "_high": _count("kind = 'high'"),
        "_low": _count("kind = 'low'"),
        "_aux": _count("aux = '1'"),
        "outlier_high_share": Quotient("_high", "stays"),
        "outlier_low_share": Quotient("_low", "stays"),
        "aux_share": Quotient("_aux", "stays"),
        **{
            f"_{kind}": Part("dip_lines", "amount", f"sum(amount) FILTER (category IN ({codes}))")
            for kind, codes in _KINDS.items()
        },
        **{f"{kind}_share": Quotient(f"_{kind}", "medfee") for kind in _KINDS},
    }
}
