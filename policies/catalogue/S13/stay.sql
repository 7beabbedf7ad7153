-- The stays of each generic's named ADRG, whether it was used in them or not: what its use is
-- divided by. They decide over no cell.
WITH batch AS (
    SELECT mcs_generic, min(mcs_class3) AS mcs_class3,
           coalesce(max(vbp_batch), 'none') AS vbp_batch
    FROM mcs_cat_b
    GROUP BY mcs_generic
)
SELECT i.period_m, i.geo_county, i.geo_city,
       i.hosp_lv4, b.mcs_class3, n.mcs_generic, b.vbp_batch,
       i.psn_no, i.fixmedins_code, i.counting, i.medfee_sumamt AS magnitude,
       i.n AS group_stays
FROM inpatient i
JOIN named_group n ON n.adrg = i.adrg
JOIN batch b ON b.mcs_generic = n.mcs_generic
