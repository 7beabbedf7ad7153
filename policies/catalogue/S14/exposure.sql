-- Insured days on the insured-place basis, for the dims a person has without using anything.
SELECT period_m, geo_county, geo_city,
       insutype2, age10(age) AS age10, gend,
       psn_no, NULL AS fixmedins_code, true AS counting, days AS magnitude,
       days
FROM insured_month
WHERE days > 0
