-- Insured days on the insured-place basis; nothing of a study is a property of the insured.
SELECT period_m, geo_county, geo_city,
       psn_no, NULL AS fixmedins_code, true AS counting, days AS magnitude,
       days
FROM insured_month
WHERE days > 0
