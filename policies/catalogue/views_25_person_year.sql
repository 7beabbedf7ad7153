-- One person, one year of settlement: what the person's care cost, split as SPEC 5.1 splits what is
-- paid out of pocket, and who the person was.

-- Bands of a yearly amount in yuan; nothing, or less after refunds, is the band of its own.
CREATE OR REPLACE MACRO layer10(amount) AS
    CASE WHEN amount <= 0 THEN '0'
         WHEN amount <= 1000 THEN '0-1k'
         WHEN amount <= 2000 THEN '1k-2k'
         WHEN amount <= 5000 THEN '2k-5k'
         WHEN amount <= 10000 THEN '5k-10k'
         WHEN amount <= 20000 THEN '10k-20k'
         WHEN amount <= 50000 THEN '20k-50k'
         WHEN amount <= 100000 THEN '50k-100k'
         WHEN amount <= 200000 THEN '100k-200k'
         ELSE '200k+' END;

CREATE OR REPLACE MACRO layer6(amount) AS
    CASE WHEN amount > 20000 THEN '20k+' WHEN amount <= 1000 THEN 'le1k' ELSE layer10(amount) END;

-- Scheme, county, age and sex are those of the last settlement of the year; the chapter is that of
-- the main diagnosis of the costliest encounter that has one.
CREATE OR REPLACE VIEW person_year AS
WITH settled AS (
    SELECT psn_no, left(period_m, 4) AS year, setl_id, mdtrt_id, period_m, enddate,
           geo_county, geo_city, insutype2, age10, gend, medfee_sumamt,
           inscp_amt - fund_pay_sumamt AS oop_inscp,
           fulamt_ownpay_amt + overlmt_selfpay AS oop_out,
           psn_pay
    FROM settlement_counted
), ranked AS (
    SELECT psn_no, year, period_m, geo_county, geo_city, insutype2, age10, gend,
           row_number() OVER (
               PARTITION BY psn_no, year ORDER BY period_m DESC, enddate DESC, setl_id DESC
           ) AS place
    FROM settled
), total AS (
    SELECT psn_no, year, sum(medfee_sumamt) AS medfee, sum(oop_inscp) AS oop_inscp,
           sum(oop_out) AS oop_out, sum(psn_pay) AS oop
    FROM settled
    GROUP BY psn_no, year
), encounter AS (
    SELECT psn_no, year, mdtrt_id, sum(medfee_sumamt) AS medfee
    FROM settled
    GROUP BY psn_no, year, mdtrt_id
), costliest AS (
    SELECT e.psn_no, e.year, dx_chapter(m.dscg_maindiag_code) AS dx_chapter,
           row_number() OVER (
               PARTITION BY e.psn_no, e.year ORDER BY e.medfee DESC, e.mdtrt_id
           ) AS place
    FROM encounter e
    JOIN mdtrt_d m ON m.mdtrt_id = e.mdtrt_id
    WHERE dx_chapter(m.dscg_maindiag_code) IS NOT NULL
)
SELECT t.psn_no, t.year, r.period_m, r.geo_county, r.geo_city, r.insutype2, r.age10, r.gend,
       c.dx_chapter, t.medfee, t.oop_inscp, t.oop_out, t.oop
FROM total t
JOIN ranked r ON r.psn_no = t.psn_no AND r.year = t.year AND r.place = 1
LEFT JOIN costliest c ON c.psn_no = t.psn_no AND c.year = t.year AND c.place = 1;
