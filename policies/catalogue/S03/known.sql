-- Days on which a person with 24 months of enrolment and data is known as a case already: from the
-- day after the first qualifying event to 24 months after the last. They are not at risk of a first.
WITH clean AS (
    SELECT psn_insu_rlts_id, psn_no, year, insutype2, age10, gend, geo_county, geo_city,
           min(period_m) AS period_m, min(clean_number) AS number,
           max(until_number) AS until_number
    FROM insured_span
    WHERE clean_number < until_number
    GROUP BY psn_insu_rlts_id, psn_no, year, insutype2, age10, gend, geo_county, geo_city
)
SELECT c.period_m, c.geo_county, c.geo_city, c.insutype2, c.age10, c.gend,
       chapter_of(k.target) AS dx_chapter, group_of(k.target) AS dx_group,
       family_of(k.target) AS ci_family,
       c.psn_no, NULL AS fixmedins_code, true AS counting, 0 AS magnitude,
       least(k.last_number + 1, c.until_number) - greatest(k.number + 1, c.number) AS known_days
FROM clean c
JOIN known k ON k.psn_no = c.psn_no
            AND k.number + 1 < c.until_number AND k.last_number + 1 > c.number
