-- Insured days on the insured-place basis: the threshold below which a scheme is not shown.
SELECT period_m, geo_county, geo_city, insutype2,
       psn_no, NULL AS fixmedins_code, true AS counting, days AS magnitude,
       days
FROM insured_month
WHERE days > 0
