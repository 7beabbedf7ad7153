-- One row per stay that was not refunded: its cost, for the median and, among cases that are not
-- low or high outliers as published, the coefficient of variation.
SELECT period_m, geo_county, geo_city, insutype2, hosp_lv4, dip_dx4, dip_group,
       psn_no, fixmedins_code, true AS counting, medfee_stay AS magnitude,
       medfee_stay,
       CASE WHEN coalesce(dip_case_type, 'normal') NOT IN ('high', 'low') THEN medfee_stay END
           AS medfee_trimmed
FROM inpatient_dip
WHERE n = 1 AND n_net > 0 AND medfee_stay > 0
