-- Consumables used: one row per settlement and product, refunds negative.
CREATE OR REPLACE VIEW device_line AS
WITH product AS (
    SELECT setl_id, med_list_codg, sum(cnt) AS units, sum(det_item_fee_sumamt) AS amount
    FROM fee_list_d
    WHERE setl_id IS NOT NULL AND list_type = '301'
    GROUP BY setl_id, med_list_codg
)
SELECT s.setl_id, s.mdtrt_id, s.period_m, s.geo_county, s.geo_city, s.hosp_lv4, s.benefit5,
       c.mcs_class3, c.mcs_generic,
       coalesce(c.vbp_batch, 'none') AS vbp_batch, c.prodentp_name AS maker,
       s.psn_no, s.fixmedins_code, product.units, product.amount
FROM product
JOIN settlement_counted s ON s.setl_id = product.setl_id
JOIN mcs_cat_b c ON c.med_list_codg = product.med_list_codg;

-- The ADRGs for which the use of a generic per stay is stated.
CREATE OR REPLACE VIEW named_group AS
SELECT mcs_generic, adrg
FROM (VALUES ('C040101002', 'FM1'), ('C040102001', 'FM1'), ('C040202001', 'IC2'),
             ('C040202002', 'IC2'), ('C040201001', 'IC2'), ('C040302001', 'CB3'),
             ('C040203002', 'IF3'), ('C030101002', 'LR1'), ('C040601001', 'GK3')
     ) AS named(mcs_generic, adrg);
