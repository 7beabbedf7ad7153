-- Western and patent drugs as dispensed, for S11 and S12: one row per settlement and product, refunds
-- negative. The same records as S09 counts, with what procurement and negotiation say of each
-- product. `cnt` is in packs, so DDDs are cnt × DDDs a pack.
CREATE OR REPLACE VIEW drug_line AS
WITH product AS (
    SELECT setl_id, med_list_codg,
           sum(cnt) AS units, sum(det_item_fee_sumamt) AS amount, sum(inscp_amt) AS inscp,
           max(coalesce(rx_circ_flag, '0')) AS rx_circ_flag
    FROM fee_list_d
    WHERE setl_id IS NOT NULL AND list_type = '101'
    GROUP BY setl_id, med_list_codg
)
SELECT s.setl_id, product.med_list_codg, s.period_m, s.geo_county, s.geo_city,
       s.insutype2, s.benefit5, s.hosp_lv4, s.psn_no, s.fixmedins_code,
       s.inscp_amt AS settlement_inscp, s.fund_pay_sumamt AS settlement_fund,
       d.atc_code || '.' || d.route AS generic, d.prodentp_name AS maker,
       d.vbp_batch, d.vbp_selected_flag, d.vbp_begndate, d.nego_begndate,
       product.rx_circ_flag, product.amount <> 0 AS counting,
       product.units, CAST(product.units * d.ddd_per_cnt AS DECIMAL(24, 4)) AS ddd,
       product.amount, product.inscp
FROM product
JOIN settlement_counted s USING (setl_id)
JOIN drug_cat_b d USING (med_list_codg);
