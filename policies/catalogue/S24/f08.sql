-- F08 More than the days allow: beds and nursing of a stay beyond one a calendar day, oxygen beyond
-- 24 hours a day. Calendar days are length of stay + 1 (fund-inspection counting). Unit: stay and
-- item.
WITH item AS (
    SELECT mdtrt_id,
           CASE WHEN med_chrgitm_type = '01' THEN 'bed' WHEN med_chrgitm_type = '07' THEN 'nursing'
                ELSE 'oxygen' END AS item,
           sum(cnt) AS units, sum(inscp) AS inscp
    FROM risk_line
    WHERE list_type = '201'
      AND (med_chrgitm_type IN ('01', '07') OR med_list_codg = '009905000000019')
    GROUP BY mdtrt_id,
             CASE WHEN med_chrgitm_type = '01' THEN 'bed'
                  WHEN med_chrgitm_type = '07' THEN 'nursing' ELSE 'oxygen' END
)
SELECT s.period_m, s.geo_county, s.geo_city, 'F08' AS indicator14, s.fixmedins_type, s.hosp_lv4,
       CASE WHEN i.units > (s.los + 1) * CASE WHEN i.item = 'oxygen' THEN 24 ELSE 1 END
            THEN 'yes' ELSE 'no' END AS hit,
       s.psn_no, s.fixmedins_code, true AS counting, i.inscp AS magnitude,
       1 AS checked, i.inscp AS amount
FROM item i
JOIN risk_stay s ON s.mdtrt_id = i.mdtrt_id
