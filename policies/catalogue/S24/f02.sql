-- F02 Split stay: the same person is admitted to the same institution for the same diagnosis (3
-- characters) within 15 days of a discharge that was neither a transfer nor a death. Unit: stay.
WITH ordered AS (
    SELECT s.*,
           lag(endtime) OVER (PARTITION BY psn_no, fixmedins_code, dx_cat3
                              ORDER BY begntime, mdtrt_id) AS last_end,
           lag(dscg_way) OVER (PARTITION BY psn_no, fixmedins_code, dx_cat3
                               ORDER BY begntime, mdtrt_id) AS last_way
    FROM risk_stay s
)
SELECT period_m, geo_county, geo_city, 'F02' AS indicator14, fixmedins_type, hosp_lv4,
       CASE WHEN last_end IS NOT NULL AND coalesce(last_way, '9') NOT IN ('2', '3', '5')
             AND begntime < last_end + INTERVAL 15 DAY THEN 'yes' ELSE 'no' END AS hit,
       psn_no, fixmedins_code, true AS counting, inscp AS magnitude,
       1 AS checked, inscp AS amount
FROM ordered
