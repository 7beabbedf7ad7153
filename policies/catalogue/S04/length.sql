-- One row per stay that was not refunded, for the percentiles of its length in days.
SELECT period_m, geo_county, geo_city,
       insutype2, age10, gend, hosp_lv4, dx_cat3, adrg AS drg_adrg,
       psn_no, fixmedins_code, true AS counting, medfee_sumamt AS magnitude,
       los
FROM inpatient
WHERE n = 1 AND n_net > 0
