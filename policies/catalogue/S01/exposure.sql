-- Insured days on the insured-place basis: what the exposure threshold is judged on.
SELECT period_m, geo_county, geo_city, insutype2,
       psn_no, NULL AS fixmedins_code, true AS counting, days AS magnitude,
       days
FROM insured_month
WHERE days > 0
