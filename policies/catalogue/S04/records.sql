-- Every inpatient settlement with what each linked service (S02, S04, S06, S07) tells cells apart by: only
-- to find out which of their cells lie inside each other, never published.
SELECT period_m, geo_county, geo_city,
       insutype2, psn_group6, age5, age10, gend, benefit5, hosp_lv4, pay_loc3,
       dx_cat3, adrg AS drg_adrg, los_band(los) AS los_band, readmit31(readmitted31) AS readmit31,
       mdc, adrg, drg, outlier(case_type) AS outlier,
       dip_dx4, dip_group, outlier(dip_case_type) AS dip_outlier,
       CASE WHEN dip_aux = '1' THEN 'yes' ELSE 'no' END AS aux_list,
       psn_no, fixmedins_code, counting, medfee_sumamt AS magnitude
FROM inpatient_dip
