-- F05 Many pharmacies in a day: a person buys at three or more pharmacies on one day, or for more
-- than twice what the person spends on a usual buying day (known from six days on). Unit: person and
-- day, at the pharmacy where most was spent.
WITH bought AS (
    SELECT psn_no, day, count(DISTINCT fixmedins_code) AS shops, sum(inscp) AS inscp
    FROM risk_settlement
    WHERE benefit5 = 'RX'
    GROUP BY psn_no, day
), usual AS (
    SELECT psn_no, count(*) AS days, sum(inscp) AS inscp FROM bought GROUP BY psn_no
), placed AS (
    SELECT s.*,
           row_number() OVER (PARTITION BY psn_no, day ORDER BY inscp DESC, setl_id) AS place
    FROM risk_settlement s
    WHERE benefit5 = 'RX'
)
SELECT p.period_m, p.geo_county, p.geo_city, 'F05' AS indicator14, p.fixmedins_type, p.hosp_lv4,
       CASE WHEN b.shops >= 3
              OR (u.days >= 6 AND b.inscp * u.days > 2 * u.inscp) THEN 'yes' ELSE 'no' END AS hit,
       p.psn_no, p.fixmedins_code, true AS counting, b.inscp AS magnitude,
       1 AS checked, b.inscp AS amount
FROM placed p
JOIN bought b ON b.psn_no = p.psn_no AND b.day = p.day
JOIN usual u ON u.psn_no = p.psn_no
WHERE p.place = 1
