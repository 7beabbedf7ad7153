-- Inpatient cases, each of the one institution that treated it, in the month of its closing
-- settlement: the last one that is neither a refund nor a mid-term one. A case refunded since is
-- still listed, nothing is paid for it; figures count those that stand. Peers are institutions of
-- one level (and kind, where the register names one) in one pooling area.
CREATE OR REPLACE VIEW hospital_case AS
WITH closing AS (
    SELECT i.setl_id, i.mdtrt_id, i.psn_no, i.fixmedins_code, i.period_m, i.hosp_lv4,
           i.drg, i.dip_group, i.rw, i.case_type, i.pay_std_amt,
           i.dip_score, i.dip_pay, i.los, i.medfee_stay, i.n_net, s.medins_setl_id,
           row_number() OVER (PARTITION BY i.mdtrt_id
                              ORDER BY s.setl_time DESC, s.setl_id DESC) AS place
    FROM inpatient_dip i
    JOIN setl_d s ON s.setl_id = i.setl_id
    WHERE i.n = 1
), paid AS (
    SELECT mdtrt_id, sum(fund_pay_sumamt) AS fund_paid
    FROM settlement_counted
    WHERE benefit5 = 'IP'
    GROUP BY mdtrt_id
)
SELECT c.period_m, c.fixmedins_code, c.psn_no,
       coalesce(c.medins_setl_id, c.setl_id) AS medins_setl_id,
       coalesce(nullif(m.dscg_dept_codg, ''), '-') AS dept,
       c.drg, c.dip_group,
       CASE WHEN coalesce(h.medins_type, '') = '' THEN c.hosp_lv4
            ELSE c.hosp_lv4 || '-' || h.medins_type END AS peer_group,
       c.n_net > 0 AS stands,
       CASE WHEN c.n_net <= 0 THEN 'refunded'
            WHEN c.drg = '0000' THEN 'ungrouped'
            ELSE outlier(c.case_type) END AS case_type,
       c.rw AS weight, c.dip_score AS score, c.los, c.medfee_stay AS cost,
       CASE WHEN c.n_net > 0 THEN c.pay_std_amt END AS expected,
       CASE WHEN c.n_net > 0 THEN c.dip_pay END AS expected_dip,
       paid.fund_paid,
       CASE WHEN c.n_net > 0 AND c.medfee_stay > c.pay_std_amt
            THEN c.medfee_stay - c.pay_std_amt ELSE 0 END AS deduction
FROM closing c
JOIN paid ON paid.mdtrt_id = c.mdtrt_id
JOIN fixmedins_b h ON h.fixmedins_code = c.fixmedins_code
LEFT JOIN mdtrt_d m ON m.mdtrt_id = c.mdtrt_id
WHERE c.place = 1;
