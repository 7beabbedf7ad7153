-- Use and switching by calendar quarter, of all users: days from a dispensing to the end of supply,
-- interruptions of up to 90 days included, and the switches in them. Only generics that have others
-- in their ATC level-3 class; only quarters before which a year of drugs is known, and after which
-- 90 days, so that a return would be seen.
WITH episode AS (
    SELECT psn_no, generic, atc3, from_day, until_day, setl_id, fixmedins_code, maker
    FROM drug_episode
), quarter AS (
    SELECT q.first_day, CAST(q.first_day + INTERVAL 3 MONTH AS DATE) AS until_day
    FROM (SELECT DISTINCT CAST(date_trunc('quarter', setl_time) AS DATE) AS first_day
          FROM setl_d) AS q
    JOIN drug_window w
      ON date_diff('day', w.first_day, q.first_day) >= 365
     AND date_diff('day', CAST(q.first_day + INTERVAL 3 MONTH AS DATE), w.until_day) >= 90
), class AS (
    SELECT left(atc_code, 4) AS atc3
    FROM drug_cat_b
    GROUP BY left(atc_code, 4)
    HAVING count(DISTINCT atc_code || '.' || route) > 1
), used AS (
    SELECT q.first_day, e.psn_no, e.generic, e.setl_id, e.fixmedins_code, e.maker,
           date_diff('day', greatest(q.first_day, e.from_day), least(q.until_day, e.until_day))
               AS days
    FROM episode e
    JOIN class c ON c.atc3 = e.atc3
    JOIN quarter q ON e.from_day < q.until_day AND e.until_day > q.first_day
), switched AS (
    SELECT q.first_day, m.psn_no, m.generic, m.other, m.day,
           e.setl_id, e.fixmedins_code, e.maker,
           row_number() OVER (PARTITION BY m.psn_no, m.generic, m.other, m.day
                              ORDER BY e.from_day DESC) AS place
    FROM drug_switch m
    JOIN quarter q ON m.day >= q.first_day AND m.day < q.until_day
    JOIN episode e ON e.psn_no = m.psn_no AND e.generic = m.generic AND e.from_day <= m.day
), unit AS (
    SELECT first_day, psn_no, generic, setl_id, fixmedins_code, maker, 'none' AS moved_to,
           days, 0 AS switches
    FROM used
    UNION ALL
    SELECT first_day, psn_no, generic, setl_id, fixmedins_code, maker,
           left(other, 5) AS moved_to, 0 AS days, 1 AS switches
    FROM switched
    WHERE place = 1
)
SELECT strftime(u.first_day, '%Y-%m') AS period_m,
       s.insu_admdvs AS geo_county, city_of(s.insu_admdvs) AS geo_city,
       u.generic AS used_generic, u.moved_to,
       u.psn_no, u.fixmedins_code, u.maker, true AS counting,
       u.days + u.switches AS magnitude, u.days, u.switches
FROM unit u
JOIN setl_d s ON s.setl_id = u.setl_id
