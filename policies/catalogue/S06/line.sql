-- What stays were billed for: lines summed by settlement and kind first, joined after.
WITH kind AS (
    SELECT setl_id, det_item_fee_sumamt AS amount,
           CASE WHEN med_chrgitm_type IN ('09', '10', '11') THEN 'drug'
                WHEN med_chrgitm_type = '08' THEN 'consumable'
                WHEN med_chrgitm_type = '04' THEN 'lab'
                WHEN med_chrgitm_type = '03' THEN 'exam'
                ELSE 'other' END AS fee_group
    FROM fee_list_d
    WHERE setl_id IS NOT NULL
), line AS (
    SELECT setl_id, fee_group, sum(amount) AS amount
    FROM kind
    GROUP BY setl_id, fee_group
)
SELECT i.period_m, i.geo_county, i.geo_city,
       i.insutype2, i.hosp_lv4, i.mdc, i.adrg, i.drg, line.fee_group,
       i.psn_no, i.fixmedins_code, line.amount <> 0 AS counting, line.amount AS magnitude,
       line.amount AS amount
FROM line
JOIN inpatient i USING (setl_id)
