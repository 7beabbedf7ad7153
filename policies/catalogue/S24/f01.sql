-- F01 Admission below the standard: a stay of at most 3 days without an operation, for a mild
-- illness, of whose cost laboratory and examinations are at least 60 %. Unit: stay whose lines are at hand.
WITH cost AS (
    SELECT mdtrt_id, sum(amount) AS whole,
           sum(CASE WHEN med_chrgitm_type IN ('03', '04') THEN amount ELSE 0 END) AS tests
    FROM risk_line
    GROUP BY mdtrt_id
)
SELECT s.period_m, s.geo_county, s.geo_city, 'F01' AS indicator14, s.fixmedins_type, s.hosp_lv4,
       CASE WHEN s.los <= 3 AND s.operation = ''
             AND s.dx_cat3 IN ('I10', 'J06', 'J20', 'K29', 'M47', 'M51', 'R42', 'H81')
             AND cost.whole > 0 AND 10 * cost.tests >= 6 * cost.whole THEN 'yes' ELSE 'no' END AS hit,
       s.psn_no, s.fixmedins_code, true AS counting, s.inscp AS magnitude,
       1 AS checked, s.inscp AS amount
FROM risk_stay s
JOIN cost ON cost.mdtrt_id = s.mdtrt_id
