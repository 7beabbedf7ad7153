-- First days of chronic and special outpatient registrations, by the twelve chronic diseases; place
-- is where the person was insured on that day.
SELECT r.psn_no, CAST(r.begndate AS DATE) AS day, opsp_disease12(r.opsp_dise_code) AS code,
       city_of(e.insu_admdvs) AS geo_city,
       age10(greatest(0, year(r.begndate) - year(p.brdy)
           - CASE WHEN strftime(r.begndate, '%m%d') < strftime(p.brdy, '%m%d')
                  THEN 1 ELSE 0 END)) AS age10
FROM opsp_reg_d r
JOIN psn_info_b p ON p.psn_no = r.psn_no
JOIN psn_insu_d e ON e.psn_no = r.psn_no
    AND coalesce(e.crt_insu_date, e.psn_insu_date) <= r.begndate
    AND coalesce(e.paus_insu_date, DATE '9999-12-31') > r.begndate
WHERE opsp_disease12(r.opsp_dise_code) IS NOT NULL AND insutype2(e.insutype) IS NOT NULL
