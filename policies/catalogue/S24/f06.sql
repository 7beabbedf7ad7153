-- F06 Over-prescribing: more than 30 days' supply at once (90 with a chronic filing), or a refill
-- while more than 15 days of the same generic are left. Unit: drug of a visit or sale with its days
-- of supply known.
WITH fill AS (
    SELECT l.period_m, l.geo_county, l.geo_city, l.fixmedins_type, l.hosp_lv4, l.benefit5,
           l.psn_no, l.fixmedins_code, l.setl_id, d.atc_code || '.' || d.route AS generic,
           min(l.day) AS day, sum(l.prd_days) AS supply, sum(l.inscp) AS inscp
    FROM risk_line l
    JOIN drug_cat_b d ON d.med_list_codg = l.med_list_codg
    WHERE l.prd_days IS NOT NULL AND l.benefit5 IN ('OP', 'OPSP', 'RX')
    GROUP BY l.period_m, l.geo_county, l.geo_city, l.fixmedins_type, l.hosp_lv4, l.benefit5,
             l.psn_no, l.fixmedins_code, l.setl_id, d.atc_code || '.' || d.route
), ordered AS (
    SELECT f.*,
           date_diff('day', lag(day) OVER (PARTITION BY psn_no, generic
                                           ORDER BY day, setl_id), day) AS since,
           lag(supply) OVER (PARTITION BY psn_no, generic ORDER BY day, setl_id) AS last_supply
    FROM fill f
)
SELECT period_m, geo_county, geo_city, 'F06' AS indicator14, fixmedins_type, hosp_lv4,
       CASE WHEN supply > CASE WHEN benefit5 = 'OPSP' THEN 90 ELSE 30 END
              OR last_supply - since > 15 THEN 'yes' ELSE 'no' END AS hit,
       psn_no, fixmedins_code, true AS counting, inscp AS magnitude,
       1 AS checked, inscp AS amount
FROM ordered
