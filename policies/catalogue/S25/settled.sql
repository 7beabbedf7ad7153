-- By how much what the month's settlements paid out of the fund and the accounts, refunds negative,
-- differs from the ledger's benefits (R25).
WITH entry AS (
    SELECT strftime(setl_time, '%Y-%m') AS period_m, city_of(insu_admdvs) AS city, insutype,
           fund_pay_sumamt + acct_pay AS unbooked
    FROM setl_d
    UNION ALL
    SELECT left(ym, 4) || '-' || right(ym, 2), city_of(insu_admdvs), insutype, -amt
    FROM fund_flow_m
    WHERE starts_with(flow, 'benefit_')
)
SELECT period_m, city AS geo_county, city AS geo_city, insutype2(insutype) AS insutype2,
       sum(unbooked) AS unbooked
FROM entry
GROUP BY period_m, city, insutype2(insutype)
