-- Insured days of each person, month by month: enrolment from `crt_insu_date` to the day before
-- `paus_insu_date`, cut at death. Status 1 without an end is open; months are those that have
-- settlements. Age is that of the first day of the month.
CREATE OR REPLACE VIEW insured_month AS
WITH month AS (
    SELECT DISTINCT date_trunc('month', setl_time)::DATE AS first_day FROM setl_d
), enrolled AS (
    SELECT e.psn_no, e.insutype, e.psn_type, e.insu_admdvs, p.gend, p.brdy,
           coalesce(e.crt_insu_date, e.psn_insu_date) AS from_day,
           least(coalesce(e.paus_insu_date, DATE '9999-12-31'),
                 coalesce(p.die_date + 1, DATE '9999-12-31')) AS until_day
    FROM psn_insu_d e
    JOIN psn_info_b p USING (psn_no)
    WHERE insutype2(e.insutype) IS NOT NULL
)
SELECT strftime(m.first_day, '%Y-%m') AS period_m,
       e.insu_admdvs AS geo_county, city_of(e.insu_admdvs) AS geo_city,
       insutype2(e.insutype) AS insutype2, e.insutype,
       greatest(0, year(m.first_day) - year(e.brdy)
           - CASE WHEN strftime(m.first_day, '%m%d') < strftime(e.brdy, '%m%d') THEN 1 ELSE 0 END
       ) AS age,
       e.psn_type, e.gend, e.psn_no,
       date_diff('day', greatest(m.first_day, e.from_day),
                 least((m.first_day + INTERVAL 1 MONTH)::DATE, e.until_day)) AS days
FROM enrolled e
JOIN month m ON e.from_day < (m.first_day + INTERVAL 1 MONTH)::DATE AND e.until_day > m.first_day;
