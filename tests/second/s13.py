"""S13, second implementation: consumables by class and generic."""

from __future__ import annotations

from tests.served_recount import Found, Part, Quotient

_GROUPS = """MAP {'C040101002': 'FM1', 'C040102001': 'FM1', 'C040202001': 'IC2',
    'C040202002': 'IC2', 'C040201001': 'IC2', 'C040302001': 'CB3', 'C040203002': 'IF3',
    'C030101002': 'LR1', 'C040601001': 'GK3'}"""
TABLES = {
    "devices": f"""
        SELECT c.*, m.mcs_class3, m.mcs_generic, coalesce(m.vbp_batch, 'none') AS vbp_batch,
               pieces, amount, round(amount / pieces, 2) AS each_price, m.prodentp_name AS maker,
               refd_setl_flag = '0' AND NOT EXISTS (
                   FROM setl_d r WHERE r.init_setl_id = c.setl_id) AND amount > 0 AS stands,
               benefit5 = 'IP' AND {_GROUPS}[m.mcs_generic] = adrg AS named
        FROM (SELECT setl_id, med_list_codg, sum(cnt) AS pieces, sum(det_item_fee_sumamt) AS amount
              FROM fee_list_d WHERE list_type = '301' GROUP BY 1, 2) l
        JOIN care c USING (setl_id) JOIN mcs_cat_b m USING (med_list_codg)""",
    "device_stays": f"""
        SELECT i.*, m.mcs_class3, m.mcs_generic, m.vbp_batch
        FROM inpatient i JOIN (SELECT mcs_generic, min(mcs_class3) AS mcs_class3,
                                      coalesce(max(vbp_batch), 'none') AS vbp_batch
                               FROM mcs_cat_b GROUP BY 1) m
          ON {_GROUPS}[m.mcs_generic] = i.adrg""",
}  # fmt: skip

_PRICES = "list(each_price ORDER BY each_price) FILTER (stands)"
MEASURES: dict[str, dict[str, Found]] = {
    "S13": {
        "patients": Part("devices", "count", "count(DISTINCT psn_no) FILTER (amount <> 0)"),
        "units": Part("devices", "amount", "sum(pieces)"),
        "amount": Part("devices", "amount", "sum(amount)"),
        "price": Quotient("amount", "units", 2),
        "price_p25": Part("devices", "amount", _PRICES, percentile=25),
        "price_p75": Part("devices", "amount", _PRICES, percentile=75),
        "_named": Part("devices", "amount", "sum(pieces) FILTER (named)"),
        "_stays": Part("device_stays", "count", "sum(n)"),
        "units_per_stay": Quotient("_named", "_stays", 2),
    }
}
