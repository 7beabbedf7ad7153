-- One row per inpatient encounter with a cost, for the percentiles of cost per stay; the period is
-- that of its closing settlement.
SELECT s.period_m, s.geo_county, s.geo_city,
       s.insutype2, s.psn_group6, s.age5, s.gend, s.benefit5, s.hosp_lv4, s.pay_loc3,
       s.psn_no, s.fixmedins_code, true AS counting, stay.medfee AS magnitude,
       stay.medfee AS medfee_stay
FROM settlement_counted s
JOIN stay USING (mdtrt_id)
WHERE s.n = 1 AND stay.n > 0 AND stay.medfee > 0 AND s.benefit5 = 'IP'
