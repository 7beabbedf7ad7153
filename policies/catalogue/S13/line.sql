-- Every consumable billed. `group_units` are those of stays in the generic's named ADRG.
SELECT l.period_m, l.geo_county, l.geo_city,
       l.hosp_lv4, l.mcs_class3, l.mcs_generic, l.vbp_batch,
       l.psn_no, l.fixmedins_code, l.maker,
       l.amount <> 0 AS counting, l.amount AS magnitude,
       l.units, l.amount,
       CASE WHEN n.adrg IS NOT NULL THEN l.units END AS group_units
FROM device_line l
LEFT JOIN inpatient i ON i.setl_id = l.setl_id
LEFT JOIN named_group n ON n.mcs_generic = l.mcs_generic AND n.adrg = i.adrg
