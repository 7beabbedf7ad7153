-- Inpatient settlements with what belongs to their encounter as a whole: diagnosis, DRG, length of
-- stay, readmission. S04, S06 and the inpatient cells of S02 count the same rows, so they agree.
CREATE OR REPLACE VIEW inpatient AS
WITH grouped AS (
    SELECT s.mdtrt_id, max_by(d.drg_code, s.setl_time) AS drg_code,
           max_by(d.rw, s.setl_time) AS rw, max_by(d.std_fee, s.setl_time) AS std_fee,
           max_by(d.pay_std_amt, s.setl_time) AS pay_std_amt,
           max_by(d.case_type, s.setl_time) AS case_type
    FROM drg_rslt_d d
    JOIN setl_d s USING (setl_id)
    GROUP BY s.mdtrt_id
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
