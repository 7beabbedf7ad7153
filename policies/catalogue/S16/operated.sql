-- Main operations and procedures of encounters that were settled and not undone (ICD-9-CM-3).
WITH undone AS (
    SELECT DISTINCT init_setl_id
    FROM setl_d
    WHERE init_setl_id IS NOT NULL AND coalesce(refd_setl_flag, '0') = '1'
)
SELECT s.psn_no, CAST(s.begndate AS DATE) AS day,
       left(m.oprn_oprt_code, 2) AS code,
       s.geo_city, s.age10
FROM settlement_counted s
JOIN mdtrt_d m ON m.mdtrt_id = s.mdtrt_id
LEFT JOIN undone u ON u.init_setl_id = s.setl_id
WHERE s.n > 0 AND u.init_setl_id IS NULL AND length(m.oprn_oprt_code) >= 2
