-- The month's entries of each fund. Transfers between funds are neither income nor expenditure of
-- the whole: in a fund they are told as a net figure, over all funds they cancel out.
SELECT left(ym, 4) || '-' || right(ym, 2) AS period_m,
       insu_admdvs AS geo_county, city_of(insu_admdvs) AS geo_city,
       insutype2(insutype) AS insutype2, fund_type,
       CASE WHEN flow IN ('transfer_in', 'transfer_out') THEN 'transfer' ELSE flow END AS flow,
       CASE WHEN flow IN ('contribution', 'subsidy', 'interest') THEN amt END AS income,
       CASE WHEN starts_with(flow, 'benefit_') THEN amt END AS expenditure,
       CASE flow WHEN 'transfer_in' THEN amt WHEN 'transfer_out' THEN -amt END AS transfers,
       CASE WHEN flow IN ('contribution', 'subsidy', 'interest', 'transfer_in') THEN amt ELSE -amt END AS surplus
FROM fund_flow_m
WHERE flow NOT IN ('opening', 'closing')
