-- What is settled in the month in which care began, by that month.
SELECT period_m, geo_county, geo_city, insutype2, benefit5,
       psn_no, NULL AS fixmedins_code, counting, medfee_sumamt AS magnitude,
       medfee_sumamt AS settled_0
FROM settlement_counted
WHERE strftime(begndate, '%Y-%m') = period_m
