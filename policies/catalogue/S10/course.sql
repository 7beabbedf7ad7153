-- Per index user and gap, how long the index drug was taken, and how long any drug of its class. A
-- user stops on the day supply ends if the next dispensing comes later than 30 days of grace and the
-- gap. Leave and death are one: who leaves is followed until so many days before, since a gap could
-- be seen no later. Both courses are twice the days, and one more where they end without a stop.
WITH began AS (
    SELECT psn_no, generic, atc4, day, fixmedins_code, maker, amount, period_m, geo_county,
           geo_city, age10, gend, enrolled, seen
    FROM drug_start
), fill AS (
    SELECT psn_no, generic, atc4, day, supply FROM drug_fill
), dispensed AS (
    SELECT s.psn_no, s.generic, s.day, 'own' AS scope, f.day AS filled, f.generic AS given,
           date_diff('day', s.day, f.day) AS t, f.supply
    FROM began s
    JOIN fill f ON f.psn_no = s.psn_no AND f.generic = s.generic
               AND f.day >= s.day AND f.day <= s.day + 485
    UNION ALL
    SELECT s.psn_no, s.generic, s.day, 'class' AS scope, f.day AS filled, f.generic AS given,
           date_diff('day', s.day, f.day) AS t, f.supply
    FROM began s
    JOIN fill f ON f.psn_no = s.psn_no AND f.atc4 = s.atc4
               AND f.day >= s.day AND f.day <= s.day + 485
), supplied AS (
    SELECT psn_no, generic, day, scope,
           max(t + supply) OVER (PARTITION BY psn_no, generic, day, scope ORDER BY filled, given
               ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS supplied,
           lead(t) OVER (PARTITION BY psn_no, generic, day, scope ORDER BY filled, given) AS next_t
    FROM dispensed
), parameter AS (
    SELECT 30 AS gap UNION ALL SELECT 60 AS gap UNION ALL SELECT 90 AS gap
), stopped AS (
    SELECT d.psn_no, d.generic, d.day, p.gap,
           min(CASE WHEN d.scope = 'own' THEN d.supplied END) AS own,
           min(CASE WHEN d.scope = 'class' THEN d.supplied END) AS class
    FROM supplied d
    JOIN parameter p ON coalesce(d.next_t, 9999) - d.supplied > 30 + p.gap
    GROUP BY d.psn_no, d.generic, d.day, p.gap
), followed AS (
    SELECT s.period_m, s.geo_county, s.geo_city, s.atc4, s.generic, s.age10, s.gend,
           s.psn_no, s.fixmedins_code, s.maker, s.amount, e.gap, e.own, e.class,
           greatest(0, least(365, s.enrolled - 30 - e.gap)) AS until
    FROM began s
    JOIN stopped e ON e.psn_no = s.psn_no AND e.generic = s.generic AND e.day = s.day
    WHERE s.seen >= 395 + e.gap
)
SELECT period_m, geo_county, geo_city,
       atc4, generic, age10, gend, CAST(gap AS VARCHAR) AS gap,
       psn_no, fixmedins_code, maker, true AS counting, amount AS magnitude,
       CASE WHEN own <= until THEN 2 * own ELSE 2 * until + 1 END AS course,
       CASE WHEN class <= until THEN 2 * class ELSE 2 * until + 1 END AS class_course
FROM followed
