-- Morbidity: which diagnosis group or critical-illness family an encounter belongs to, when that makes
-- a person a case, and since when. The lists for people are codes_dx_group.csv (DXG-2026.1) and
-- codes_ci_family.csv; what they say is repeated here as ranges, and a test compares the two.
-- Days are numbers here: whole days since 2000-01-01.

CREATE OR REPLACE MACRO day_number(day) AS date_diff('day', DATE '2000-01-01', day);

-- Births count among the stays and visits, whichever fund pays them; pharmacies diagnose nothing.
CREATE OR REPLACE MACRO care2(med_type) AS
    CASE WHEN med_type LIKE '2%' OR med_type LIKE '52%' THEN 'IP'
         WHEN benefit5(med_type) IN ('OP', 'OPSP', 'MAT') THEN 'OP' END;

-- Groups as ranges of three characters. What no range has is the rest of its chapter.
CREATE OR REPLACE VIEW dx_range AS
SELECT first_code, last_code, dx_group
FROM (VALUES
    ('A00', 'A09', 'A00-A09'), ('A15', 'A19', 'A15-A19'), ('A20', 'A28', 'A20-A28'),
    ('A30', 'A39', 'A30-A39'), ('A40', 'A41', 'A40-A41'), ('A42', 'A49', 'A42-A49'),
    ('A50', 'A64', 'A50-A64'), ('A80', 'A89', 'A80-A89'), ('B00', 'B01', 'B00-B01'),
    ('B02', 'B02', 'B02'), ('B05', 'B09', 'B05-B09'), ('B15', 'B19', 'B15-B19'),
    ('B20', 'B24', 'B20-B24'), ('B25', 'B34', 'B25-B34'), ('B35', 'B49', 'B35-B49'),
    ('B50', 'B89', 'B50-B89'), ('C00', 'C14', 'C00-C14'), ('C15', 'C15', 'C15'),
    ('C16', 'C16', 'C16'), ('C17', 'C21', 'C17-C21'), ('C22', 'C22', 'C22'),
    ('C23', 'C24', 'C23-C24'), ('C25', 'C25', 'C25'), ('C30', 'C32', 'C30-C32'),
    ('C33', 'C34', 'C33-C34'), ('C37', 'C39', 'C37-C39'), ('C40', 'C41', 'C40-C41'),
    ('C43', 'C43', 'C43'), ('C44', 'C44', 'C44'), ('C45', 'C49', 'C45-C49'), ('C50', 'C50', 'C50'),
    ('C53', 'C53', 'C53'), ('C54', 'C55', 'C54-C55'), ('C56', 'C56', 'C56'), ('C61', 'C61', 'C61'),
    ('C62', 'C63', 'C62-C63'), ('C64', 'C66', 'C64-C66'), ('C67', 'C68', 'C67-C68'),
    ('C69', 'C72', 'C69-C72'), ('C73', 'C73', 'C73'), ('C74', 'C75', 'C74-C75'),
    ('C76', 'C80', 'C76-C80'), ('C81', 'C86', 'C81-C86'), ('C88', 'C90', 'C88-C90'),
    ('C91', 'C95', 'C91-C95'), ('D00', 'D09', 'D00-D09'), ('D10', 'D13', 'D10-D13'),
    ('D17', 'D18', 'D17-D18'), ('D24', 'D24', 'D24'), ('D25', 'D26', 'D25-D26'),
    ('D27', 'D28', 'D27-D28'), ('D32', 'D33', 'D32-D33'), ('D34', 'D35', 'D34-D35'),
    ('D37', 'D48', 'D37-D48'), ('D50', 'D53', 'D50-D53'), ('D55', 'D59', 'D55-D59'),
    ('D60', 'D61', 'D60-D61'), ('D62', 'D64', 'D62-D64'), ('D65', 'D65', 'D65'),
    ('D66', 'D67', 'D66-D67'), ('D68', 'D69', 'D65'), ('D70', 'D77', 'D70-D77'),
    ('D80', 'D89', 'D80-D89'), ('E03', 'E03', 'E03'), ('E04', 'E04', 'E04'), ('E05', 'E05', 'E05'),
    ('E06', 'E07', 'E06-E07'), ('E10', 'E10', 'E10'), ('E11', 'E14', 'E11-E14'),
    ('E15', 'E16', 'E15-E16'), ('E20', 'E27', 'E20-E27'), ('E28', 'E34', 'E28-E34'),
    ('E40', 'E64', 'E40-E64'), ('E65', 'E68', 'E65-E68'), ('E70', 'E72', 'E70-E72'),
    ('E74', 'E77', 'E74-E77'), ('E78', 'E78', 'E78'), ('E79', 'E83', 'E79-E83'),
    ('E84', 'E85', 'E84-E85'), ('E86', 'E87', 'E86-E87'), ('F00', 'F09', 'F00-F09'),
    ('F10', 'F19', 'F10-F19'), ('F20', 'F29', 'F20-F29'), ('F30', 'F39', 'F30-F39'),
    ('F40', 'F48', 'F40-F48'), ('F50', 'F59', 'F50-F59'), ('F60', 'F69', 'F60-F69'),
    ('F70', 'F79', 'F70-F79'), ('F80', 'F99', 'F80-F99'), ('G00', 'G09', 'G00-G09'),
    ('G10', 'G12', 'G10-G12'), ('G20', 'G22', 'G20-G22'), ('G23', 'G26', 'G23-G26'),
    ('G30', 'G32', 'G30-G32'), ('G35', 'G35', 'G35'), ('G40', 'G41', 'G40-G41'),
    ('G43', 'G44', 'G43-G44'), ('G45', 'G46', 'G45-G46'), ('G47', 'G47', 'G47'),
    ('G50', 'G59', 'G50-G59'), ('G60', 'G64', 'G60-G64'), ('G70', 'G70', 'G70'),
    ('G71', 'G73', 'G71-G73'), ('G80', 'G83', 'G80-G83'), ('G91', 'G99', 'G91-G99'),
    ('H00', 'H06', 'H00-H06'), ('H10', 'H13', 'H10-H13'), ('H15', 'H22', 'H15-H22'),
    ('H25', 'H28', 'H25-H28'), ('H30', 'H36', 'H30-H36'), ('H40', 'H42', 'H40-H42'),
    ('H60', 'H62', 'H60-H62'), ('H65', 'H75', 'H65-H75'), ('H80', 'H83', 'H80-H83'),
    ('H90', 'H95', 'H90-H95'), ('I00', 'I09', 'I00-I09'), ('I10', 'I15', 'I10-I15'),
    ('I20', 'I20', 'I20'), ('I21', 'I22', 'I21-I22'), ('I23', 'I23', 'I24-I25'),
    ('I24', 'I25', 'I24-I25'), ('I26', 'I26', 'I26'), ('I27', 'I28', 'I27-I28'),
    ('I30', 'I33', 'I30-I33'), ('I34', 'I39', 'I34-I39'), ('I40', 'I43', 'I40-I43'),
    ('I44', 'I45', 'I44-I45'), ('I46', 'I49', 'I46-I49'), ('I50', 'I50', 'I50'),
    ('I51', 'I52', 'I51-I52'), ('I60', 'I62', 'I60-I62'), ('I63', 'I64', 'I63-I64'),
    ('I65', 'I68', 'I65-I68'), ('I69', 'I69', 'I69'), ('I70', 'I70', 'I70'),
    ('I71', 'I72', 'I71-I72'), ('I73', 'I79', 'I73-I79'), ('I80', 'I82', 'I80-I82'),
    ('I83', 'I83', 'I83'), ('I84', 'I84', 'I84'), ('I85', 'I99', 'I85-I99'),
    ('J00', 'J06', 'J00-J06'), ('J09', 'J11', 'J09-J11'), ('J12', 'J18', 'J12-J18'),
    ('J20', 'J22', 'J20-J22'), ('J30', 'J31', 'J30-J31'), ('J32', 'J34', 'J32-J34'),
    ('J35', 'J39', 'J35-J39'), ('J40', 'J43', 'J40-J43'), ('J44', 'J44', 'J44'),
    ('J45', 'J46', 'J45-J46'), ('J47', 'J47', 'J47'), ('J60', 'J70', 'J60-J70'),
    ('J80', 'J84', 'J80-J84'), ('J85', 'J94', 'J85-J94'), ('J95', 'J99', 'J95-J99'),
    ('K00', 'K03', 'K00-K03'), ('K04', 'K04', 'K04'), ('K05', 'K06', 'K05-K06'),
    ('K07', 'K14', 'K07-K14'), ('K20', 'K22', 'K20-K22'), ('K25', 'K28', 'K25-K28'),
    ('K29', 'K31', 'K29-K31'), ('K35', 'K38', 'K35-K38'), ('K40', 'K46', 'K40-K46'),
    ('K50', 'K50', 'K50'), ('K51', 'K51', 'K51'), ('K52', 'K52', 'K52'), ('K55', 'K59', 'K55-K59'),
    ('K60', 'K62', 'K60-K62'), ('K63', 'K63', 'K63'), ('K70', 'K70', 'K70'),
    ('K71', 'K73', 'K71-K73'), ('K74', 'K74', 'K74'), ('K75', 'K77', 'K75-K77'),
    ('K80', 'K80', 'K80'), ('K81', 'K83', 'K81-K83'), ('K85', 'K87', 'K85-K87'),
    ('K90', 'K93', 'K90-K93'), ('L00', 'L08', 'L00-L08'), ('L20', 'L30', 'L20-L30'),
    ('L40', 'L45', 'L40-L45'), ('L50', 'L54', 'L50-L54'), ('M00', 'M03', 'M00-M03'),
    ('M05', 'M06', 'M05-M06'), ('M07', 'M09', 'M00-M03'), ('M10', 'M11', 'M10-M11'),
    ('M12', 'M14', 'M00-M03'), ('M15', 'M16', 'M15-M16'), ('M17', 'M17', 'M17'),
    ('M18', 'M19', 'M15-M16'), ('M20', 'M25', 'M20-M25'), ('M30', 'M36', 'M30-M36'),
    ('M40', 'M44', 'M40-M44'), ('M45', 'M46', 'M45-M46'), ('M47', 'M49', 'M47-M49'),
    ('M50', 'M50', 'M50'), ('M51', 'M51', 'M51'), ('M53', 'M54', 'M53-M54'),
    ('M60', 'M63', 'M60-M63'), ('M65', 'M68', 'M65-M68'), ('M70', 'M79', 'M70-M79'),
    ('M80', 'M85', 'M80-M85'), ('M86', 'M90', 'M86-M90'), ('N00', 'N05', 'N00-N05'),
    ('N10', 'N16', 'N10-N16'), ('N17', 'N17', 'N17'), ('N18', 'N19', 'N18-N19'),
    ('N20', 'N23', 'N20-N23'), ('N25', 'N29', 'N25-N29'), ('N30', 'N39', 'N30-N39'),
    ('N40', 'N40', 'N40'), ('N41', 'N42', 'N41-N42'), ('N43', 'N45', 'N43-N45'),
    ('N46', 'N46', 'N46'), ('N47', 'N51', 'N43-N45'), ('N60', 'N64', 'N60-N64'),
    ('N70', 'N77', 'N70-N77'), ('N80', 'N80', 'N80'), ('N81', 'N82', 'N81-N82'),
    ('N83', 'N86', 'N83-N86'), ('N87', 'N90', 'N83-N86'), ('N91', 'N96', 'N91-N96'),
    ('N97', 'N97', 'N97'), ('N98', 'N98', 'N91-N96'), ('O00', 'O01', 'O00-O01'),
    ('O02', 'O06', 'O02-O06'), ('O07', 'O08', 'O00-O01'), ('O10', 'O16', 'O10-O16'),
    ('O20', 'O29', 'O20-O29'), ('O30', 'O48', 'O30-O48'), ('O60', 'O79', 'O60-O79'),
    ('O80', 'O81', 'O80-O81'), ('O82', 'O82', 'O82'), ('O83', 'O84', 'O80-O81'),
    ('O85', 'O99', 'O85-O99'), ('P05', 'P08', 'P05-P08'), ('P10', 'P15', 'P10-P15'),
    ('P20', 'P29', 'P20-P29'), ('P35', 'P39', 'P35-P39'), ('P50', 'P61', 'P50-P61'),
    ('P70', 'P96', 'P10-P15'), ('Q00', 'Q07', 'Q00-Q07'), ('Q08', 'Q09', 'Q10-Q18'),
    ('Q10', 'Q18', 'Q10-Q18'), ('Q19', 'Q19', 'Q10-Q18'), ('Q20', 'Q28', 'Q20-Q28'),
    ('Q29', 'Q29', 'Q10-Q18'), ('Q30', 'Q34', 'Q10-Q18'), ('Q35', 'Q37', 'Q35-Q37'),
    ('Q38', 'Q49', 'Q10-Q18'), ('Q50', 'Q64', 'Q50-Q64'), ('Q65', 'Q79', 'Q65-Q79'),
    ('Q80', 'Q89', 'Q10-Q18'), ('Q90', 'Q99', 'Q90-Q99'), ('R00', 'R09', 'R00-R09'),
    ('R10', 'R19', 'R10-R19'), ('R40', 'R46', 'R40-R46'), ('R50', 'R50', 'R50'),
    ('R51', 'R53', 'R51-R53'), ('R54', 'R57', 'R54-R57'), ('R75', 'R75', 'R75'),
    ('R90', 'R94', 'R90-R94'), ('S00', 'S05', 'S00-S05'), ('S06', 'S06', 'S06'),
    ('S07', 'S09', 'S00-S05'), ('S10', 'S19', 'S10-S19'), ('S20', 'S29', 'S20-S29'),
    ('S30', 'S39', 'S30-S39'), ('S40', 'S49', 'S40-S49'), ('S50', 'S59', 'S50-S59'),
    ('S60', 'S69', 'S60-S69'), ('S70', 'S71', 'S70-S71'), ('S72', 'S72', 'S72'),
    ('S73', 'S79', 'S70-S71'), ('S80', 'S89', 'S80-S89'), ('S90', 'S99', 'S90-S99'),
    ('T00', 'T14', 'T00-T14'), ('T15', 'T19', 'T15-T19'), ('T20', 'T32', 'T20-T32'),
    ('T36', 'T50', 'T36-T50'), ('T51', 'T65', 'T51-T65'), ('T66', 'T73', 'T66-T73'),
    ('T74', 'T74', 'T74'), ('T75', 'T79', 'T66-T73'), ('T80', 'T88', 'T80-T88'),
    ('X60', 'X84', 'X60-X84'), ('Y05', 'Y07', 'Y05-Y07'), ('Z00', 'Z13', 'Z00-Z13'),
    ('Z21', 'Z21', 'Z21'), ('Z30', 'Z31', 'Z30-Z31'), ('Z32', 'Z39', 'Z32-Z39'),
    ('Z40', 'Z48', 'Z40-Z48'), ('Z49', 'Z49', 'Z49'), ('Z50', 'Z50', 'Z50'), ('Z51', 'Z51', 'Z51'),
    ('Z94', 'Z94', 'Z94')
) AS listed(first_code, last_code, dx_group);

-- Categories that hold different risks, told apart by the fourth character.
CREATE OR REPLACE VIEW dx_split AS
SELECT prefix, dx_group
FROM (VALUES ('N18.5', 'N18.5'), ('Z51.0', 'Z51.0'), ('Z51.1', 'Z51.1'), ('Z99.2', 'Z49')
     ) AS listed(prefix, dx_group);

-- Critical-illness families by main diagnosis, compared to the length of the bounds. Families without
-- a row here, among the operations or the registrations cannot be told from claims.
CREATE OR REPLACE VIEW ci_dx AS
SELECT first_code, last_code, ci_family
FROM (VALUES
    ('C00', 'C43', 'CI01'), ('C45', 'C97', 'CI01'), ('Z51.0', 'Z51.1', 'CI01'),
    ('I21', 'I22', 'CI02'), ('I69', 'I69', 'CI03'), ('N18.5', 'N18.5', 'CI06'),
    ('Z49', 'Z49', 'CI06'), ('Z99.2', 'Z99.2', 'CI06'), ('B15.0', 'B15.0', 'CI08'),
    ('B16.0', 'B16.0', 'CI08'), ('B16.2', 'B16.2', 'CI08'), ('B19.0', 'B19.0', 'CI08'),
    ('K71.1', 'K71.1', 'CI08'), ('K72.0', 'K72.0', 'CI08'), ('D32.0', 'D32.0', 'CI09'),
    ('D32.9', 'D32.9', 'CI09'), ('D33', 'D33', 'CI09'), ('K70.4', 'K70.4', 'CI10'),
    ('K72.1', 'K72.1', 'CI10'), ('K76.7', 'K76.7', 'CI10'), ('B94.1', 'B94.1', 'CI11'),
    ('G09', 'G09', 'CI11'), ('R40.2', 'R40.2', 'CI12'), ('G81', 'G82', 'CI15'),
    ('G30', 'G30', 'CI17'), ('S06.1', 'S06.9', 'CI18'), ('G20', 'G20', 'CI19'),
    ('T29.3', 'T29.3', 'CI20'), ('T31.2', 'T31.9', 'CI20'), ('I27.0', 'I27.0', 'CI21'),
    ('G12.2', 'G12.2', 'CI22'), ('D60', 'D61', 'CI24'), ('J96.1', 'J96.1', 'CI26'),
    ('K50', 'K50', 'CI27'), ('K51', 'K51', 'CI28')
) AS listed(first_code, last_code, ci_family);

CREATE OR REPLACE VIEW ci_operation AS
SELECT first_code, last_code, ci_family
FROM (VALUES
    ('33.5', '33.6', 'CI04'), ('37.5', '37.5', 'CI04'), ('41.0', '41.0', 'CI04'),
    ('46.97', '46.97', 'CI04'), ('50.5', '50.5', 'CI04'), ('55.6', '55.6', 'CI04'),
    ('36.1', '36.1', 'CI05'), ('39.95', '39.95', 'CI06'), ('54.98', '54.98', 'CI06'),
    ('84.03', '84.09', 'CI07'), ('84.12', '84.19', 'CI07'), ('35.1', '35.2', 'CI16'),
    ('38.34', '38.34', 'CI25'), ('38.44', '38.45', 'CI25'), ('38.64', '38.64', 'CI25')
) AS listed(first_code, last_code, ci_family);

-- What a registration for chronic or special outpatient care stands for. That of cancer names no site.
CREATE OR REPLACE VIEW registered_for AS
SELECT code, target
FROM (VALUES
    ('M03900', 'I10-I15'), ('M01600', 'E11-E14'), ('M04600', 'I24-I25'), ('M04803', 'I69'),
    ('M05300', 'J44'), ('M07803', 'N18.5'), ('M00503', 'CI01'), ('M04803', 'CI03'),
    ('M07803', 'CI06')
) AS listed(code, target);

-- Encounters that were not refunded in full, with what they cost.
CREATE OR REPLACE VIEW encounter AS
SELECT mdtrt_id, psn_no, max(fixmedins_code) AS fixmedins_code,
       min(begndate) AS day, day_number(min(begndate)) AS number,
       sum(medfee_sumamt) AS medfee, sum(psn_pay) AS oop
FROM setl_d
GROUP BY mdtrt_id, psn_no
HAVING sum(medfee_sumamt) > 0;

-- Encounters by what they were for: one row for the group and for each family. An operation counts
-- where it was done, whatever the diagnosis.
CREATE OR REPLACE VIEW occasion AS
WITH cared AS (
    SELECT mdtrt_id, care2(med_type) AS care,
           dscg_maindiag_code AS dx, oprn_oprt_code AS operation
    FROM mdtrt_d
    WHERE care2(med_type) IS NOT NULL
), dx AS (
    SELECT DISTINCT dx AS code
    FROM cared
    WHERE dx_chapter(dx) IS NOT NULL
), operation AS (
    SELECT DISTINCT operation AS code
    FROM cared
    WHERE operation IS NOT NULL
), grouped AS (
    SELECT dx.code,
           coalesce(s.dx_group, r.dx_group, 'other.' || dx_chapter(dx.code)) AS target
    FROM dx
    LEFT JOIN dx_split s ON s.prefix = left(dx.code, 5)
    LEFT JOIN dx_range r ON left(dx.code, 3) BETWEEN r.first_code AND r.last_code
), diagnosed AS (
    SELECT DISTINCT dx.code, f.ci_family
    FROM dx
    JOIN ci_dx f ON left(dx.code, length(f.first_code)) BETWEEN f.first_code AND f.last_code
), operated AS (
    SELECT DISTINCT o.code, f.ci_family
    FROM operation o
    JOIN ci_operation f
        ON left(o.code, length(f.first_code)) BETWEEN f.first_code AND f.last_code
), named AS (
    SELECT c.mdtrt_id, g.target
    FROM cared c
    JOIN grouped g ON g.code = c.dx
    UNION ALL
    SELECT f.mdtrt_id, f.target
    FROM (
        SELECT c.mdtrt_id, d.ci_family AS target
        FROM cared c
        JOIN diagnosed d ON d.code = c.dx
        UNION
        SELECT c.mdtrt_id, o.ci_family AS target
        FROM cared c
        JOIN operated o ON o.code = c.operation
    ) AS f
)
SELECT e.psn_no, n.target, e.fixmedins_code, c.care, e.day, e.number, e.medfee, e.oop
FROM named n
JOIN cared c ON c.mdtrt_id = n.mdtrt_id
JOIN encounter e ON e.mdtrt_id = n.mdtrt_id;

-- What makes a person a case: a stay, or a visit with another one 30 to 365 days before or after it.
CREATE OR REPLACE VIEW qualified AS
WITH placed AS (
    SELECT psn_no, target, care, day, number,
           CASE WHEN care = 'OP' THEN number END AS visit
    FROM occasion
), seen AS (
    SELECT psn_no, target, care, day, number,
           min(visit) OVER (PARTITION BY psn_no, target ORDER BY number
                            RANGE BETWEEN 365 PRECEDING AND 30 PRECEDING) AS earlier,
           max(visit) OVER (PARTITION BY psn_no, target ORDER BY number
                            RANGE BETWEEN 30 FOLLOWING AND 365 FOLLOWING) AS later
    FROM placed
)
SELECT psn_no, target, year(day) AS year, number
FROM seen
WHERE care = 'IP' OR earlier IS NOT NULL OR later IS NOT NULL
GROUP BY psn_no, target, year(day), number;

-- Or a registration, from its first to the last day it covers.
CREATE OR REPLACE VIEW registration AS
SELECT r.psn_no, t.target, r.ide_fixmedins_no AS fixmedins_code,
       year(r.begndate) AS year, day_number(r.begndate) AS number,
       CASE WHEN r.enddate IS NULL THEN 9999
            WHEN month(r.enddate) = 1 AND day(r.enddate) = 1 THEN year(r.enddate) - 1
            ELSE year(r.enddate) END AS last_year,
       day_number(coalesce(r.enddate, DATE '9999-12-31')) AS until_number
FROM opsp_reg_d r
JOIN registered_for t ON t.code = left(r.opsp_dise_code, 6);

-- Since when and until when a person is known to be a case: 24 months (730 days) after the last
-- qualifying event the next one is a first again.
CREATE OR REPLACE VIEW known AS
WITH held AS (
    SELECT psn_no, target, number, year, max(last_number) AS last_number
    FROM (
        SELECT psn_no, target, number, year, number + 730 AS last_number FROM qualified
        UNION ALL
        SELECT psn_no, target, number, year, until_number - 1 + 730 AS last_number
        FROM registration
    ) AS event
    GROUP BY psn_no, target, number, year
), marked AS (
    SELECT psn_no, target, number, year, last_number,
           max(last_number) OVER (PARTITION BY psn_no, target ORDER BY number
                                  ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS so_far
    FROM held
), counted AS (
    SELECT psn_no, target, number, year, last_number,
           sum(CASE WHEN so_far >= number THEN 0 ELSE 1 END)
               OVER (PARTITION BY psn_no, target ORDER BY number
                     ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS spell
    FROM marked
)
SELECT psn_no, target, min(year) AS year, min(number) AS number, max(last_number) AS last_number
FROM counted
GROUP BY psn_no, target, spell;

-- Unbroken enrolment, whatever the scheme, from the first day to the one before `until_number`.
CREATE OR REPLACE VIEW enrolled AS
WITH spell AS (
    SELECT e.psn_no, day_number(coalesce(e.crt_insu_date, e.psn_insu_date)) AS number,
           max(least(day_number(coalesce(e.paus_insu_date, DATE '9999-12-31')),
                     day_number(coalesce(p.die_date, DATE '9999-12-30')) + 1)) AS until_number
    FROM psn_insu_d e
    JOIN psn_info_b p ON p.psn_no = e.psn_no
    WHERE insutype2(e.insutype) IS NOT NULL
    GROUP BY e.psn_no, day_number(coalesce(e.crt_insu_date, e.psn_insu_date))
), marked AS (
    SELECT psn_no, number, until_number,
           max(until_number) OVER (PARTITION BY psn_no ORDER BY number
                                   ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS so_far
    FROM spell
    WHERE number < until_number
), counted AS (
    SELECT psn_no, number, until_number,
           sum(CASE WHEN so_far >= number THEN 0 ELSE 1 END)
               OVER (PARTITION BY psn_no ORDER BY number
                     ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS piece
    FROM marked
)
SELECT psn_no, min(number) AS number, max(until_number) AS until_number
FROM counted
GROUP BY psn_no, piece;

-- The days of which there is data: of the months with settlements the first to the last.
CREATE OR REPLACE VIEW observed AS
SELECT min(day_number(date_trunc('month', setl_time)::DATE)) AS number,
       max(day_number((date_trunc('month', setl_time) + INTERVAL 1 MONTH)::DATE)) AS until_number
FROM setl_d;

-- First qualifying events after 24 months of enrolment and data without one.
CREATE OR REPLACE VIEW new_case AS
SELECT k.psn_no, k.target, k.year, k.number, e.until_number
FROM known k
JOIN enrolled e ON e.psn_no = k.psn_no
               AND e.number <= k.number - 730 AND e.until_number > k.number
JOIN observed o ON o.number <= k.number - 730;

-- Insured days month by month as in `insured_month`, with the days themselves and, of these, those
-- that have 24 months of enrolment and data behind them (`clean_number` up to `until_number`).
CREATE OR REPLACE VIEW insured_span AS
WITH month AS (
    SELECT DISTINCT date_trunc('month', setl_time)::DATE AS first_day FROM setl_d
), spell AS (
    SELECT e.psn_insu_rlts_id, e.psn_no, e.insutype, e.insu_admdvs, p.gend, p.brdy,
           day_number(coalesce(e.crt_insu_date, e.psn_insu_date)) AS number,
           least(day_number(coalesce(e.paus_insu_date, DATE '9999-12-31')),
                 day_number(coalesce(p.die_date, DATE '9999-12-30')) + 1) AS until_number
    FROM psn_insu_d e
    JOIN psn_info_b p ON p.psn_no = e.psn_no
    WHERE insutype2(e.insutype) IS NOT NULL
), span AS (
    SELECT s.psn_insu_rlts_id, s.psn_no, s.insutype, s.insu_admdvs, s.gend,
           greatest(0, year(m.first_day) - year(s.brdy)
               - CASE WHEN strftime(m.first_day, '%m%d') < strftime(s.brdy, '%m%d')
                      THEN 1 ELSE 0 END) AS age,
           m.first_day,
           greatest(day_number(m.first_day), s.number) AS number,
           least(day_number((m.first_day + INTERVAL 1 MONTH)::DATE), s.until_number)
               AS until_number
    FROM spell s
    JOIN month m ON s.number < day_number((m.first_day + INTERVAL 1 MONTH)::DATE)
                AND s.until_number > day_number(m.first_day)
    WHERE s.number < s.until_number
)
SELECT s.psn_insu_rlts_id, strftime(s.first_day, '%Y-%m') AS period_m,
       year(s.first_day) AS year, month(s.first_day) AS month,
       s.insu_admdvs AS geo_county, city_of(s.insu_admdvs) AS geo_city,
       insutype2(s.insutype) AS insutype2, age10(s.age) AS age10, s.gend, s.psn_no,
       s.number, s.until_number, s.number = day_number(s.first_day) AS on_first_day,
       greatest(s.number, greatest(e.number, o.number) + 730) AS clean_number
FROM span s
JOIN enrolled e ON e.psn_no = s.psn_no
               AND e.number <= s.number AND e.until_number > s.number
CROSS JOIN observed o;

-- Where a person stands in a year: as insured in July, else in the last month insured.
CREATE OR REPLACE VIEW insured_year AS
WITH ranked AS (
    SELECT psn_no, year, period_m, geo_county, geo_city, insutype2, age10, gend,
           row_number() OVER (
               PARTITION BY psn_no, year
               ORDER BY CASE WHEN month = 7 THEN 0 ELSE 1 END, period_m DESC,
                        until_number - number DESC, psn_insu_rlts_id
           ) AS place
    FROM insured_span
)
SELECT psn_no, year, period_m, geo_county, geo_city, insutype2, age10, gend
FROM ranked
WHERE place = 1;

-- The three dims of a target: a group below its chapter, or a family.
CREATE OR REPLACE MACRO group_of(target) AS CASE WHEN left(target, 2) <> 'CI' THEN target END;

CREATE OR REPLACE MACRO chapter_of(target) AS
    CASE WHEN left(target, 6) = 'other.' THEN right(target, 2)
         WHEN left(target, 2) <> 'CI' THEN dx_chapter(target) END;

CREATE OR REPLACE MACRO family_of(target) AS CASE WHEN left(target, 2) = 'CI' THEN target END;
