-- One row per index user: days covered in the 365 from the first dispensing, of those insured as
-- long; the first switch and whether another generic of the ATC level-3 class was added.
WITH began AS (
    SELECT psn_no, generic, atc3, atc4, day, fixmedins_code, maker, amount, period_m, geo_county,
           geo_city, age10, gend, enrolled
    FROM drug_start
), episode AS (
    SELECT psn_no, generic, atc3, from_day, until_day, fresh FROM drug_episode
), move AS (
    SELECT psn_no, generic, other, day FROM drug_switch
), supplied AS (
    SELECT s.psn_no, s.generic, s.day, date_diff('day', s.day, f.day) AS t, f.supply,
           max(date_diff('day', s.day, f.day) + f.supply) OVER (
               PARTITION BY s.psn_no, s.generic, s.day ORDER BY f.day
               ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS reached
    FROM began s
    JOIN drug_fill f ON f.psn_no = s.psn_no AND f.generic = s.generic
                    AND f.day >= s.day AND f.day < s.day + 365
), covered AS (
    SELECT psn_no, generic, day,
           sum(greatest(0, least(t + supply, 365) - greatest(t, coalesce(reached, 0)))) AS days
    FROM supplied
    GROUP BY psn_no, generic, day
), switch AS (
    SELECT s.psn_no, s.generic, s.day, left(m.other, 5) AS class,
           row_number() OVER (PARTITION BY s.psn_no, s.generic, s.day ORDER BY m.day, m.other)
               AS place
    FROM began s
    JOIN move m ON m.psn_no = s.psn_no AND m.generic = s.generic
               AND m.day > s.day AND m.day <= s.day + 365
), added AS (
    SELECT DISTINCT s.psn_no, s.generic, s.day
    FROM began s
    JOIN episode own ON own.psn_no = s.psn_no AND own.generic = s.generic AND own.from_day = s.day
    JOIN episode o ON o.psn_no = s.psn_no AND o.atc3 = s.atc3 AND o.generic <> s.generic
              AND o.fresh = 1 AND o.from_day > s.day AND o.from_day <= s.day + 365
    LEFT JOIN move m ON m.psn_no = s.psn_no AND m.generic = s.generic
                    AND m.other = o.generic AND m.day = o.from_day
    WHERE m.psn_no IS NULL
      AND date_diff('day', o.from_day, least(o.until_day, own.until_day)) >= 30
), moved AS (
    SELECT s.psn_no, s.generic, s.day, w.class,
           count(*) OVER (PARTITION BY s.geo_city, left(s.period_m, 4), s.generic, w.class) AS many
    FROM began s
    JOIN switch w ON w.psn_no = s.psn_no AND w.generic = s.generic AND w.day = s.day
                 AND w.place = 1
)
SELECT s.period_m, s.geo_county, s.geo_city,
       s.atc4, s.generic, s.age10, s.gend,
       CASE WHEN m.class IS NULL THEN 'no' ELSE 'yes' END AS switched,
       CASE WHEN m.class IS NULL THEN 'none' WHEN m.many < 11 THEN 'other' ELSE m.class END
           AS switch_to,
       s.psn_no, s.fixmedins_code, s.maker, true AS counting, s.amount AS magnitude,
       CASE WHEN s.enrolled >= 365 THEN CAST(c.days / 365 AS DECIMAL(6, 4)) END AS pdc,
       CASE WHEN s.enrolled >= 365 THEN CASE WHEN c.days >= 292 THEN 1 ELSE 0 END END AS adherent,
       CASE WHEN a.psn_no IS NULL THEN 0 ELSE 1 END AS added,
       CASE WHEN s.enrolled < 365 THEN 1 ELSE 0 END AS departed
FROM began s
JOIN covered c ON c.psn_no = s.psn_no AND c.generic = s.generic AND c.day = s.day
LEFT JOIN moved m ON m.psn_no = s.psn_no AND m.generic = s.generic AND m.day = s.day
LEFT JOIN added a ON a.psn_no = s.psn_no AND a.generic = s.generic AND a.day = s.day
