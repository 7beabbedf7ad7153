-- One row per stay that was not refunded: its cost, for the median and, among cases that are not
-- low or high outliers as published, the coefficient of variation. `total_ss` and `explained_ss`
-- are each stay's share of the variance of cost in its city and quarter, and of the part that lies
-- between DRGs: their sums give the reduction in variance (RIV).
WITH kept AS (
    SELECT *,
           left(period_m, 4) || 'Q' || ceil(right(period_m, 2)::INTEGER / 3)::INTEGER AS quarter
    FROM inpatient
    WHERE n = 1 AND n_net > 0 AND medfee_stay > 0
), centred AS (
    SELECT *,
           medfee_stay::DOUBLE AS x,
           avg(medfee_stay::DOUBLE) OVER (PARTITION BY geo_city, quarter) AS city_mean,
           avg(medfee_stay::DOUBLE) OVER (PARTITION BY geo_city, quarter, drg) AS drg_mean
    FROM kept
)
SELECT period_m, geo_county, geo_city, insutype2, hosp_lv4, mdc, adrg, drg,
       psn_no, fixmedins_code, true AS counting, medfee_stay AS magnitude,
       medfee_stay,
       CASE WHEN coalesce(case_type, 'normal') NOT IN ('high', 'low') THEN medfee_stay END
           AS medfee_trimmed,
       round((x - city_mean) ** 2)::DECIMAL(24, 2) AS total_ss,
       round((x - city_mean) ** 2 - (x - drg_mean) ** 2)::DECIMAL(24, 2) AS explained_ss
FROM centred
