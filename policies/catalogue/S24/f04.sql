-- F04 Night bursts: a sale between 22 and 6 o'clock at a pharmacy whose share of night sales in the
-- month lies above the 99th percentile of its peers and which made at least five. Unit: sale.
WITH sale AS (
    SELECT psn_no, period_m, fixmedins_code,
           CASE WHEN hour(setl_time) >= 22 OR hour(setl_time) < 6 THEN 1 ELSE 0 END AS night
    FROM risk_settlement
    WHERE benefit5 = 'RX'
), shop AS (
    SELECT period_m, fixmedins_code, sum(night) AS nights, count(*) AS sales
    FROM sale
    GROUP BY period_m, fixmedins_code
), ranked AS (
    SELECT period_m, fixmedins_code, nights,
           percent_rank() OVER (PARTITION BY period_m
                                ORDER BY CAST(nights AS DECIMAL(18, 9)) / sales) AS place
    FROM shop
)
SELECT s.period_m, s.geo_county, s.geo_city, 'F04' AS indicator14, s.fixmedins_type, s.hosp_lv4,
       CASE WHEN (hour(s.setl_time) >= 22 OR hour(s.setl_time) < 6)
             AND r.place > 0.99 AND r.nights >= 5 THEN 'yes' ELSE 'no' END AS hit,
       s.psn_no, s.fixmedins_code, true AS counting, s.inscp AS magnitude,
       1 AS checked, s.inscp AS amount
FROM risk_settlement s
JOIN ranked r ON r.period_m = s.period_m AND r.fixmedins_code = s.fixmedins_code
WHERE s.benefit5 = 'RX'
