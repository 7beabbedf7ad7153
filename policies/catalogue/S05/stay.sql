-- One row per inpatient encounter with a cost, for the tail of the cost of a stay.
SELECT s.period_m, s.geo_county, s.geo_city, s.insutype2,
       s.psn_no, s.fixmedins_code, true AS counting, stay.medfee AS magnitude,
       stay.medfee AS cost
FROM settlement_counted s
JOIN stay ON stay.mdtrt_id = s.mdtrt_id
WHERE s.n = 1 AND stay.n > 0 AND stay.medfee > 0 AND s.benefit5 = 'IP'
