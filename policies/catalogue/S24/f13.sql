-- F13 Another product than billed: a sale with traced packs, at a pharmacy or a clinic, in which a
-- drug is billed whose code none of the packs has. Unit: drug of a traced sale.
WITH pack AS (
    SELECT r.setl_id, t.med_list_codg
    FROM risk_settlement r
    JOIN sel_trac_d t ON t.setl_id = r.setl_id
    GROUP BY r.setl_id, t.med_list_codg
), traced AS (
    SELECT setl_id, count(*) AS drugs FROM pack GROUP BY setl_id
), billed AS (
    SELECT period_m, geo_county, geo_city, fixmedins_type, hosp_lv4, psn_no, fixmedins_code,
           setl_id, med_list_codg, sum(inscp) AS inscp
    FROM risk_line
    WHERE list_type = '101'
    GROUP BY period_m, geo_county, geo_city, fixmedins_type, hosp_lv4, psn_no, fixmedins_code,
             setl_id, med_list_codg
)
SELECT b.period_m, b.geo_county, b.geo_city, 'F13' AS indicator14, b.fixmedins_type, b.hosp_lv4,
       CASE WHEN p.setl_id IS NULL THEN 'yes' ELSE 'no' END AS hit,
       b.psn_no, b.fixmedins_code, true AS counting, b.inscp AS magnitude,
       1 AS checked, b.inscp AS amount
FROM billed b
JOIN traced t ON t.setl_id = b.setl_id
LEFT JOIN pack p ON p.setl_id = b.setl_id AND p.med_list_codg = b.med_list_codg
