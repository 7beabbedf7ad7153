-- The rows of `inpatient` with the DIP group of their encounter as a whole, for S07 and for the
-- records that S02, S04, S06 and S07 share. The last settlement that was grouped decides. The city's
-- standard of a group is stated per stay; a case is low below 0.5 and high from 2 times of it.
CREATE OR REPLACE VIEW inpatient_dip AS
WITH ranked AS (
    SELECT s.mdtrt_id, d.dip_dx4, d.dip_code, d.score, d.std_fee, d.pay_std_amt,
           d.case_type, d.aux_flag,
           row_number() OVER (PARTITION BY s.mdtrt_id
                              ORDER BY s.setl_time DESC, s.setl_id DESC) AS place
    FROM dip_rslt_d d
    JOIN setl_d s USING (setl_id)
)
SELECT i.*,
       CASE WHEN coalesce(r.dip_code, '') IN ('', '0000') THEN '0000'
            ELSE r.dip_code END AS dip_group,
       CASE WHEN coalesce(r.dip_code, '') IN ('', '0000') THEN '00000'
            ELSE r.dip_dx4 END AS dip_dx4,
       r.score AS dip_score, r.std_fee AS dip_std_fee, r.pay_std_amt AS dip_pay,
       r.case_type AS dip_case_type, r.aux_flag AS dip_aux
FROM inpatient i
LEFT JOIN ranked r ON r.mdtrt_id = i.mdtrt_id AND r.place = 1;
