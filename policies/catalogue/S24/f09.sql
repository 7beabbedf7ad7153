-- F09 No discount: two or more operations on one day of a stay, none of them below the highest
-- price of the day. Unit: stay and day with two or more operations.
WITH operated AS (
    SELECT mdtrt_id, day, sum(cnt) AS operations, min(pric) AS low, max(pric) AS high,
           sum(inscp) AS inscp
    FROM risk_line
    WHERE list_type = '201' AND med_chrgitm_type = '06'
    GROUP BY mdtrt_id, day
    HAVING sum(cnt) >= 2
)
SELECT s.period_m, s.geo_county, s.geo_city, 'F09' AS indicator14, s.fixmedins_type, s.hosp_lv4,
       CASE WHEN o.low = o.high THEN 'yes' ELSE 'no' END AS hit,
       s.psn_no, s.fixmedins_code, true AS counting, o.inscp AS magnitude,
       1 AS checked, o.inscp AS amount
FROM operated o
JOIN risk_stay s ON s.mdtrt_id = o.mdtrt_id
