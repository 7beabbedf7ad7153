-- An institution's own figures to be compared with the peers', in one DIP group. `own_persons` counts a person for the first of
-- the institutions that treated him or her, so that the sum over institutions counts nobody twice.
WITH first AS (
    SELECT *, min(fixmedins_code) OVER (PARTITION BY period_m, peer_group, dip_group, psn_no) AS house
    FROM hospital_case
    WHERE stands
)
SELECT period_m, fixmedins_code, peer_group, dip_group,
       count(*) AS cases, sum(cost) / count(*) AS mean_cost, sum(los) / count(*) AS mean_los,
       CASE WHEN sum(cost) > 0 THEN sum(expected) / sum(cost) END AS pay_ratio,
       count(DISTINCT CASE WHEN fixmedins_code = house THEN psn_no END) AS own_persons,
       sum(cost) AS cost_sum
FROM first
GROUP BY period_m, fixmedins_code, peer_group, dip_group
