-- Whose records answers are made from: persons settled, by year, city of insurance and institution.
SELECT left(period_m, 4) AS year, geo_city, fixmedins_code AS provider,
       count(DISTINCT psn_no) AS persons
FROM settlement_counted
WHERE counting AND fixmedins_code IS NOT NULL
GROUP BY left(period_m, 4), geo_city, fixmedins_code
