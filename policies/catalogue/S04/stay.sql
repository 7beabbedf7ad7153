-- One row per inpatient settlement; `n` counts the stay once (a refund takes it back), so sums over
-- n are sums over stays.
SELECT period_m, geo_county, geo_city,
       insutype2, age10, gend, hosp_lv4, dx_cat3, adrg AS drg_adrg,
       CASE WHEN los <= 1 THEN 'le1' WHEN los <= 3 THEN '2-3' WHEN los <= 7 THEN '4-7'
            WHEN los <= 14 THEN '8-14' WHEN los <= 30 THEN '15-30' ELSE 'gt30' END AS los_band,
       CASE WHEN readmitted31 THEN 'yes' ELSE 'no' END AS readmit31,
       psn_no, fixmedins_code, counting, medfee_sumamt AS magnitude,
       n AS stays,
       n * los AS los_days
FROM inpatient
