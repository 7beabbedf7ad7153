-- Drugs dispensed by channel: a hospital, a dual-channel pharmacy, or a pharmacy on an external
-- (internet) prescription. All drugs, so that the cells are those of S09; only negotiated generics
-- are on this service's list. The fund's part of a line is its in-scope amount at the settlement's
-- rate. `reached` adds up to the part of the city's counties with at least one dispensing in the
-- month: the first line of each county bears it; counties of fewer than a hundred insured, in which
-- "at least one" would point at somebody, belong to neither number.
WITH present AS (
    SELECT psn_no, period_m, geo_county, geo_city
    FROM insured_month
    WHERE days > 0
    GROUP BY psn_no, period_m, geo_county, geo_city
), county AS (
    SELECT period_m, geo_county, geo_city
    FROM present
    GROUP BY period_m, geo_county, geo_city
    HAVING count(*) >= 100
), counties AS (
    SELECT period_m, geo_city, count(*) AS n FROM county GROUP BY period_m, geo_city
), sold AS (
    -- By person first: what ranks every line of everybody would be too much for a large build.
    SELECT psn_no, generic, period_m, geo_county, min(setl_id) AS setl_id
    FROM drug_line
    WHERE units > 0
    GROUP BY psn_no, generic, period_m, geo_county
), first_sold AS (
    SELECT generic, period_m, geo_county, min(setl_id) AS setl_id
    FROM sold
    GROUP BY generic, period_m, geo_county
), ranked AS (
    SELECT l.*,
           row_number() OVER (PARTITION BY setl_id, generic
                              ORDER BY CASE WHEN units > 0 THEN 0 ELSE 1 END,
                                       med_list_codg) AS place
    FROM drug_line l
)
SELECT r.period_m, r.geo_county, r.geo_city,
       r.generic, r.insutype2,
       CASE WHEN r.benefit5 <> 'RX' THEN 'hospital'
            WHEN r.rx_circ_flag = '1' THEN 'external'
            ELSE 'dual_channel' END AS channel3,
       r.psn_no, r.fixmedins_code, r.maker, r.counting, r.amount AS magnitude,
       CAST(sign(r.amount) AS INTEGER) AS fills,
       r.ddd, r.amount,
       CASE WHEN r.settlement_inscp = 0 THEN 0
            ELSE CAST(r.inscp * r.settlement_fund / r.settlement_inscp AS DECIMAL(18, 2))
       END AS fund_part,
       CASE WHEN r.place = 1 AND f.setl_id IS NOT NULL AND county.geo_county IS NOT NULL
            THEN CAST(CAST(1 AS DECIMAL(18, 6)) / counties.n AS DECIMAL(18, 6)) END AS reached
FROM ranked r
LEFT JOIN first_sold f ON f.setl_id = r.setl_id AND coalesce(f.generic, '') = coalesce(r.generic, '')
LEFT JOIN county ON county.period_m = r.period_m AND county.geo_county = r.geo_county
LEFT JOIN counties ON counties.period_m = r.period_m AND counties.geo_city = r.geo_city
