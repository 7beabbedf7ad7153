-- F13 Another product than billed: a pharmacy sale with traced packs in which a drug is billed whose
-- code none of the packs has. Unit: drug of a traced sale.
WITH traced AS (
    SELECT setl_id, count(*) AS packs FROM sel_trac_d WHERE setl_id IS NOT NULL GROUP BY setl_id
), pack AS (
    SELECT DISTINCT setl_id, med_list_codg FROM sel_trac_d WHERE setl_id IS NOT NULL
), billed AS (
    SELECT period_m, geo_county, geo_city, fixmedins_type, hosp_lv4, psn_no, fixmedins_code,
           setl_id, med_list_codg, sum(inscp) AS inscp
    FROM risk_line
    WHERE list_type = '101' AND benefit5 = 'RX'
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
