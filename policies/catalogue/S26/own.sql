-- What one institution delivered in a month, by figure: the part that is as it should be.
SELECT period_m, fixmedins_code, kpi4, value
FROM delivered_quality
