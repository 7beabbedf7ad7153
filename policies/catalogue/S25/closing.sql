-- What each fund holds at the end of the month.
SELECT left(ym, 4) || '-' || right(ym, 2) AS period_m,
       insu_admdvs AS geo_county, city_of(insu_admdvs) AS geo_city,
       insutype2(insutype) AS insutype2, fund_type,
       amt AS balance
FROM fund_flow_m
WHERE flow = 'closing'
