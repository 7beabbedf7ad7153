-- One row per person, year, diagnosis group (or critical-illness family) and institution: those who
-- are a case in the year, and what their care for it cost there. `new` is who had the first
-- qualifying event of 24 months. One row of each case counts it.
WITH held AS (
    SELECT psn_no, target, year FROM qualified
    UNION
    SELECT r.psn_no, r.target, i.year
    FROM registration r
    JOIN insured_year i ON i.psn_no = r.psn_no AND i.year BETWEEN r.year AND r.last_year
), billed AS (
    SELECT psn_no, target, year, coalesce(fixmedins_code, '') AS fixmedins_code,
           sum(medfee) AS medfee, sum(oop) AS oop
    FROM (
        SELECT psn_no, target, year(day) AS year, fixmedins_code, medfee, oop FROM occasion
        UNION ALL
        SELECT r.psn_no, r.target, i.year, r.fixmedins_code, 0 AS medfee, 0 AS oop
        FROM registration r
        JOIN insured_year i ON i.psn_no = r.psn_no AND i.year BETWEEN r.year AND r.last_year
    ) AS bill
    GROUP BY psn_no, target, year, coalesce(fixmedins_code, '')
), ranked AS (
    SELECT psn_no, target, year, fixmedins_code, medfee, oop,
           row_number() OVER (
               PARTITION BY psn_no, target, year ORDER BY medfee DESC, fixmedins_code
           ) AS place
    FROM billed
)
SELECT i.period_m, i.geo_county, i.geo_city, i.insutype2, i.age10, i.gend,
       chapter_of(b.target) AS dx_chapter, group_of(b.target) AS dx_group,
       family_of(b.target) AS ci_family,
       CASE WHEN n.psn_no IS NULL THEN 'known' ELSE 'new' END AS course,
       b.psn_no, nullif(b.fixmedins_code, '') AS fixmedins_code,
       true AS counting, b.medfee AS magnitude,
       b.medfee, b.oop,
       CASE WHEN b.place = 1 THEN 1 END AS cases
FROM ranked b
JOIN held h ON h.psn_no = b.psn_no AND h.target = b.target AND h.year = b.year
JOIN insured_year i ON i.psn_no = b.psn_no AND i.year = b.year
LEFT JOIN new_case n ON n.psn_no = b.psn_no AND n.target = b.target AND n.year = b.year
