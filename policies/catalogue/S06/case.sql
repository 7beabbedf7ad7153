-- One row per inpatient settlement with its encounter's group; `n` counts the stay once.
SELECT period_m, geo_county, geo_city,
       insutype2, hosp_lv4, mdc, adrg, drg,
       outlier(case_type) AS outlier,
       psn_no, fixmedins_code, counting, medfee_sumamt AS magnitude,
       n AS stays,
       n * los AS los_days,
       n * rw AS rw_sum,
       medfee_sumamt AS medfee,
       n * std_fee AS expected,
       CASE WHEN std_fee IS NOT NULL THEN medfee_sumamt END AS observed,
       n * pay_std_amt AS payment
FROM inpatient
