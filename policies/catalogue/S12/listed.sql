-- Each dispensing of a negotiated drug with the whole months since its listing.
SELECT period_m, geo_county, geo_city, generic, insutype2,
       CASE WHEN benefit5 <> 'RX' THEN 'hospital'
            WHEN rx_circ_flag = '1' THEN 'external'
            ELSE 'dual_channel' END AS channel3,
       psn_no, fixmedins_code, true AS counting, amount AS magnitude,
       12 * (CAST(left(period_m, 4) AS INTEGER) - year(nego_begndate))
           + CAST(right(period_m, 2) AS INTEGER) - month(nego_begndate) AS months_listed
FROM drug_line
WHERE nego_begndate IS NOT NULL AND amount > 0
