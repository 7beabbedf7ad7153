-- The four figures as parts of a whole, so that months and tables add up.
SELECT period_m, geo_county, city_of(geo_county) AS geo_city, dq_table, kpi4, whole, good
FROM dq_rslt_m
WHERE kpi4 IS NOT NULL
