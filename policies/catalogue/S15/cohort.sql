-- One row per matched person, outcome and window: the outcome before and after, per person-year. The
-- amount that dominance is judged on is what all care of the two years cost, and its institution the
-- one that billed most of it, in every row the same: what is shown of a cohort is shown of all of it.
WITH matched AS (
    SELECT * FROM study_matched
), subject AS (
    SELECT psn_no, disease12 FROM matched GROUP BY psn_no, disease12
), part AS (
    SELECT time_window, quarter, before, after
    FROM (VALUES ('effect', -4, 1, 0), ('effect', -3, 1, 0), ('effect', -2, 1, 0),
                 ('effect', -1, 1, 0), ('effect', 1, 0, 1), ('effect', 2, 0, 1),
                 ('effect', 3, 0, 1), ('effect', 4, 0, 1),
                 ('pretrend', -4, 2, 0), ('pretrend', -3, 2, 0), ('pretrend', -2, 0, 2),
                 ('pretrend', -1, 0, 2),
                 ('q-4', -4, 0, 4), ('q-4', -1, 4, 0), ('q-3', -3, 0, 4), ('q-3', -1, 4, 0),
                 ('q-2', -2, 0, 4), ('q-2', -1, 4, 0), ('q+1', 1, 0, 4), ('q+1', -1, 4, 0),
                 ('q+2', 2, 0, 4), ('q+2', -1, 4, 0), ('q+3', 3, 0, 4), ('q+3', -1, 4, 0),
                 ('q+4', 4, 0, 4), ('q+4', -1, 4, 0)
         ) AS part(time_window, quarter, before, after)
), outcome AS (
    SELECT outcome
    FROM (VALUES ('stays'), ('ed'), ('op_visits'), ('cost'), ('fund'), ('oop'), ('pdc'),
                 ('complications')) AS outcome(outcome)
), month AS (
    SELECT date_trunc('month', setl_time)::DATE AS first_day
    FROM setl_d
    GROUP BY date_trunc('month', setl_time)::DATE
), calendar AS (
    SELECT t.programme, t.psn_no, t.disease12, m.first_day,
           (m.first_day + INTERVAL 1 MONTH)::DATE AS next_day,
           strftime(m.first_day, '%Y-%m') AS period_m,
           CASE WHEN month_no(m.first_day) < t.start_no
                THEN CAST(floor((month_no(m.first_day) - t.start_no + 12) / 3) AS INTEGER) - 4
                ELSE CAST(floor((month_no(m.first_day) - t.start_no - t.washout) / 3) AS INTEGER)
                     + 1 END AS quarter
    FROM matched t
    JOIN month m ON month_no(m.first_day) BETWEEN t.start_no - 12 AND t.start_no - 1
                 OR month_no(m.first_day) BETWEEN t.start_no + t.washout
                                              AND t.start_no + t.washout + 11
), care AS (
    SELECT c.programme, s.psn_no, c.quarter, s.fixmedins_code,
           sum(CASE WHEN s.benefit5 = 'IP' THEN s.n ELSE 0 END) AS stays,
           sum(CASE WHEN e.med_type LIKE '13%' THEN s.n ELSE 0 END) AS ed,
           sum(CASE WHEN s.benefit5 IN ('OP', 'OPSP') AND coalesce(e.med_type, '') NOT LIKE '13%'
                    THEN s.n ELSE 0 END) AS op_visits,
           sum(CASE WHEN s.benefit5 = 'IP'
                     AND complication(c.disease12, left(e.dscg_maindiag_code, 3))
                    THEN s.n ELSE 0 END) AS complications,
           sum(s.medfee_sumamt) AS cost, sum(s.fund_pay_sumamt) AS fund, sum(s.psn_pay) AS oop
    FROM calendar c
    JOIN settlement_counted s ON s.psn_no = c.psn_no AND s.period_m = c.period_m
    LEFT JOIN mdtrt_d e ON e.mdtrt_id = s.mdtrt_id
    GROUP BY c.programme, s.psn_no, c.quarter, s.fixmedins_code
), house AS (
    SELECT programme, psn_no, fixmedins_code, sum(cost) AS cost
    FROM care
    GROUP BY programme, psn_no, fixmedins_code
), main_house AS (
    SELECT programme, psn_no, fixmedins_code,
           sum(cost) OVER (PARTITION BY programme, psn_no) AS cost,
           row_number() OVER (
               PARTITION BY programme, psn_no ORDER BY cost DESC, fixmedins_code
           ) AS place
    FROM house
), stretch AS (
    -- Days supplied by any medicine of the disease, none twice: what reaches beyond all before it.
    SELECT f.psn_no, f.disease12, f.until,
           greatest(f.day, coalesce(max(f.until) OVER (
               PARTITION BY f.psn_no, f.disease12 ORDER BY f.day, f.until, f.generic, f.year
               ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), f.day)) AS day
    FROM chronic_fill f
    JOIN subject s ON s.psn_no = f.psn_no AND s.disease12 = f.disease12
), supplied AS (
    SELECT c.programme, f.psn_no, c.quarter,
           sum(least(f.until, date_diff('day', DATE '2000-01-01', c.next_day))
               - greatest(f.day, date_diff('day', DATE '2000-01-01', c.first_day))) AS days
    FROM calendar c
    JOIN stretch f ON f.psn_no = c.psn_no AND f.disease12 = c.disease12
              AND f.until > f.day
              AND f.day < date_diff('day', DATE '2000-01-01', c.next_day)
              AND f.until > date_diff('day', DATE '2000-01-01', c.first_day)
    GROUP BY c.programme, f.psn_no, c.quarter
), quarterly AS (
    SELECT programme, psn_no, quarter, outcome.outcome,
           sum(CAST(CASE outcome.outcome WHEN 'stays' THEN stays WHEN 'ed' THEN ed
                         WHEN 'op_visits' THEN op_visits WHEN 'complications' THEN complications
                         WHEN 'cost' THEN cost WHEN 'fund' THEN fund WHEN 'oop' THEN oop
                    END AS DECIMAL(20, 7))) AS value
    FROM care
    CROSS JOIN outcome
    WHERE outcome.outcome <> 'pdc'
    GROUP BY programme, psn_no, quarter, outcome.outcome
    UNION ALL
    SELECT programme, psn_no, quarter, 'pdc' AS outcome,
           CAST(days * 0.0027397 AS DECIMAL(20, 7)) AS value
    FROM supplied
), windowed AS (
    SELECT q.programme, q.psn_no, q.outcome, part.time_window,
           sum(q.value * part.before) AS before, sum(q.value * part.after) AS after
    FROM quarterly q
    JOIN part ON part.quarter = q.quarter
    GROUP BY q.programme, q.psn_no, q.outcome, part.time_window
), read AS (
    SELECT time_window
    FROM part
    GROUP BY time_window
)
SELECT t.period_m, t.geo_county, t.geo_city, t.programme, outcome.outcome, read.time_window,
       p.psn_no, h.fixmedins_code, true AS counting, coalesce(h.cost, 0) AS magnitude,
       t.set_no, t.treated,
       coalesce(w.before, 0) AS before, coalesce(w.after, 0) AS after
FROM matched t
JOIN psn_info_b p ON p.psn_no = t.psn_no
CROSS JOIN outcome
CROSS JOIN read
LEFT JOIN main_house h ON h.programme = t.programme AND h.psn_no = p.psn_no AND h.place = 1
LEFT JOIN windowed w ON w.programme = t.programme AND w.psn_no = p.psn_no
                    AND w.outcome = outcome.outcome AND w.time_window = read.time_window
