-- What the fourteen indicators look at: settlements that stand (not refunded, mid-term ones with the
-- encounter they belong to), and inpatient encounters as a whole.
CREATE OR REPLACE VIEW risk_settlement AS
SELECT c.setl_id, c.mdtrt_id, c.period_m, c.geo_county, c.geo_city,
       h.fixmedins_type, c.hosp_lv4, c.benefit5, c.psn_no, c.fixmedins_code,
       c.inscp_amt AS inscp, s.setl_time, CAST(s.setl_time AS DATE) AS day, s.gend, s.begndate
FROM settlement_counted c
JOIN setl_d s ON s.setl_id = c.setl_id
JOIN fixmedins_b h ON h.fixmedins_code = c.fixmedins_code
LEFT JOIN (SELECT DISTINCT init_setl_id FROM setl_d WHERE init_setl_id IS NOT NULL) r
       ON r.init_setl_id = c.setl_id
WHERE c.n = 1 AND r.init_setl_id IS NULL;

CREATE OR REPLACE VIEW risk_stay AS
WITH scope AS (
    SELECT mdtrt_id, sum(inscp_amt) AS inscp FROM settlement_counted GROUP BY mdtrt_id
)
SELECT r.mdtrt_id, r.period_m, r.geo_county, r.geo_city,
       r.fixmedins_type, r.hosp_lv4, r.psn_no, r.fixmedins_code, scope.inscp,
       m.begntime, m.endtime, m.dscg_way, left(m.dscg_maindiag_code, 3) AS dx_cat3,
       coalesce(m.oprn_oprt_code, '') AS operation, stay.los
FROM risk_settlement r
JOIN stay ON stay.mdtrt_id = r.mdtrt_id
JOIN scope ON scope.mdtrt_id = r.mdtrt_id
JOIN mdtrt_d m ON m.mdtrt_id = r.mdtrt_id
WHERE r.benefit5 = 'IP' AND stay.n > 0;

-- Fee lines of what stands, with the settlement they belong to.
CREATE OR REPLACE VIEW risk_line AS
SELECT r.period_m, r.geo_county, r.geo_city, r.fixmedins_type, r.hosp_lv4, r.benefit5,
       r.psn_no, r.fixmedins_code, r.gend, r.setl_id, r.mdtrt_id,
       l.bkkp_sn, l.med_list_codg, l.list_type, l.med_chrgitm_type,
       l.fee_ocur_time, CAST(l.fee_ocur_time AS DATE) AS day,
       l.cnt, l.pric, l.det_item_fee_sumamt AS amount, l.inscp_amt AS inscp, l.prd_days
FROM risk_settlement r
JOIN fee_list_d l ON l.setl_id = r.setl_id
WHERE l.cnt > 0;
