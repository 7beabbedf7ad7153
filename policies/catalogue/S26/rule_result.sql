-- What each rule looked at, what broke it, and the money on that.
SELECT period_m, geo_county, city_of(geo_county) AS geo_city, dq_table, rule, checked, failed, amount
FROM dq_rslt_m
WHERE rule IS NOT NULL
