-- What is settled one to twelve months after the month in which care began, by that month; refunds are
-- negative. Care that began before the data is of no period.
WITH late AS (
    SELECT strftime(begndate, '%Y-%m') AS period_m, geo_county, geo_city, insutype2, benefit5,
           psn_no, counting, medfee_sumamt AS amount,
           12 * (CAST(left(period_m, 4) AS INTEGER) - year(begndate))
               + CAST(right(period_m, 2) AS INTEGER) - month(begndate) AS delay
    FROM settlement_counted
), beginning AS (
    SELECT strftime(min(setl_time), '%Y-%m') AS period_m FROM setl_d
)
SELECT late.period_m, geo_county, geo_city, insutype2, benefit5,
       psn_no, NULL AS fixmedins_code, counting, amount AS magnitude,
       CASE WHEN delay = 1 THEN amount END AS settled_1,
       CASE WHEN delay = 2 THEN amount END AS settled_2,
       CASE WHEN delay = 3 THEN amount END AS settled_3,
       CASE WHEN delay = 4 THEN amount END AS settled_4,
       CASE WHEN delay = 5 THEN amount END AS settled_5,
       CASE WHEN delay = 6 THEN amount END AS settled_6,
       CASE WHEN delay = 7 THEN amount END AS settled_7,
       CASE WHEN delay = 8 THEN amount END AS settled_8,
       CASE WHEN delay = 9 THEN amount END AS settled_9,
       CASE WHEN delay = 10 THEN amount END AS settled_10,
       CASE WHEN delay = 11 THEN amount END AS settled_11,
       CASE WHEN delay = 12 THEN amount END AS settled_12
FROM late
JOIN beginning ON late.period_m >= beginning.period_m
WHERE delay BETWEEN 1 AND 12
