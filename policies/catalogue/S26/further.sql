-- Figures beside the four, as parts of a whole; of repairs the hours, and how many were mended.
SELECT period_m, geo_county, city_of(geo_county) AS geo_city, further9, whole, good
FROM dq_rslt_m
WHERE further9 IS NOT NULL
