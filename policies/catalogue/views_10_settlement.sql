-- Every settlement with the count it stands for: +1 for a normal one, 0 for an intermediate
-- mid-term settlement of an encounter that closes later (so that an encounter counts once), and
-- for a refund minus what its original counted.
CREATE OR REPLACE VIEW settlement_counted AS
WITH middle AS (
    SELECT setl_id, mdtrt_id,
           row_number() OVER (
               PARTITION BY mdtrt_id ORDER BY setl_time DESC, setl_id DESC
           ) AS place
    FROM setl_d
    WHERE coalesce(refd_setl_flag, '0') <> '1' AND coalesce(mid_setl_flag, '0') = '1'
), closed AS (
    SELECT s.mdtrt_id
    FROM setl_d s
    JOIN middle m ON m.mdtrt_id = s.mdtrt_id
    WHERE coalesce(s.refd_setl_flag, '0') <> '1' AND coalesce(s.mid_setl_flag, '0') <> '1'
    GROUP BY s.mdtrt_id
), uncounted AS (
    -- Few: what joins and ranks all settlements would be too much for the memory of a large build.
    SELECT m.setl_id
    FROM middle m
    LEFT JOIN closed c ON c.mdtrt_id = m.mdtrt_id
    WHERE m.place > 1 OR c.mdtrt_id IS NOT NULL
)
SELECT s.setl_id, s.mdtrt_id, s.psn_no, s.fixmedins_code,
       strftime(s.setl_time, '%Y-%m') AS period_m,
       s.insu_admdvs AS geo_county, city_of(s.insu_admdvs) AS geo_city,
       insutype2(s.insutype) AS insutype2,
       psn_group6(s.insutype, s.psn_type, s.age) AS psn_group6,
       age5(s.age) AS age5, age10(s.age) AS age10, s.gend,
       benefit5(s.med_type) AS benefit5, hosp_lv4(s.hosp_lv) AS hosp_lv4,
       pay_loc3(s.insu_admdvs, s.fix_blng_admdvs) AS pay_loc3,
       CASE WHEN u.setl_id IS NOT NULL THEN 0
            WHEN coalesce(s.refd_setl_flag, '0') = '1' THEN -1
            ELSE 1 END AS n,
       s.medfee_sumamt <> 0 AS counting,
       s.medfee_sumamt, s.fulamt_ownpay_amt, s.overlmt_selfpay, s.preselfpay_amt, s.inscp_amt,
       s.fund_pay_sumamt, s.hifp_pay, s.hifes_pay, s.hifmi_pay, s.hifob_pay, s.cvlserv_pay,
       s.maf_pay, s.acct_pay, s.cash_payamt, s.psn_pay,
       s.begndate, s.enddate, s.init_setl_id
FROM setl_d s
LEFT JOIN uncounted u
    ON u.setl_id = CASE WHEN coalesce(s.refd_setl_flag, '0') = '1' THEN s.init_setl_id
                        ELSE s.setl_id END;

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
