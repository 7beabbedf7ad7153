-- The price of each product and settlement that was not refunded.
SELECT l.period_m, l.geo_county, l.geo_city, l.hosp_lv4, l.mcs_class3, l.mcs_generic, l.vbp_batch,
       l.psn_no, l.fixmedins_code, true AS counting, l.amount AS magnitude,
       CAST(l.amount / l.units AS DECIMAL(16, 2)) AS price
FROM device_line l
LEFT JOIN (SELECT DISTINCT init_setl_id FROM setl_d WHERE init_setl_id IS NOT NULL) r
       ON r.init_setl_id = l.setl_id
WHERE l.units > 0 AND l.amount > 0 AND r.init_setl_id IS NULL
