-- One row per inpatient settlement; `n` counts the stay once (a refund takes it back), so sums over
-- n are sums over stays.
SELECT period_m, geo_county, geo_city,
       insutype2, age10, gend, hosp_lv4, dx_cat3, adrg AS drg_adrg,
       los_band(los) AS los_band, readmit31(readmitted31) AS readmit31,
       psn_no, fixmedins_code, counting, medfee_sumamt AS magnitude,
       n AS stays,
       n * los AS los_days
FROM inpatient
