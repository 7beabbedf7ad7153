-- One row per first qualifying event whose twelve months after are insured and in the data whole:
-- what they cost in all, for the disease alone, and out of pocket. Who dies or leaves is not here.
WITH followed AS (
    SELECT n.psn_no, n.target, n.year, n.number
    FROM new_case n
    JOIN observed o ON o.until_number >= n.number + 365
    WHERE n.until_number >= n.number + 365
), spent AS (
    SELECT f.psn_no, f.target, f.number, sum(e.medfee) AS medfee, sum(e.oop) AS oop
    FROM followed f
    JOIN encounter e ON e.psn_no = f.psn_no
                    AND e.number >= f.number AND e.number < f.number + 365
    GROUP BY f.psn_no, f.target, f.number
), own AS (
    SELECT f.psn_no, f.target, f.number, sum(c.medfee) AS medfee
    FROM followed f
    JOIN occasion c ON c.psn_no = f.psn_no AND c.target = f.target
                   AND c.number >= f.number AND c.number < f.number + 365
    GROUP BY f.psn_no, f.target, f.number
)
SELECT i.period_m, i.geo_county, i.geo_city, i.insutype2, i.age10, i.gend,
       chapter_of(f.target) AS dx_chapter, group_of(f.target) AS dx_group,
       family_of(f.target) AS ci_family, 'new' AS course,
       f.psn_no, NULL AS fixmedins_code, true AS counting, 0 AS magnitude,
       coalesce(s.medfee, 0) AS cost12, coalesce(w.medfee, 0) AS own12,
       coalesce(s.oop, 0) AS oop12
FROM followed f
JOIN insured_year i ON i.psn_no = f.psn_no AND i.year = f.year
LEFT JOIN spent s ON s.psn_no = f.psn_no AND s.target = f.target AND s.number = f.number
LEFT JOIN own w ON w.psn_no = f.psn_no AND w.target = f.target AND w.number = f.number
