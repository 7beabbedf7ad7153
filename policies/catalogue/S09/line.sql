-- Western and patent drugs: one row per settlement and product, refunds negative. A product billed
-- on several days of a stay is one prescription. `cnt` is in packs, so DDDs are cnt × DDDs a pack.
WITH product AS (
    SELECT setl_id, med_list_codg,
           sum(cnt) AS units, sum(det_item_fee_sumamt) AS amount
    FROM fee_list_d
    WHERE setl_id IS NOT NULL AND list_type = '101'
    GROUP BY setl_id, med_list_codg
)
SELECT s.period_m, s.geo_county, s.geo_city,
       s.insutype2, s.benefit5, s.hosp_lv4, s.age10, s.gend, d.route,
       left(d.atc_code, 1) AS atc1, left(d.atc_code, 3) AS atc2,
       left(d.atc_code, 4) AS atc3, left(d.atc_code, 5) AS atc4,
       d.atc_code || '.' || d.route AS generic,
       s.psn_no, s.fixmedins_code, d.prodentp_name AS maker,
       product.amount <> 0 AS counting, product.amount AS magnitude,
       sign(product.amount)::INTEGER AS prescriptions,
       product.units AS units,
       product.units * d.ddd_per_cnt AS ddd,
       product.amount AS amount
FROM product
JOIN settlement_counted s USING (setl_id)
JOIN drug_cat_b d USING (med_list_codg)
