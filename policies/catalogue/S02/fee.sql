-- Fee lines are summed by settlement, category and catalogue class first and joined after, so that
-- no settlement amount is multiplied by its lines. Lines not yet settled (null setl_id) wait.
WITH line AS (
    SELECT setl_id, med_chrgitm_type AS fee_cat14, chrgitm_lv AS catalog_lv3,
           sum(det_item_fee_sumamt) AS amount
    FROM fee_list_d
    WHERE setl_id IS NOT NULL
    GROUP BY setl_id, med_chrgitm_type, chrgitm_lv
)
SELECT s.period_m, s.geo_county, s.geo_city,
       s.insutype2, s.psn_group6, s.age5, s.gend, s.benefit5, s.hosp_lv4, s.pay_loc3,
       line.fee_cat14, line.catalog_lv3,
       s.psn_no, s.fixmedins_code, line.amount <> 0 AS counting, line.amount AS magnitude,
       line.amount AS amount
FROM line
JOIN settlement_counted s USING (setl_id)
