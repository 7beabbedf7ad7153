-- One row per insured person and year, whether there was care or not: what the year cost, for the
-- share of the costliest per cent. A person stands where insured last in the year.
WITH insured AS (
    SELECT psn_no, period_m, geo_county, geo_city, insutype2,
           row_number() OVER (
               PARTITION BY psn_no, left(period_m, 4)
               ORDER BY period_m DESC, days DESC, insutype2, geo_county
           ) AS place
    FROM insured_month
    WHERE days > 0
)
SELECT i.period_m, i.geo_county, i.geo_city, i.insutype2,
       i.psn_no, NULL AS fixmedins_code, true AS counting, 0 AS magnitude,
       CASE WHEN p.medfee > 0 THEN p.medfee ELSE 0 END AS cost
FROM insured i
LEFT JOIN person_year p ON p.psn_no = i.psn_no AND p.year = left(i.period_m, 4)
WHERE i.place = 1
