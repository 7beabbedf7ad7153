-- F11 Outside the limits of payment: a gynaecological drug for a man, an inpatient service outside a
-- stay or an outpatient one in it, a primary-care fee above primary care. Unit: line with a limit.
WITH limited AS (
    SELECT l.*,
           CASE WHEN d.atc_code IS NOT NULL THEN 'sex'
                WHEN l.med_list_codg IN ('009902000000004', '009906000000024') THEN 'stay'
                WHEN l.med_list_codg IN ('009902000000003', '009906000000023') THEN 'visit'
                ELSE 'primary' END AS rule
    FROM risk_line l
    LEFT JOIN drug_cat_b d ON d.med_list_codg = l.med_list_codg AND left(d.atc_code, 3) = 'G01'
    WHERE d.atc_code IS NOT NULL
       OR l.med_list_codg IN ('009902000000004', '009906000000024', '009902000000003',
                              '009906000000023', '009912000000031')
)
SELECT period_m, geo_county, geo_city, 'F11' AS indicator14, fixmedins_type, hosp_lv4,
       CASE WHEN (rule = 'sex' AND gend = '1')
              OR (rule = 'stay' AND benefit5 IN ('OP', 'OPSP', 'RX'))
              OR (rule = 'visit' AND benefit5 = 'IP')
              OR (rule = 'primary' AND hosp_lv4 IN ('T', 'S')) THEN 'yes' ELSE 'no' END AS hit,
       psn_no, fixmedins_code, true AS counting, inscp AS magnitude,
       1 AS checked, inscp AS amount
FROM limited
