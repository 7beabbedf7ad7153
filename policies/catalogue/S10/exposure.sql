-- Who is insured in a quarter, on the insured-place basis; drugs belong to care.
SELECT min(period_m) AS period_m, geo_county, geo_city,
       age10(age) AS age10, gend,
       psn_no, NULL AS fixmedins_code, true AS counting, sum(days) AS magnitude,
       sum(days) AS days
FROM insured_month
WHERE days > 0
GROUP BY left(period_m, 4), floor((CAST(right(period_m, 2) AS INTEGER) + 2) / 3),
         geo_county, geo_city, age10(age), gend, psn_no
