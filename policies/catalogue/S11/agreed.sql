-- What hospitals agreed to buy, in DDDs, spread over the days of the agreement: one row per hospital,
-- product and month. No person stands behind it, so it decides over no cell.
WITH month AS (
    SELECT DISTINCT CAST(date_trunc('month', setl_time) AS DATE) AS first_day FROM setl_d
), agreed AS (
    SELECT a.vbp_batch, a.fixmedins_code, h.hosp_lv, h.fix_blng_admdvs, m.first_day,
           d.atc_code || '.' || d.route AS generic,
           a.agre_cnt * d.ddd_per_cnt AS ddd,
           date_diff('day', a.begndate, a.enddate) + 1 AS days,
           date_diff('day', greatest(m.first_day, a.begndate),
                     least(CAST(m.first_day + INTERVAL 1 MONTH AS DATE), a.enddate + 1)) AS inside
    FROM vbp_agree_d a
    JOIN fixmedins_b h USING (fixmedins_code)
    JOIN drug_cat_b d USING (med_list_codg)
    JOIN month m ON a.begndate < CAST(m.first_day + INTERVAL 1 MONTH AS DATE)
                AND a.enddate >= m.first_day
)
SELECT strftime(first_day, '%Y-%m') AS period_m,
       fix_blng_admdvs AS geo_county, city_of(fix_blng_admdvs) AS geo_city,
       hosp_lv4(hosp_lv) AS hosp_lv4, generic, vbp_batch, 'selected' AS selected_flag,
       '' AS psn_no, fixmedins_code, false AS counting, 0 AS magnitude,
       CAST(ddd * inside / days AS DECIMAL(24, 4)) AS agreed_ddd
FROM agreed
