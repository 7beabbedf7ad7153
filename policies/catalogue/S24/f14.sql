-- F14 Cards used together: at least five cards at one pharmacy in the same minute, of cards that met
-- like that there at least four times. Unit: pharmacy sale.
WITH sale AS (
    SELECT setl_id, psn_no, fixmedins_code, date_trunc('minute', setl_time) AS minute
    FROM risk_settlement
    WHERE benefit5 = 'RX'
), crowd AS (
    -- Few: most minutes of a pharmacy have one sale, and counting persons apart takes memory.
    SELECT fixmedins_code, minute FROM sale GROUP BY fixmedins_code, minute HAVING count(*) >= 5
), meeting AS (
    SELECT s.fixmedins_code, s.minute
    FROM sale s
    JOIN crowd c ON c.fixmedins_code = s.fixmedins_code AND c.minute = s.minute
    GROUP BY s.fixmedins_code, s.minute
    HAVING count(DISTINCT s.psn_no) >= 5
), often AS (
    SELECT s.fixmedins_code, s.psn_no
    FROM sale s
    JOIN meeting m ON m.fixmedins_code = s.fixmedins_code AND m.minute = s.minute
    GROUP BY s.fixmedins_code, s.psn_no
    HAVING count(DISTINCT s.minute) >= 4
), ring AS (
    SELECT s.setl_id, s.fixmedins_code, s.minute, s.psn_no
    FROM sale s
    JOIN meeting m ON m.fixmedins_code = s.fixmedins_code AND m.minute = s.minute
    JOIN often o ON o.fixmedins_code = s.fixmedins_code AND o.psn_no = s.psn_no
), together AS (
    SELECT fixmedins_code, minute
    FROM ring
    GROUP BY fixmedins_code, minute
    HAVING count(DISTINCT psn_no) >= 5
)
SELECT s.period_m, s.geo_county, s.geo_city, 'F14' AS indicator14, s.fixmedins_type, s.hosp_lv4,
       CASE WHEN t.minute IS NOT NULL AND o.psn_no IS NOT NULL THEN 'yes' ELSE 'no' END AS hit,
       s.psn_no, s.fixmedins_code, true AS counting, s.inscp AS magnitude,
       1 AS checked, s.inscp AS amount
FROM risk_settlement s
LEFT JOIN together t ON t.fixmedins_code = s.fixmedins_code
                    AND t.minute = date_trunc('minute', s.setl_time)
LEFT JOIN often o ON o.fixmedins_code = s.fixmedins_code AND o.psn_no = s.psn_no
WHERE s.benefit5 = 'RX'
