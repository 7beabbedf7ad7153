-- One row per own case: its groups, weight and score, what it cost, what its group pays, and why
-- that is less than it cost.
SELECT period_m, fixmedins_code, medins_setl_id,
       dept AS case_dept, drg AS case_drg, dip_group AS case_dip, case_type,
       weight, score, los, cost, expected, expected_dip, fund_paid, deduction,
       CASE WHEN case_type = 'refunded' THEN 'refunded'
            WHEN case_type = 'ungrouped' AND deduction > 0 THEN 'ungrouped+over_standard'
            WHEN case_type = 'ungrouped' THEN 'ungrouped'
            WHEN case_type = 'low' AND deduction > 0 THEN 'low_outlier+over_standard'
            WHEN case_type = 'low' THEN 'low_outlier'
            WHEN case_type = 'high' AND deduction > 0 THEN 'high_outlier+over_standard'
            WHEN deduction > 0 THEN 'over_standard'
            ELSE 'none' END AS reasons
FROM hospital_case
