-- F10 More often than the period allows: tumour markers within 30 days, magnetic resonance within 7
-- days, remote consultation within 7 days of the last one. Unit: person, item and day outside stays.
WITH period AS (
    SELECT * FROM (VALUES ('009904000000014', 30), ('009903000000007', 7),
                          ('009914000000034', 7)) AS p(med_list_codg, days)
), item AS (
    SELECT l.period_m, l.geo_county, l.geo_city, l.fixmedins_type, l.hosp_lv4, l.psn_no,
           l.fixmedins_code, l.setl_id, l.med_list_codg, l.day, p.days, sum(l.inscp) AS inscp
    FROM risk_line l
    JOIN period p ON p.med_list_codg = l.med_list_codg
    WHERE l.benefit5 IN ('OP', 'OPSP')
    GROUP BY l.period_m, l.geo_county, l.geo_city, l.fixmedins_type, l.hosp_lv4, l.psn_no,
             l.fixmedins_code, l.setl_id, l.med_list_codg, l.day, p.days
), ordered AS (
    SELECT i.*,
           date_diff('day', lag(day) OVER (PARTITION BY psn_no, med_list_codg
                                           ORDER BY day, setl_id), day) AS since
    FROM item i
)
SELECT period_m, geo_county, geo_city, 'F10' AS indicator14, fixmedins_type, hosp_lv4,
       CASE WHEN since < days THEN 'yes' ELSE 'no' END AS hit,
       psn_no, fixmedins_code, true AS counting, inscp AS magnitude,
       1 AS checked, inscp AS amount
FROM ordered
