-- F03 Bed kept empty: on at least half of the days of a stay of 4 days or more nothing was billed but
-- bed and nursing. Unit: stay of 4 days or more whose lines are at hand.
WITH billed AS (
    SELECT mdtrt_id,
           count(DISTINCT CASE WHEN med_chrgitm_type NOT IN ('01', '07') THEN day END) AS days
    FROM risk_line
    GROUP BY mdtrt_id
)
SELECT s.period_m, s.geo_county, s.geo_city, 'F03' AS indicator14, s.fixmedins_type, s.hosp_lv4,
       CASE WHEN 2 * b.days <= s.los THEN 'yes' ELSE 'no' END AS hit,
       s.psn_no, s.fixmedins_code, true AS counting, s.inscp AS magnitude,
       1 AS checked, s.inscp AS amount
FROM risk_stay s
JOIN billed b ON b.mdtrt_id = s.mdtrt_id
WHERE s.los >= 4
