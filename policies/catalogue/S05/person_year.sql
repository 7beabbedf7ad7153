-- One row per person, year and institution: the bands are those of the person's whole year, the
-- amounts the institution's part, so that dominance of an institution is judged on what it billed.
WITH billed AS (
    SELECT psn_no, left(period_m, 4) AS year, fixmedins_code,
           bool_or(counting) AS counting, sum(medfee_sumamt) AS medfee,
           sum(inscp_amt - fund_pay_sumamt) AS oop_inscp,
           sum(fulamt_ownpay_amt + overlmt_selfpay) AS oop_out,
           sum(psn_pay) AS oop
    FROM settlement_counted
    GROUP BY psn_no, left(period_m, 4), fixmedins_code
)
SELECT p.period_m, p.geo_county, p.geo_city,
       p.insutype2, p.age10, p.gend, p.dx_chapter,
       layer6(p.oop) AS layer6, layer10(p.oop) AS layer10,
       layer6(p.oop_inscp) AS inscp6, layer10(p.oop_inscp) AS inscp10,
       layer6(p.oop_out) AS out6, layer10(p.oop_out) AS out10,
       b.psn_no, b.fixmedins_code, b.counting, b.medfee AS magnitude,
       b.medfee, b.oop, b.oop_inscp, b.oop_out
FROM billed b
JOIN person_year p ON p.psn_no = b.psn_no AND p.year = b.year
