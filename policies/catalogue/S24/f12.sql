-- F12 Somebody else's card: billed after death, a diagnosis of the other sex, or at another
-- institution on a day strictly inside a stay. Unit: settlement.
WITH inside AS (
    SELECT DISTINCT r.setl_id
    FROM risk_settlement r
    JOIN risk_stay s ON s.psn_no = r.psn_no AND s.fixmedins_code <> r.fixmedins_code
                    AND r.day > CAST(s.begntime AS DATE) AND r.day < CAST(s.endtime AS DATE)
    WHERE r.benefit5 <> 'IP'
), sexed AS (
    SELECT mdtrt_id,
           CASE WHEN left(dscg_maindiag_code, 1) = 'O'
                  OR left(dscg_maindiag_code, 3) BETWEEN 'N70' AND 'N98'
                  OR left(dscg_maindiag_code, 3) BETWEEN 'C51' AND 'C58' THEN '2'
                WHEN left(dscg_maindiag_code, 3) BETWEEN 'N40' AND 'N51'
                  OR left(dscg_maindiag_code, 3) BETWEEN 'C60' AND 'C63' THEN '1' END AS meant
    FROM mdtrt_d
)
SELECT r.period_m, r.geo_county, r.geo_city, 'F12' AS indicator14, r.fixmedins_type, r.hosp_lv4,
       CASE WHEN p.die_date < r.begndate OR x.meant <> r.gend OR i.setl_id IS NOT NULL
            THEN 'yes' ELSE 'no' END AS hit,
       r.psn_no, r.fixmedins_code, true AS counting, r.inscp AS magnitude,
       1 AS checked, r.inscp AS amount
FROM risk_settlement r
JOIN psn_info_b p ON p.psn_no = r.psn_no
LEFT JOIN sexed x ON x.mdtrt_id = r.mdtrt_id
LEFT JOIN inside i ON i.setl_id = r.setl_id
