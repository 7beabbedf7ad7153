-- Everybody of known sex.
SELECT psn_no, gend
FROM psn_info_b
WHERE gend IN ('1', '2')
