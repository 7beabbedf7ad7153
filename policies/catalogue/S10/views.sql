-- What a person got of a generic on one day outside hospital stays, refunds taken off. Days of supply
-- are those stated, else packs × DDDs a pack; 90 at most. Place, institution and maker are those of
-- the day's first product.
CREATE OR REPLACE VIEW drug_fill AS
WITH line AS (
    SELECT coalesce(s.init_setl_id, s.setl_id) AS origin, f.med_list_codg,
           sum(f.cnt) AS kept,
           sum(CASE WHEN f.cnt > 0 THEN f.cnt END) AS given,
           sum(CASE WHEN f.cnt > 0
                    THEN coalesce(nullif(f.prd_days, 0), f.cnt * d.ddd_per_cnt) END) AS days,
           sum(f.det_item_fee_sumamt) AS amount
    FROM fee_list_d f
    JOIN setl_d s ON s.setl_id = f.setl_id
    JOIN drug_cat_b d ON d.med_list_codg = f.med_list_codg
    WHERE f.list_type = '101' AND benefit5(s.med_type) <> 'IP'
    GROUP BY coalesce(s.init_setl_id, s.setl_id), f.med_list_codg
    HAVING sum(f.cnt) > 0
), dispensed AS (
    SELECT s.psn_no, d.atc_code || '.' || d.route AS generic, s.begndate AS day,
           l.origin, s.fixmedins_code, d.prodentp_name AS maker, l.amount,
           CAST(l.days * l.kept / l.given AS DECIMAL(18, 4)) AS days,
           row_number() OVER (PARTITION BY s.psn_no, d.atc_code, d.route, s.begndate
                              ORDER BY l.origin, l.med_list_codg) AS place
    FROM line l
    JOIN setl_d s ON s.setl_id = l.origin
    JOIN drug_cat_b d ON d.med_list_codg = l.med_list_codg
    WHERE d.route IS NOT NULL
)
SELECT psn_no, generic, left(generic, 4) AS atc3, left(generic, 5) AS atc4, day,
       CAST(least(90, greatest(1, round(coalesce(sum(days), 0), 0))) AS INTEGER) AS supply,
       sum(amount) AS amount,
       max(CASE WHEN place = 1 THEN origin END) AS setl_id,
       max(CASE WHEN place = 1 THEN fixmedins_code END) AS fixmedins_code,
       max(CASE WHEN place = 1 THEN maker END) AS maker
FROM dispensed
GROUP BY psn_no, generic, day;

-- The first day of the first month with drugs, and the day after the last month with settlements.
CREATE OR REPLACE VIEW drug_window AS
SELECT CAST(date_trunc('month', min(day)) AS DATE) AS first_day,
       CAST(date_trunc('month', max(seen)) + INTERVAL 1 MONTH AS DATE) AS until_day
FROM (SELECT s.begndate AS day, CAST(NULL AS DATE) AS seen
      FROM setl_d s
      JOIN fee_list_d f ON f.setl_id = s.setl_id
      WHERE f.list_type = '101' AND benefit5(s.med_type) <> 'IP'
      UNION ALL
      SELECT CAST(NULL AS DATE) AS day, CAST(setl_time AS DATE) AS seen FROM setl_d) AS days;

-- Spells of enrolment that follow each other without a day between, as one.
CREATE OR REPLACE VIEW enrolled_run AS
WITH spell AS (
    SELECT e.psn_no, e.psn_insu_rlts_id,
           coalesce(e.crt_insu_date, e.psn_insu_date) AS from_day,
           least(coalesce(e.paus_insu_date, DATE '9999-12-31'),
                 coalesce(p.die_date + 1, DATE '9999-12-31')) AS until_day
    FROM psn_insu_d e
    JOIN psn_info_b p ON p.psn_no = e.psn_no
    WHERE insutype2(e.insutype) IS NOT NULL
), reach AS (
    SELECT psn_no, psn_insu_rlts_id, from_day, until_day,
           max(until_day) OVER (PARTITION BY psn_no ORDER BY from_day, psn_insu_rlts_id
               ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS reached
    FROM spell
    WHERE until_day > from_day
), numbered AS (
    SELECT psn_no, from_day, until_day,
           sum(CASE WHEN reached >= from_day THEN 0 ELSE 1 END) OVER (
               PARTITION BY psn_no ORDER BY from_day, psn_insu_rlts_id
               ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS run
    FROM reach
)
SELECT psn_no, min(from_day) AS from_day, max(until_day) AS until_day
FROM numbered
GROUP BY psn_no, run;

-- Index users: the first dispensing after 365 insured days without any drug of the class; of two
-- drugs on one day the first by code. Only quarters before which a year of drugs is known, and after
-- which a year and 90 days: a switch needs so long to be told from an interruption.
CREATE OR REPLACE VIEW drug_start AS
WITH ordered AS (
    SELECT psn_no, generic, atc3, atc4, day, setl_id, fixmedins_code, maker, amount,
           lag(day) OVER (PARTITION BY psn_no, atc4 ORDER BY day, generic) AS former
    FROM drug_fill
)
SELECT o.psn_no, o.generic, o.atc3, o.atc4, o.day, o.fixmedins_code, o.maker, o.amount,
       strftime(o.day, '%Y-%m') AS period_m,
       s.insu_admdvs AS geo_county, city_of(s.insu_admdvs) AS geo_city,
       age10(s.age) AS age10, s.gend,
       date_diff('day', o.day, r.until_day) AS enrolled,
       date_diff('day', CAST(date_trunc('quarter', o.day) + INTERVAL 3 MONTH AS DATE), w.until_day)
           AS seen
FROM ordered o
JOIN setl_d s ON s.setl_id = o.setl_id
JOIN enrolled_run r ON r.psn_no = o.psn_no AND r.from_day <= o.day - 365 AND r.until_day > o.day
JOIN drug_window w
  ON date_diff('day', w.first_day, CAST(date_trunc('quarter', o.day) AS DATE)) >= 365
 AND date_diff('day', CAST(date_trunc('quarter', o.day) + INTERVAL 3 MONTH AS DATE), w.until_day)
     >= 455
WHERE o.former IS NULL OR date_diff('day', o.former, o.day) > 365;

-- Use of a generic without more than 90 days (60 and the grace of 30) between the end of supply and
-- the next dispensing. It is fresh where the generic was not dispensed for 365 days before.
CREATE OR REPLACE VIEW drug_episode AS
WITH reach AS (
    SELECT psn_no, generic, atc3, day, supply, setl_id, fixmedins_code, maker,
           max(day + supply) OVER (PARTITION BY psn_no, generic ORDER BY day
               ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS supplied,
           lag(day) OVER (PARTITION BY psn_no, generic ORDER BY day) AS former
    FROM drug_fill
), marked AS (
    SELECT psn_no, generic, atc3, day, supply, setl_id, fixmedins_code, maker, former,
           CASE WHEN day <= supplied + 90 THEN 0 ELSE 1 END AS begins
    FROM reach
), numbered AS (
    SELECT psn_no, generic, atc3, day, supply, setl_id, fixmedins_code, maker, begins,
           CASE WHEN former IS NULL OR date_diff('day', former, day) > 365 THEN begins ELSE 0 END
               AS fresh,
           sum(begins) OVER (PARTITION BY psn_no, generic ORDER BY day
               ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS run
    FROM marked
)
SELECT psn_no, generic, atc3, min(day) AS from_day, max(day + supply) AS until_day,
       max(fresh) AS fresh,
       max(CASE WHEN begins = 1 THEN setl_id END) AS setl_id,
       max(CASE WHEN begins = 1 THEN fixmedins_code END) AS fixmedins_code,
       max(CASE WHEN begins = 1 THEN maker END) AS maker
FROM numbered
GROUP BY psn_no, generic, atc3, run;

-- Switches: another generic of the ATC level-3 class begins at most 60 days before or after the last
-- supply ends, and the former one is not dispensed for 90 days thereafter.
CREATE OR REPLACE VIEW drug_switch AS
SELECT o.psn_no, f.generic, o.generic AS other, o.from_day AS day
FROM drug_episode o
JOIN drug_fill f ON f.psn_no = o.psn_no AND f.atc3 = o.atc3 AND f.generic <> o.generic
                AND f.day >= o.from_day - 150 AND f.day <= o.from_day + 90
WHERE o.fresh = 1
GROUP BY o.psn_no, f.generic, o.generic, o.from_day
HAVING max(f.day) <= o.from_day
   AND date_diff('day', o.from_day, max(f.day + f.supply)) BETWEEN -60 AND 60;
