-- Chronic disease by person and calendar year of settlement, for S14 and S15: who is a case of which
-- of twelve diseases and by what, how well the supply of medicines covered the year, and how complex
-- the person's year was. Days are counted from 2000-01-01. Refunded care is no care.

-- ICD-10 codes of the twelve diseases; a code belongs to one. Chemo- and radiotherapy sessions are
-- coded Z51.0 and Z51.1 as main diagnosis. In step with S14/codes_disease12.csv.
CREATE OR REPLACE MACRO disease12(code) AS
    CASE WHEN left(code, 3) BETWEEN 'I10' AND 'I15' THEN 'hypertension'
         WHEN left(code, 3) BETWEEN 'E10' AND 'E14' THEN 'diabetes'
         WHEN left(code, 3) BETWEEN 'I20' AND 'I25' THEN 'chd'
         WHEN left(code, 3) BETWEEN 'I60' AND 'I64' OR left(code, 3) = 'I69' THEN 'stroke'
         WHEN left(code, 3) IN ('J43', 'J44') THEN 'copd'
         WHEN left(code, 3) IN ('J45', 'J46') THEN 'asthma'
         WHEN left(code, 3) = 'Z49' OR left(code, 5) IN ('N18.0', 'N18.5', 'Z99.2')
             THEN 'ckd_dialysis'
         WHEN left(code, 3) BETWEEN 'C00' AND 'C97' OR left(code, 5) IN ('Z51.0', 'Z51.1')
             THEN 'cancer'
         WHEN left(code, 5) IN ('B18.0', 'B18.1') THEN 'hepatitis_b'
         WHEN left(code, 3) BETWEEN 'F20' AND 'F39' THEN 'mental'
         WHEN left(code, 3) IN ('M05', 'M06', 'M08', 'M45') THEN 'ra_as'
         WHEN left(code, 3) IN ('T86', 'Z94') THEN 'transplant' END;

-- National disease codes of chronic and special outpatient registrations.
CREATE OR REPLACE MACRO opsp_disease12(code) AS
    CASE WHEN left(code, 4) = 'M039' THEN 'hypertension'
         WHEN left(code, 4) = 'M016' THEN 'diabetes'
         WHEN left(code, 4) = 'M046' THEN 'chd'
         WHEN left(code, 4) = 'M048' THEN 'stroke'
         WHEN left(code, 4) = 'M053' THEN 'copd'
         WHEN left(code, 4) = 'M054' THEN 'asthma'
         WHEN left(code, 6) IN ('M07803', 'M07804', 'M07805') THEN 'ckd_dialysis'
         WHEN left(code, 4) = 'M005' THEN 'cancer'
         WHEN left(code, 6) = 'M00201' THEN 'hepatitis_b'
         WHEN left(code, 4) = 'M021' THEN 'mental'
         WHEN left(code, 4) IN ('M069', 'M072') THEN 'ra_as'
         WHEN left(code, 4) = 'M083' THEN 'transplant' END;

-- As `disease12`, and failure of heart, lungs, liver or kidneys, which is no disease of the twelve.
CREATE OR REPLACE MACRO chronic_sign(code) AS
    coalesce(disease12(code),
             CASE WHEN left(code, 3) IN ('I50', 'J96', 'K72', 'N17', 'N19')
                    OR left(code, 5) = 'K70.4' THEN 'failure' END);

-- ATC classes that treat a disease. A `specific` one is given for hardly anything else, so two
-- dispensings of it make a case; the others only count as supply of who is a case. Relievers taken
-- as needed (R03AC) are no supply.
CREATE OR REPLACE VIEW chronic_class AS
SELECT disease12, atc, specific
FROM (VALUES ('hypertension', 'C02', 1), ('hypertension', 'C03A', 1), ('hypertension', 'C03B', 1),
             ('hypertension', 'C08C', 1), ('hypertension', 'C09A', 1), ('hypertension', 'C09B', 1),
             ('hypertension', 'C09C', 1), ('hypertension', 'C09DA', 1),
             ('hypertension', 'C09DB', 1), ('hypertension', 'C07', 0), ('hypertension', 'C08D', 0),
             ('hypertension', 'C09DX', 0), ('diabetes', 'A10', 1), ('chd', 'C01DA', 1),
             ('chd', 'C01DX16', 1), ('chd', 'C01EB15', 1), ('chd', 'C01EB18', 1),
             ('chd', 'B01AC24', 1), ('chd', 'B01AC04', 0), ('chd', 'B01AC06', 0),
             ('chd', 'C07', 0), ('chd', 'C10AA', 0), ('stroke', 'B01AC04', 0),
             ('stroke', 'B01AC06', 0), ('stroke', 'C10AA', 0), ('copd', 'R03AL', 1),
             ('copd', 'R03BB', 1), ('copd', 'R03DX07', 1), ('copd', 'R03AK', 0),
             ('copd', 'R03BA', 0), ('copd', 'R03DA', 0), ('asthma', 'R03BC', 1),
             ('asthma', 'R03DX05', 1), ('asthma', 'R03DX09', 1), ('asthma', 'R03DX10', 1),
             ('asthma', 'R03AK', 0), ('asthma', 'R03BA', 0), ('asthma', 'R03DC', 0),
             ('ckd_dialysis', 'V03AE02', 1), ('ckd_dialysis', 'V03AE03', 1),
             ('ckd_dialysis', 'B03XA', 0), ('ckd_dialysis', 'H05BX', 0), ('cancer', 'L01BA03', 1),
             ('cancer', 'L01BA04', 1), ('cancer', 'L01BB', 1), ('cancer', 'L01BC', 1),
             ('cancer', 'L01C', 1), ('cancer', 'L01D', 1), ('cancer', 'L01E', 1),
             ('cancer', 'L01F', 1), ('cancer', 'L01X', 1), ('cancer', 'L02B', 1),
             ('cancer', 'L01A', 0), ('cancer', 'L02A', 0), ('hepatitis_b', 'J05AF07', 1),
             ('hepatitis_b', 'J05AF08', 1), ('hepatitis_b', 'J05AF10', 1),
             ('hepatitis_b', 'J05AF11', 1), ('hepatitis_b', 'J05AF13', 1), ('mental', 'N05A', 1),
             ('mental', 'N06A', 0), ('ra_as', 'M01C', 1), ('ra_as', 'L04AA13', 1),
             ('ra_as', 'L04AK01', 1), ('ra_as', 'L04AB', 0), ('ra_as', 'L04AF', 0),
             ('ra_as', 'L04AX03', 0), ('ra_as', 'L01BA01', 0), ('ra_as', 'P01BA02', 0),
             ('transplant', 'L04AD', 0), ('transplant', 'L04AA06', 0), ('transplant', 'L04AH', 0)
     ) AS class(disease12, atc, specific);

-- Care that was settled and not undone: one row per outpatient or pharmacy settlement and per stay.
CREATE OR REPLACE VIEW chronic_care AS
WITH undone AS (
    SELECT DISTINCT init_setl_id
    FROM setl_d
    WHERE init_setl_id IS NOT NULL AND coalesce(refd_setl_flag, '0') = '1'
)
SELECT s.setl_id, s.mdtrt_id, s.psn_no, left(s.period_m, 4) AS year, s.benefit5,
       date_diff('day', DATE '2000-01-01', s.begndate) AS day,
       m.med_type, m.dscg_maindiag_code AS dx
FROM settlement_counted s
JOIN mdtrt_d m ON m.mdtrt_id = s.mdtrt_id
LEFT JOIN undone u ON u.init_setl_id = s.setl_id
WHERE s.n > 0 AND u.init_setl_id IS NULL;

-- Diagnoses seen in a year, main or secondary: by two outpatient visits 30 days apart, by a stay.
CREATE OR REPLACE VIEW chronic_seen AS
WITH listed AS (
    SELECT mdtrt_id, inout_diag_type, chronic_sign(diag_code) AS disease12
    FROM setl_diag_list_d
    WHERE chronic_sign(diag_code) IS NOT NULL
), seen AS (
    SELECT psn_no, year, chronic_sign(dx) AS disease12, benefit5, day
    FROM chronic_care
    WHERE benefit5 IN ('OP', 'OPSP', 'IP') AND chronic_sign(dx) IS NOT NULL
    UNION ALL
    SELECT c.psn_no, c.year, l.disease12, c.benefit5, c.day
    FROM listed l
    JOIN chronic_care c ON c.mdtrt_id = l.mdtrt_id
    WHERE c.benefit5 IN ('OP', 'OPSP') OR (c.benefit5 = 'IP' AND l.inout_diag_type = '2')
)
SELECT psn_no, year, disease12,
       coalesce(max(CASE WHEN benefit5 <> 'IP' THEN day END)
           - min(CASE WHEN benefit5 <> 'IP' THEN day END), 0) >= 30 AS by_visits,
       max(CASE WHEN benefit5 = 'IP' THEN 1 ELSE 0 END) = 1 AS by_stay
FROM seen
GROUP BY psn_no, year, disease12;

-- Registrations in force in a year, and settlements under one.
CREATE OR REPLACE VIEW chronic_filed AS
WITH every AS (
    SELECT DISTINCT year FROM chronic_care
), filed AS (
    SELECT r.psn_no, e.year, opsp_disease12(r.opsp_dise_code) AS disease12
    FROM opsp_reg_d r
    JOIN every e ON left(strftime(r.begndate, '%Y-%m'), 4) <= e.year
        AND coalesce(r.enddate, DATE '9999-12-31') > CAST(e.year || '-01-01' AS DATE)
    UNION ALL
    SELECT c.psn_no, c.year, opsp_disease12(s.dise_no) AS disease12
    FROM setl_d s
    JOIN chronic_care c ON c.setl_id = s.setl_id
    WHERE s.dise_no IS NOT NULL AND c.benefit5 = 'OPSP'
)
SELECT DISTINCT psn_no, year, disease12
FROM filed
WHERE disease12 IS NOT NULL;

-- Products by the diseases they treat.
CREATE OR REPLACE VIEW chronic_drug AS
SELECT d.med_list_codg, d.atc_code || '.' || coalesce(d.route, '') AS generic, d.ddd_per_cnt,
       k.disease12, max(k.specific) AS specific
FROM drug_cat_b d
JOIN chronic_class k ON starts_with(d.atc_code, k.atc)
GROUP BY d.med_list_codg, d.atc_code, d.route, d.ddd_per_cnt, k.disease12;

-- Days of supply dispensed to outpatients, by person, generic and day: as prescribed, else the DDDs
-- of what was sold, at least one day and at most 90.
CREATE OR REPLACE VIEW chronic_dispensed AS
WITH product AS (
    SELECT DISTINCT med_list_codg, generic, ddd_per_cnt FROM chronic_drug
), line AS (
    SELECT f.setl_id, p.generic,
           sum(CASE WHEN f.prd_days > 0 THEN f.prd_days ELSE f.cnt * p.ddd_per_cnt END) AS days
    FROM fee_list_d f
    JOIN product p ON p.med_list_codg = f.med_list_codg
    WHERE f.setl_id IS NOT NULL AND f.list_type = '101'
    GROUP BY f.setl_id, p.generic
)
SELECT c.psn_no, c.year, l.generic,
       greatest(c.day, date_diff('day', DATE '2000-01-01',
                                 CAST(c.year || '-01-01' AS DATE))) AS day,
       least(90, greatest(1, CAST(ceil(sum(coalesce(l.days, 0))) AS BIGINT))) AS supply
FROM line l
JOIN chronic_care c ON c.setl_id = l.setl_id
WHERE c.benefit5 IN ('OP', 'OPSP', 'RX')
GROUP BY c.psn_no, c.year, l.generic,
         greatest(c.day, date_diff('day', DATE '2000-01-01', CAST(c.year || '-01-01' AS DATE)));

-- The stretches of days that were supplied: a dispensing before the last of the same generic is used
-- up begins when that ends. `dispensed` is the day it was handed out.
CREATE OR REPLACE VIEW chronic_fill AS
WITH queued AS (
    SELECT psn_no, year, generic, day, supply,
           sum(supply) OVER (PARTITION BY psn_no, year, generic ORDER BY day
                             ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS handed
    FROM chronic_dispensed
), carried AS (
    SELECT psn_no, year, generic, day, supply, handed,
           max(day - handed + supply) OVER (
               PARTITION BY psn_no, year, generic ORDER BY day
               ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS begun
    FROM queued
), treats AS (
    SELECT generic, disease12, max(specific) AS specific
    FROM chronic_drug
    GROUP BY generic, disease12
)
SELECT c.psn_no, c.year, t.disease12, t.specific, c.generic, c.day AS dispensed,
       CAST(c.begun + c.handed - c.supply AS BIGINT) AS day,
       CAST(c.begun + c.handed AS BIGINT) AS until
FROM carried c
JOIN treats t ON t.generic = c.generic;

-- Insured days of a year, and the first day after the last of them.
CREATE OR REPLACE VIEW chronic_insured AS
WITH month AS (
    SELECT psn_no, left(period_m, 4) AS year, period_m, sum(days) AS days
    FROM insured_month
    WHERE days > 0
    GROUP BY psn_no, left(period_m, 4), period_m
), placed AS (
    SELECT psn_no, year, period_m, days,
           sum(days) OVER (PARTITION BY psn_no, year) AS insured_days,
           row_number() OVER (PARTITION BY psn_no, year ORDER BY period_m DESC) AS place
    FROM month
)
SELECT psn_no, year, CAST(insured_days AS BIGINT) AS insured_days,
       least(date_diff('day', DATE '2000-01-01', CAST(period_m || '-01' AS DATE))
                 + CAST(days AS BIGINT),
             date_diff('day', DATE '2000-01-01',
                       (CAST(period_m || '-01' AS DATE) + INTERVAL 1 MONTH)::DATE)) AS until
FROM placed
WHERE place = 1;

-- Supply by person, year and disease, from the first dispensing to the end of the year or of the
-- insurance: dispensings, days observed, days covered by any medicine, the longest stretch without.
CREATE OR REPLACE VIEW chronic_supply AS
WITH bounded AS (
    SELECT f.psn_no, f.year, f.disease12, f.specific, f.generic, f.dispensed,
           least(f.day, i.until) AS day, least(f.until, i.until) AS until,
           i.until AS observed_until
    FROM chronic_fill f
    JOIN chronic_insured i ON i.psn_no = f.psn_no AND i.year = f.year
), before AS (
    SELECT psn_no, year, disease12, specific, dispensed, day, until, observed_until,
           max(until) OVER (PARTITION BY psn_no, year, disease12
                            ORDER BY day, dispensed, generic
                            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS covered_until
    FROM bounded
)
SELECT psn_no, year, disease12,
       count(DISTINCT dispensed) AS fills,
       count(DISTINCT CASE WHEN specific = 1 THEN dispensed END) AS specific_fills,
       max(observed_until) - min(dispensed) AS window_days,
       sum(greatest(0, until - greatest(day, coalesce(covered_until, day)))) AS covered_days,
       greatest(max(coalesce(day - covered_until, 0)),
                max(observed_until) - max(until)) AS longest_gap
FROM before
GROUP BY psn_no, year, disease12;

-- What makes somebody a case, by person, year and disease or `failure`. A person who had no care at
-- all in the year is none, registered or not.
CREATE OR REPLACE VIEW chronic_case AS
WITH sign AS (
    SELECT psn_no, year, disease12, by_visits, by_stay, false AS by_filing, false AS by_drugs
    FROM chronic_seen
    WHERE by_visits OR by_stay
    UNION ALL
    SELECT psn_no, year, disease12, false, false, true, false
    FROM chronic_filed
    UNION ALL
    SELECT psn_no, year, disease12, false, false, false, true
    FROM chronic_supply
    WHERE specific_fills >= 2
), present AS (
    SELECT DISTINCT psn_no, year FROM chronic_care
)
SELECT s.psn_no, s.year, s.disease12,
       bool_or(s.by_visits) AS by_visits, bool_or(s.by_stay) AS by_stay,
       bool_or(s.by_filing) AS by_filing, bool_or(s.by_drugs) AS by_drugs
FROM sign s
JOIN present p ON p.psn_no = s.psn_no AND p.year = s.year
GROUP BY s.psn_no, s.year, s.disease12;

-- SPEC S14's strata, from the most complex down. Cancer is active where there was care for it, not a
-- registration alone; a stay is related if its main diagnosis is one of the twelve; an emergency visit
-- or any other stay is what makes stratum 3. Adherence is that of a person's only disease.
CREATE OR REPLACE VIEW chronic_person AS
WITH used AS (
    SELECT psn_no, year,
           sum(CASE WHEN benefit5 = 'IP' THEN 1 ELSE 0 END) AS stays,
           sum(CASE WHEN benefit5 = 'IP' AND disease12(dx) IS NOT NULL
                    THEN 1 ELSE 0 END) AS related_stays,
           sum(CASE WHEN med_type LIKE '13%' THEN 1 ELSE 0 END) AS ed_visits
    FROM chronic_care
    GROUP BY psn_no, year
), ill AS (
    SELECT c.psn_no, c.year,
           sum(CASE WHEN c.disease12 <> 'failure' THEN 1 ELSE 0 END) AS diseases,
           bool_or(c.disease12 IN ('failure', 'ckd_dialysis')
                   OR (c.disease12 = 'cancer'
                       AND (c.by_visits OR c.by_stay OR c.by_drugs))) AS complex,
           min(CASE WHEN s.fills >= 2 AND s.window_days >= 91
                    THEN CASE WHEN 5 * s.covered_days >= 4 * s.window_days
                              THEN 1 ELSE 0 END END) AS adherent
    FROM chronic_case c
    LEFT JOIN chronic_supply s
        ON s.psn_no = c.psn_no AND s.year = c.year AND s.disease12 = c.disease12
    GROUP BY c.psn_no, c.year
)
SELECT i.psn_no, i.year, i.diseases, u.stays, u.related_stays, u.ed_visits,
       CASE WHEN i.complex OR u.stays >= 2 THEN '5'
            WHEN u.related_stays >= 1 OR i.diseases >= 3 THEN '4'
            WHEN i.diseases = 2 OR u.ed_visits >= 1 OR u.stays >= 1 THEN '3'
            WHEN coalesce(i.adherent, 0) = 0 THEN '2'
            ELSE '1' END AS stratum5
FROM ill i
JOIN used u ON u.psn_no = i.psn_no AND u.year = i.year
WHERE i.diseases >= 1;

-- One row per person, year and disease the person is a case of. Supply is unknown with fewer than
-- two dispensings or 91 days observed; a gap is more than 30 days without any.
CREATE OR REPLACE VIEW chronic_year AS
WITH known AS (
    SELECT psn_no, year, disease12, window_days, CAST(covered_days AS BIGINT) AS covered_days,
           longest_gap > 30 AS gap
    FROM chronic_supply
    WHERE fills >= 2 AND window_days >= 91
)
SELECT c.psn_no, c.year, c.disease12, c.by_visits, c.by_stay, c.by_filing, c.by_drugs,
       NOT (c.by_visits OR c.by_stay OR c.by_filing) AS drug_only,
       coalesce(s.fills, 0) AS fills, k.window_days, k.covered_days,
       CAST(k.covered_days * 1.0000 / k.window_days AS DECIMAL(6, 4)) AS pdc, k.gap,
       p.related_stays, p.stays, p.ed_visits, p.diseases, p.stratum5
FROM chronic_case c
JOIN chronic_person p ON p.psn_no = c.psn_no AND p.year = c.year
LEFT JOIN chronic_supply s
    ON s.psn_no = c.psn_no AND s.year = c.year AND s.disease12 = c.disease12
LEFT JOIN known k ON k.psn_no = c.psn_no AND k.year = c.year AND k.disease12 = c.disease12
WHERE c.disease12 <> 'failure';
