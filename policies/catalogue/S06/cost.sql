-- One row per stay that was not refunded: its cost, for the median and, among cases that are not
-- low or high outliers as published, the coefficient of variation. `total_ss` and `explained_ss`
-- are each stay's share of the variance of cost in its city and quarter, and of the part that lies
-- between DRGs: their sums give the reduction in variance (RIV).
WITH kept AS (
    SELECT *,
           left(period_m, 4) || 'Q' || ceil(right(period_m, 2)::INTEGER / 3)::INTEGER AS quarter
    FROM inpatient
    WHERE n = 1 AND n_net > 0 AND medfee_stay > 0
), mean AS (
    SELECT *,
           (sum(medfee_stay) OVER (PARTITION BY geo_city, quarter)
               / count(*) OVER (PARTITION BY geo_city, quarter))::DECIMAL(17, 8) AS city_mean,
           (sum(medfee_stay) OVER (PARTITION BY geo_city, quarter, drg)
               / count(*) OVER (PARTITION BY geo_city, quarter, drg))::DECIMAL(17, 8) AS drg_mean
    FROM kept
), centred AS (
    SELECT *,
           (medfee_stay - city_mean)::DECIMAL(19, 8) AS from_city,
           (medfee_stay - drg_mean)::DECIMAL(19, 8) AS from_drg
    FROM mean
)
SELECT period_m, geo_county, geo_city, insutype2, hosp_lv4, mdc, adrg, drg,
       psn_no, fixmedins_code, true AS counting, medfee_stay AS magnitude,
       medfee_stay,
       CASE WHEN coalesce(case_type, 'normal') NOT IN ('high', 'low') THEN medfee_stay END
           AS medfee_trimmed,
       round(from_city * from_city)::DECIMAL(24, 2) AS total_ss,
       round(from_city * from_city - from_drg * from_drg)::DECIMAL(24, 2) AS explained_ss
FROM centred
