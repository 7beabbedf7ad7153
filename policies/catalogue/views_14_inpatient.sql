-- Inpatient settlements with what belongs to their encounter as a whole: diagnosis, DRG, length of
-- stay, readmission. S04, S06 and the inpatient cells of S02 count the same rows, so they agree.
CREATE OR REPLACE VIEW inpatient AS
WITH ranked AS (
    SELECT s.mdtrt_id, d.drg_code, d.rw, d.std_fee, d.pay_std_amt, d.case_type,
           row_number() OVER (
               PARTITION BY s.mdtrt_id ORDER BY s.setl_time DESC, s.setl_id DESC
           ) AS place
    FROM drg_rslt_d d
    JOIN setl_d s USING (setl_id)
), grouped AS (
    SELECT mdtrt_id, drg_code, rw, std_fee, pay_std_amt, case_type
    FROM ranked
    WHERE place = 1
), admission AS (
    SELECT mdtrt_id, psn_no, begntime, endtime,
           lead(begntime) OVER (PARTITION BY psn_no ORDER BY begntime, mdtrt_id) AS next_begntime
    FROM mdtrt_d
    WHERE benefit5(med_type) = 'IP'
)
SELECT s.*,
       left(m.dscg_maindiag_code, 3) AS dx_cat3,
       coalesce(nullif(g.drg_code, ''), '0000') AS drg,
       left(coalesce(nullif(g.drg_code, ''), '0000'), 3) AS adrg,
       left(coalesce(nullif(g.drg_code, ''), '0000'), 1) AS mdc,
       g.rw, g.std_fee, g.pay_std_amt, g.case_type,
       stay.los, stay.medfee AS medfee_stay, stay.n AS n_net,
       a.next_begntime IS NOT NULL
           AND a.next_begntime < a.endtime + INTERVAL 31 DAY AS readmitted31
FROM settlement_counted s
JOIN stay USING (mdtrt_id)
LEFT JOIN mdtrt_d m USING (mdtrt_id)
LEFT JOIN grouped g USING (mdtrt_id)
LEFT JOIN admission a USING (mdtrt_id)
WHERE s.benefit5 = 'IP';
