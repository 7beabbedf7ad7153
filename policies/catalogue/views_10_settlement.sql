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
