-- One institution's own units by indicator: what was checked and what of it meets the rule.
SELECT period_m, fixmedins_code, indicator14,
       sum(checked) AS checked,
       sum(CASE WHEN hit = 'yes' THEN checked ELSE 0 END) AS hits,
       sum(amount) AS amount,
       sum(CASE WHEN hit = 'yes' THEN amount ELSE 0 END) AS hit_amount,
       CASE WHEN sum(checked) > 0
            THEN round(1000.0 * sum(CASE WHEN hit = 'yes' THEN checked ELSE 0 END)
                       / sum(checked), 2) END AS hits_1000,
       CASE WHEN sum(amount) > 0
            THEN round(sum(CASE WHEN hit = 'yes' THEN amount ELSE 0 END)
                       / sum(amount), 4) END AS amount_share
FROM fact_unit
GROUP BY period_m, fixmedins_code, indicator14
