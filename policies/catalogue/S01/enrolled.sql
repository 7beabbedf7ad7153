-- Who is insured on the last day of a quarter, as bulletins count: each person once, so that the
-- schemes add up to the total. Two open spells count where the later one began.
WITH day AS (
    SELECT DISTINCT strftime(setl_time, '%Y-%m') AS period_m,
           (date_trunc('month', setl_time) + INTERVAL 1 MONTH)::DATE AS next_day
    FROM setl_d
    WHERE month(setl_time) IN (3, 6, 9, 12)
), spell AS (
    SELECT d.period_m, e.psn_no, e.insutype, e.insu_admdvs,
           row_number() OVER (
               PARTITION BY d.period_m, e.psn_no
               ORDER BY coalesce(e.crt_insu_date, e.psn_insu_date) DESC, e.psn_insu_rlts_id DESC
           ) AS place
    FROM psn_insu_d e
    JOIN psn_info_b p ON p.psn_no = e.psn_no
    JOIN day d ON coalesce(e.crt_insu_date, e.psn_insu_date) < d.next_day
              AND coalesce(e.paus_insu_date, DATE '9999-12-31') >= d.next_day
              AND coalesce(p.die_date, DATE '9999-12-31') >= d.next_day
    WHERE insutype2(e.insutype) IS NOT NULL
)
SELECT period_m, insu_admdvs AS geo_county, city_of(insu_admdvs) AS geo_city,
       insutype2(insutype) AS insutype2,
       psn_no, NULL AS fixmedins_code, true AS counting, 1 AS magnitude,
       1 AS insured
FROM spell
WHERE place = 1
