-- An institution's own hit rates to be compared with those of its peers: institutions of one level and
-- kind in one pooling area. `own_persons` counts a person for the first of the institutions that he or
-- she was checked at, so that the sum over institutions counts nobody twice.
WITH unit AS (
    SELECT period_m, fixmedins_code, indicator14, hosp_lv4 || '-' || fixmedins_type AS peer_group,
           psn_no,
           sum(checked) AS checked,
           sum(CASE WHEN hit = 'yes' THEN checked ELSE 0 END) AS hits
    FROM fact_unit
    GROUP BY period_m, fixmedins_code, indicator14, hosp_lv4 || '-' || fixmedins_type, psn_no
), first AS (
    SELECT period_m, indicator14, peer_group, psn_no, min(fixmedins_code) AS house
    FROM unit
    GROUP BY period_m, indicator14, peer_group, psn_no
)
SELECT u.period_m, u.fixmedins_code, u.peer_group, u.indicator14,
       sum(u.checked) AS checked,
       round(1000.0 * sum(u.hits) / sum(u.checked), 2) AS hits_1000,
       sum(CASE WHEN u.fixmedins_code = f.house THEN 1 ELSE 0 END) AS own_persons,
       sum(u.checked) AS units
FROM unit u
JOIN first f ON f.period_m = u.period_m AND f.indicator14 = u.indicator14
 AND f.peer_group = u.peer_group AND f.psn_no = u.psn_no
WHERE u.checked > 0
GROUP BY u.period_m, u.fixmedins_code, u.peer_group, u.indicator14
