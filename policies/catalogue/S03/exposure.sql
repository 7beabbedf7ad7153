-- Insured days, and of these the ones with 24 months of enrolment and data behind them. Who is insured
-- on 1 July counts as exposed at mid-year; a year without July has nobody.
SELECT period_m, geo_county, geo_city, insutype2, age10, gend,
       psn_no, NULL AS fixmedins_code, month = 7 AND on_first_day AS counting,
       until_number - number AS magnitude,
       until_number - number AS days,
       greatest(0, until_number - clean_number) AS clean_days
FROM insured_span
