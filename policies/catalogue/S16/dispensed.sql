-- Drugs dispensed or given, in any setting, but for what was returned: by generic (ATC code, route).
WITH line AS (
    SELECT coalesce(s.init_setl_id, s.setl_id) AS origin, f.med_list_codg
    FROM fee_list_d f
    JOIN setl_d s ON s.setl_id = f.setl_id
    WHERE f.list_type = '101'
    GROUP BY coalesce(s.init_setl_id, s.setl_id), f.med_list_codg
    HAVING sum(f.cnt) > 0
)
SELECT s.psn_no, CAST(s.begndate AS DATE) AS day, d.atc_code || '.' || d.route AS code,
       left(d.atc_code, 1) AS atc1, left(d.atc_code, 3) AS atc2, left(d.atc_code, 4) AS atc3,
       left(d.atc_code, 5) AS atc4,
       city_of(s.insu_admdvs) AS geo_city, age10(s.age) AS age10
FROM line l
JOIN setl_d s ON s.setl_id = l.origin
JOIN drug_cat_b d ON d.med_list_codg = l.med_list_codg
WHERE d.atc_code IS NOT NULL AND d.route IS NOT NULL
