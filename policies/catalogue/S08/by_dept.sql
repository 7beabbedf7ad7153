-- What own cases by department of discharge come to; refunded ones are left out.
SELECT period_m, fixmedins_code, dept,
       count(*) AS cases, sum(weight) AS weight_sum, sum(score) AS score_sum,
       sum(cost) AS cost_sum, sum(expected) AS expected_sum, sum(expected_dip) AS expected_dip_sum,
       sum(deduction) AS deduction_sum, sum(cost) / count(*) AS mean_cost,
       sum(los) / count(*) AS mean_los,
       CASE WHEN sum(cost) > 0 THEN sum(expected) / sum(cost) END AS pay_ratio
FROM hospital_case
WHERE stands
GROUP BY period_m, fixmedins_code, dept
