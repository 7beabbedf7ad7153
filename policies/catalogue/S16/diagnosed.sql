-- Main diagnoses of encounters that were settled and not undone, by group (DXG of S03).
WITH undone AS (
    SELECT DISTINCT init_setl_id
    FROM setl_d
    WHERE init_setl_id IS NOT NULL AND coalesce(refd_setl_flag, '0') = '1'
), seen AS (
    SELECT DISTINCT dscg_maindiag_code AS dx
    FROM mdtrt_d
    WHERE dx_chapter(dscg_maindiag_code) IS NOT NULL
), grouped AS (
    SELECT seen.dx, dx_chapter(seen.dx) AS dx_chapter,
           coalesce(max(s.dx_group), max(r.dx_group), 'other.' || dx_chapter(seen.dx)) AS dx_group
    FROM seen
    LEFT JOIN dx_split s ON s.prefix = left(seen.dx, 5)
    LEFT JOIN dx_range r ON left(seen.dx, 3) BETWEEN r.first_code AND r.last_code
    GROUP BY seen.dx, dx_chapter(seen.dx)
)
SELECT s.psn_no, CAST(s.begndate AS DATE) AS day, g.dx_group AS code, g.dx_chapter,
       s.geo_city, s.age10
FROM settlement_counted s
JOIN mdtrt_d m ON m.mdtrt_id = s.mdtrt_id
JOIN grouped g ON g.dx = m.dscg_maindiag_code
LEFT JOIN undone u ON u.init_setl_id = s.setl_id
WHERE s.n > 0 AND u.init_setl_id IS NULL AND care2(m.med_type) IS NOT NULL
