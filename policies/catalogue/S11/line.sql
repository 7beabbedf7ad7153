-- Every drug dispensed with its procurement batch, and what the same volume would have cost before
-- the award. `base` is the weighted price per DDD of a generic in its city over the twelve months
-- before its batch began, and is stated only where all twelve are at hand and thirty patients, five
-- institutions and three makers stand behind it: the strictest profile of this service, so that the
-- price discloses nothing that a published cell would not.
WITH base AS (
    SELECT geo_city, generic,
           sum(ddd) AS ddd, CAST(sum(amount) / sum(ddd) AS DECIMAL(18, 6)) AS price
    FROM drug_line
    WHERE period_m >= strftime(vbp_begndate - INTERVAL 12 MONTH, '%Y-%m')
      AND period_m < strftime(vbp_begndate, '%Y-%m')
    GROUP BY geo_city, generic
    HAVING count(DISTINCT period_m) = 12 AND sum(ddd) > 0 AND sum(amount) > 0
       AND count(DISTINCT psn_no) >= 30 AND count(DISTINCT fixmedins_code) >= 5
       AND count(DISTINCT maker) >= 3
), sold AS (
    SELECT geo_city, generic, period_m, sum(ddd) AS ddd
    FROM drug_line
    GROUP BY geo_city, generic, period_m
    HAVING sum(ddd) > 0
), procured_class AS (
    SELECT DISTINCT left(atc_code, 4) AS atc3 FROM drug_cat_b WHERE vbp_batch IS NOT NULL
), agreed AS (
    SELECT DISTINCT fixmedins_code, med_list_codg,
           strftime(begndate, '%Y-%m') AS first_month, strftime(enddate, '%Y-%m') AS last_month
    FROM vbp_agree_d
), agreed_line AS (
    SELECT DISTINCT l.setl_id, l.med_list_codg
    FROM drug_line l
    JOIN agreed a ON a.fixmedins_code = l.fixmedins_code AND a.med_list_codg = l.med_list_codg
                 AND l.period_m >= a.first_month AND l.period_m <= a.last_month
)
SELECT l.period_m, l.geo_county, l.geo_city,
       l.hosp_lv4, l.generic,
       CASE WHEN l.vbp_batch IS NOT NULL THEN l.vbp_batch
            WHEN p.atc3 IS NOT NULL THEN 'substitute' ELSE 'other' END AS vbp_batch,
       CASE WHEN l.vbp_batch IS NULL THEN 'none'
            WHEN l.vbp_selected_flag = '1' THEN 'selected' ELSE 'unselected' END AS selected_flag,
       l.psn_no, l.fixmedins_code, l.maker,
       l.counting, l.amount AS magnitude,
       l.units, l.ddd, l.amount,
       -- Now and then at the volume of now (Paasche): lines of generics that have a base price.
       CASE WHEN base.price IS NOT NULL THEN l.amount END AS amount_now,
       CAST(l.ddd * base.price AS DECIMAL(24, 4)) AS amount_then,
       -- The same since the award only: what procurement saved.
       CASE WHEN base.price IS NOT NULL AND l.period_m >= strftime(l.vbp_begndate, '%Y-%m')
            THEN l.amount END AS award_now,
       CASE WHEN l.period_m >= strftime(l.vbp_begndate, '%Y-%m')
            THEN CAST(l.ddd * base.price AS DECIMAL(24, 4)) END AS award_then,
       -- Now and then at a twelfth of the volume of then (Laspeyres): each line bears the part of
       -- its generic's basket that it has of the month's DDDs in the city, so all of them give it.
       CAST(base.ddd / 12 * l.amount / sold.ddd AS DECIMAL(24, 4)) AS basket_now,
       CAST(base.ddd / 12 * base.price * l.ddd / sold.ddd AS DECIMAL(24, 4)) AS basket_then,
       CASE WHEN al.setl_id IS NOT NULL THEN l.ddd END AS agreed_bought
FROM drug_line l
LEFT JOIN base ON base.geo_city = l.geo_city AND base.generic = l.generic
              AND l.vbp_batch IS NOT NULL
LEFT JOIN sold ON sold.geo_city = l.geo_city AND sold.generic = l.generic
              AND sold.period_m = l.period_m
LEFT JOIN procured_class p ON p.atc3 = left(l.generic, 4)
LEFT JOIN agreed_line al ON al.setl_id = l.setl_id AND al.med_list_codg = l.med_list_codg
