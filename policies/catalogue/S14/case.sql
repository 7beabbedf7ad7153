-- One row per person, year, disease, institution and kind of care. Cost, stays and visits are all the
-- person had there in the year, whatever for; what is of the person as a whole (insured days, supply)
-- stands on the row that billed most. `listed` is what was billed line by line: drug cost is told as a
-- share of that, since lines may be missing where settlements are not.
WITH line AS (
    SELECT setl_id, sum(det_item_fee_sumamt) AS listed,
           sum(CASE WHEN med_chrgitm_type IN ('09', '10', '11')
                    THEN det_item_fee_sumamt ELSE 0 END) AS drug
    FROM fee_list_d
    WHERE setl_id IS NOT NULL
    GROUP BY setl_id
), settled AS (
    SELECT s.psn_no, left(s.period_m, 4) AS year, s.fixmedins_code, s.counting, s.n,
           CASE WHEN s.benefit5 = 'IP' THEN 'stay'
                WHEN s.benefit5 IN ('OP', 'OPSP') THEN 'visit'
                ELSE 'rest' END AS care,
           s.medfee_sumamt, s.fund_pay_sumamt, l.listed, l.drug
    FROM settlement_counted s
    LEFT JOIN line l ON l.setl_id = s.setl_id
), billed AS (
    SELECT psn_no, year, fixmedins_code, care, bool_or(counting) AS counting,
           sum(medfee_sumamt) AS medfee, sum(fund_pay_sumamt) AS fund, sum(n) AS n,
           sum(listed) AS listed, sum(drug) AS drug
    FROM settled
    GROUP BY psn_no, year, fixmedins_code, care
), placed AS (
    SELECT psn_no, year, fixmedins_code, care, counting, medfee, fund, n, listed, drug,
           row_number() OVER (PARTITION BY psn_no, year
                              ORDER BY counting DESC, medfee DESC, fixmedins_code, care) AS place
    FROM billed
)
SELECT p.period_m, p.geo_county, p.geo_city,
       p.insutype2, c.disease12, c.stratum5, p.age10, p.gend,
       CASE WHEN c.gap IS NULL THEN 'unknown' WHEN c.gap THEN 'gap' ELSE 'steady' END AS supply3,
       CASE WHEN c.gap IS NULL THEN 'unknown' ELSE 'known' END AS known2,
       CASE WHEN c.drug_only THEN 'drug_only' ELSE 'diagnosed' END AS evidence2,
       CASE WHEN b.care = 'stay' THEN 'stay' ELSE 'rest' END AS stay2,
       CASE WHEN b.care = 'visit' THEN 'visit' ELSE 'rest' END AS visit2,
       b.psn_no, b.fixmedins_code, b.counting, b.medfee AS magnitude,
       b.medfee, b.fund, b.listed, b.drug,
       CASE WHEN b.care = 'stay' THEN b.n END AS stays,
       CASE WHEN b.care = 'visit' THEN b.n END AS visits,
       CASE WHEN b.place = 1 THEN 1 END AS cases,
       CASE WHEN b.place = 1 THEN i.insured_days END AS case_days,
       CASE WHEN b.place = 1 THEN c.window_days END AS window_days,
       CASE WHEN b.place = 1 THEN c.covered_days END AS covered_days
FROM chronic_year c
JOIN person_year p ON p.psn_no = c.psn_no AND p.year = c.year
JOIN placed b ON b.psn_no = c.psn_no AND b.year = c.year
LEFT JOIN chronic_insured i ON i.psn_no = c.psn_no AND i.year = c.year
