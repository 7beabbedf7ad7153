-- The dimension dictionary of SPEC 4.5 and 2.4 as macros, and the views that several services
-- share. Run once in a connection that has one view per warehouse table (valid rows only), before
-- any service's fact. Codes are canonical strings: the importer has settled "1" against "01".

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

-- Every settlement with the count it stands for: +1 for a normal one, 0 for an intermediate
-- mid-term settlement of an encounter that closes later (so that an encounter counts once), and
-- for a refund minus what its original counted.
CREATE OR REPLACE VIEW settlement_counted AS
WITH normal AS (
    SELECT setl_id,
           CASE WHEN row_number() OVER (
                    PARTITION BY mdtrt_id
                    ORDER BY coalesce(mid_setl_flag, '0') = '1', setl_time DESC, setl_id DESC
                ) = 1 OR coalesce(mid_setl_flag, '0') <> '1' THEN 1 ELSE 0 END AS n
    FROM setl_d
    WHERE coalesce(refd_setl_flag, '0') <> '1'
)
SELECT s.setl_id, s.mdtrt_id, s.psn_no, s.fixmedins_code,
       strftime(s.setl_time, '%Y-%m') AS period_m,
       s.insu_admdvs AS geo_county, city_of(s.insu_admdvs) AS geo_city,
       insutype2(s.insutype) AS insutype2,
       psn_group6(s.insutype, s.psn_type, s.age) AS psn_group6,
       age5(s.age) AS age5, age10(s.age) AS age10, s.gend,
       benefit5(s.med_type) AS benefit5, hosp_lv4(s.hosp_lv) AS hosp_lv4,
       pay_loc3(s.insu_admdvs, s.fix_blng_admdvs) AS pay_loc3,
       CASE WHEN coalesce(s.refd_setl_flag, '0') = '1' THEN -coalesce(o.n, 1) ELSE own.n END AS n,
       s.medfee_sumamt <> 0 AS counting,
       s.medfee_sumamt, s.fulamt_ownpay_amt, s.overlmt_selfpay, s.preselfpay_amt, s.inscp_amt,
       s.fund_pay_sumamt, s.hifp_pay, s.hifes_pay, s.hifmi_pay, s.hifob_pay, s.cvlserv_pay,
       s.maf_pay, s.acct_pay, s.cash_payamt, s.psn_pay,
       s.begndate, s.enddate, s.init_setl_id
FROM setl_d s
LEFT JOIN normal own ON own.setl_id = s.setl_id
LEFT JOIN normal o ON o.setl_id = s.init_setl_id;

-- One row per inpatient encounter as a whole: all its settlements, intermediate, closing and
-- refunded, netted. An encounter refunded in full nets to no cost and is no stay.
CREATE OR REPLACE VIEW stay AS
SELECT mdtrt_id,
       min(begndate) AS begndate, max(enddate) AS enddate,
       greatest(1, date_diff('day', min(begndate), max(enddate))) AS los,
       sum(medfee_sumamt) AS medfee, sum(n) AS n
FROM settlement_counted
WHERE benefit5 = 'IP'
GROUP BY mdtrt_id;

-- Insured days of each person, month by month: enrolment from `crt_insu_date` to the day before
-- `paus_insu_date`, cut at death. Status 1 without an end is open; months are those that have
-- settlements. Age is that of the first day of the month.
CREATE OR REPLACE VIEW insured_month AS
WITH month AS (
    SELECT DISTINCT date_trunc('month', setl_time)::DATE AS first_day FROM setl_d
), enrolled AS (
    SELECT e.psn_no, e.insutype, e.psn_type, e.insu_admdvs, p.gend, p.brdy,
           coalesce(e.crt_insu_date, e.psn_insu_date) AS from_day,
           least(coalesce(e.paus_insu_date, DATE '9999-12-31'),
                 coalesce(p.die_date + 1, DATE '9999-12-31')) AS until_day
    FROM psn_insu_d e
    JOIN psn_info_b p USING (psn_no)
    WHERE insutype2(e.insutype) IS NOT NULL
)
SELECT strftime(m.first_day, '%Y-%m') AS period_m,
       e.insu_admdvs AS geo_county, city_of(e.insu_admdvs) AS geo_city,
       insutype2(e.insutype) AS insutype2, e.insutype,
       greatest(0, date_diff('year', e.brdy, m.first_day)
           - CASE WHEN strftime(m.first_day, '%m%d') < strftime(e.brdy, '%m%d') THEN 1 ELSE 0 END
       ) AS age,
       e.psn_type, e.gend, e.psn_no,
       date_diff('day', greatest(m.first_day, e.from_day),
                 least((m.first_day + INTERVAL 1 MONTH)::DATE, e.until_day)) AS days
FROM enrolled e
JOIN month m ON e.from_day < (m.first_day + INTERVAL 1 MONTH)::DATE AND e.until_day > m.first_day;

-- Inpatient settlements with what belongs to their encounter as a whole: diagnosis, DRG, length of
-- stay, readmission. S04, S06 and the inpatient cells of S02 count the same rows, so they agree.
CREATE OR REPLACE VIEW inpatient AS
WITH grouped AS (
    SELECT s.mdtrt_id, max_by(d.drg_code, s.setl_time) AS drg_code,
           max_by(d.rw, s.setl_time) AS rw, max_by(d.std_fee, s.setl_time) AS std_fee,
           max_by(d.pay_std_amt, s.setl_time) AS pay_std_amt,
           max_by(d.case_type, s.setl_time) AS case_type
    FROM drg_rslt_d d
    JOIN setl_d s USING (setl_id)
    GROUP BY s.mdtrt_id
), admission AS (
    SELECT mdtrt_id, psn_no, begntime, endtime,
           lead(begntime) OVER (PARTITION BY psn_no ORDER BY begntime, mdtrt_id) AS next_begntime
    FROM mdtrt_d
    WHERE benefit5(med_type) = 'IP'
)
SELECT s.*,
       left(m.dscg_maindiag_code, 3) AS dx_cat3,
       coalesce(nullif(g.drg_code, ''), '0000') AS drg,
       left(coalesce(nullif(g.drg_code, ''), '0000'), 3) AS adrg,
       left(coalesce(nullif(g.drg_code, ''), '0000'), 1) AS mdc,
       g.rw, g.std_fee, g.pay_std_amt, g.case_type,
       stay.los, stay.medfee AS medfee_stay, stay.n AS n_net,
       a.next_begntime IS NOT NULL
           AND a.next_begntime < a.endtime + INTERVAL 31 DAY AS readmitted31
FROM settlement_counted s
JOIN stay USING (mdtrt_id)
LEFT JOIN mdtrt_d m USING (mdtrt_id)
LEFT JOIN grouped g USING (mdtrt_id)
LEFT JOIN admission a USING (mdtrt_id)
WHERE s.benefit5 = 'IP';
