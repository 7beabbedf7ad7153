-- Months with insured days, of those that have settlements.
SELECT DISTINCT psn_no, period_m
FROM insured_month
WHERE days > 0
