-- One row per inpatient settlement with its encounter's DIP group; `n` counts the stay once.
SELECT period_m, geo_county, geo_city,
       insutype2, hosp_lv4, dip_dx4, dip_group,
       outlier(dip_case_type) AS dip_outlier,
       CASE WHEN dip_aux = '1' THEN 'yes' ELSE 'no' END AS aux_list,
       psn_no, fixmedins_code, counting, medfee_sumamt AS magnitude,
       n AS stays,
       n * los AS los_days,
       n * dip_score AS score_sum,
       medfee_sumamt AS medfee,
       n * dip_std_fee AS expected,
       CASE WHEN dip_std_fee IS NOT NULL THEN medfee_sumamt END AS observed,
       n * dip_pay AS payment
FROM inpatient_dip
