-- One row per settlement, refunds negative: the rows of S02, so that margins agree.
SELECT period_m, geo_county, geo_city,
       insutype2, benefit5, pay_loc3 AS place3,
       psn_no, fixmedins_code, counting, medfee_sumamt AS magnitude,
       n AS settlements,
       CASE WHEN benefit5 IN ('OP', 'OPSP') THEN n END AS visits,
       CASE WHEN benefit5 = 'IP' THEN n END AS stays,
       medfee_sumamt AS medfee,
       inscp_amt AS inscp,
       fund_pay_sumamt AS fund
FROM settlement_counted
