-- F07 Billed twice or together with what excludes it: the same service more than once at the same
-- time, or on one day two services of which one includes the other (ordinary and intensive bed,
-- first-class and special nursing). Unit: service of a settlement and moment.
WITH item AS (
    SELECT period_m, geo_county, geo_city, fixmedins_type, hosp_lv4, psn_no, fixmedins_code,
           setl_id, mdtrt_id, med_list_codg, fee_ocur_time, day,
           count(*) AS times, sum(inscp) AS inscp
    FROM risk_line
    WHERE list_type = '201'
    GROUP BY period_m, geo_county, geo_city, fixmedins_type, hosp_lv4, psn_no, fixmedins_code,
             setl_id, mdtrt_id, med_list_codg, fee_ocur_time, day
), pair AS (
    SELECT * FROM (VALUES ('009901000000001', '009901000000002'),
                          ('009907000000025', '009907000000026')) AS p(item, excludes)
), both_billed AS (
    SELECT DISTINCT i.mdtrt_id, i.day, i.med_list_codg
    FROM item i
    JOIN pair p ON p.excludes = i.med_list_codg
    JOIN item o ON o.mdtrt_id = i.mdtrt_id AND o.day = i.day AND o.med_list_codg = p.item
)
SELECT i.period_m, i.geo_county, i.geo_city, 'F07' AS indicator14, i.fixmedins_type, i.hosp_lv4,
       CASE WHEN i.times > 1 OR b.mdtrt_id IS NOT NULL THEN 'yes' ELSE 'no' END AS hit,
       i.psn_no, i.fixmedins_code, true AS counting, i.inscp AS magnitude,
       1 AS checked, i.inscp AS amount
FROM item i
LEFT JOIN both_billed b ON b.mdtrt_id = i.mdtrt_id AND b.day = i.day
                       AND b.med_list_codg = i.med_list_codg
