-- Insured days on the insured-place basis; indicator and institution belong to care, not to persons.
SELECT period_m, geo_county, geo_city,
       psn_no, NULL AS fixmedins_code, true AS counting, days AS magnitude,
       days
FROM insured_month
WHERE days > 0
