-- The dimension dictionary of SPEC 4.5 and 2.4 as macros. The files `views_NN_*.sql` are run in the
-- order of their names in a connection that has one view per warehouse table (valid rows only),
-- before any service's fact. Codes are canonical strings: the importer has settled "1" against "01".

CREATE OR REPLACE MACRO insutype2(insutype) AS
    CASE WHEN insutype IN ('310', '340') THEN 'employee'
         WHEN insutype IN ('390', '391', '392') THEN 'resident' END;

-- Person groups belong to one scheme (R17); a contradiction is no group rather than a wrong one.
CREATE OR REPLACE MACRO psn_group_of(psn_type, age) AS
    CASE WHEN psn_type IN ('1401', '1402') THEN 'child'
         WHEN psn_type IN ('1403', '1404') THEN 'student'
         WHEN psn_type LIKE '14%' THEN CASE WHEN age < 6 THEN 'child' ELSE 'student' END
         WHEN psn_type LIKE '11%' THEN 'active'
         WHEN psn_type LIKE '12%' OR psn_type LIKE '13%' THEN 'retired'
         WHEN psn_type LIKE '15%' THEN 'adult_resident'
         WHEN psn_type LIKE '16%' THEN 'elder_resident' END;

CREATE OR REPLACE MACRO psn_group6(insutype, psn_type, age) AS
    CASE WHEN (insutype2(insutype) = 'employee')
            = (psn_group_of(psn_type, age) IN ('active', 'retired'))
         THEN psn_group_of(psn_type, age) END;

-- Order matters: 2106 and 2107 are births although they begin like inpatient codes, 1403 is
-- chronic outpatient although a psn_type of the same digits is a pupil.
CREATE OR REPLACE MACRO benefit5(med_type) AS
    CASE WHEN med_type LIKE '51%' OR med_type LIKE '52%' OR med_type IN ('2106', '2107') THEN 'MAT'
         WHEN med_type LIKE '14%' OR med_type LIKE '15%' THEN 'OPSP'
         WHEN med_type LIKE '41%' THEN 'RX'
         WHEN med_type LIKE '2%' THEN 'IP'
         WHEN med_type LIKE '11%' OR med_type LIKE '12%' OR med_type LIKE '13%'
           OR med_type LIKE '16%' OR med_type LIKE '81%' OR med_type LIKE '91%' THEN 'OP' END;

CREATE OR REPLACE MACRO hosp_lv4(hosp_lv) AS
    CASE WHEN hosp_lv IN ('01', '02', '03', '04') THEN 'T'
         WHEN hosp_lv IN ('05', '06', '07') THEN 'S'
         WHEN hosp_lv IN ('08', '09', '10') THEN 'P'
         ELSE 'N' END;

CREATE OR REPLACE MACRO pay_loc3(insured_at, treated_at) AS
    CASE WHEN left(insured_at, 4) = left(treated_at, 4) THEN 'local'
         WHEN left(insured_at, 2) = left(treated_at, 2) THEN 'in_province'
         ELSE 'cross_province' END;

CREATE OR REPLACE MACRO age5(age) AS
    CASE WHEN age < 1 THEN '0'
         WHEN age < 5 THEN '1-4'
         WHEN age >= 85 THEN '85+'
         ELSE (floor(age / 5) * 5)::INTEGER || '-' || (floor(age / 5) * 5 + 4)::INTEGER END;

CREATE OR REPLACE MACRO age10(age) AS
    CASE WHEN age >= 80 THEN '80+'
         ELSE (floor(age / 10) * 10)::INTEGER || '-' || (floor(age / 10) * 10 + 9)::INTEGER END;

CREATE OR REPLACE MACRO los_band(los) AS
    CASE WHEN los <= 1 THEN 'le1' WHEN los <= 3 THEN '2-3' WHEN los <= 7 THEN '4-7'
         WHEN los <= 14 THEN '8-14' WHEN los <= 30 THEN '15-30' ELSE 'gt30' END;

CREATE OR REPLACE MACRO readmit31(readmitted) AS CASE WHEN readmitted THEN 'yes' ELSE 'no' END;

CREATE OR REPLACE MACRO outlier(case_type) AS
    CASE WHEN case_type IN ('high', 'low') THEN case_type ELSE 'normal' END;

CREATE OR REPLACE MACRO city_of(admdvs) AS left(admdvs, 4) || '00';
