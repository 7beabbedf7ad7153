-- Diagnoses: the ICD-10 chapter of a code, and every encounter with its main diagnosis.

-- Chapters by the letter and two digits a code begins with; NULL for what is no ICD-10 code.
CREATE OR REPLACE MACRO dx_chapter(code) AS
    CASE WHEN code IS NULL OR length(code) < 3 THEN NULL
         WHEN left(code, 1) IN ('A', 'B') THEN '01'
         WHEN left(code, 1) = 'C' OR left(code, 3) < 'D50' AND left(code, 1) = 'D' THEN '02'
         WHEN left(code, 1) = 'D' THEN '03'
         WHEN left(code, 1) = 'E' THEN '04'
         WHEN left(code, 1) = 'F' THEN '05'
         WHEN left(code, 1) = 'G' THEN '06'
         WHEN left(code, 1) = 'H' AND left(code, 3) < 'H60' THEN '07'
         WHEN left(code, 1) = 'H' THEN '08'
         WHEN left(code, 1) = 'I' THEN '09'
         WHEN left(code, 1) = 'J' THEN '10'
         WHEN left(code, 1) = 'K' THEN '11'
         WHEN left(code, 1) = 'L' THEN '12'
         WHEN left(code, 1) = 'M' THEN '13'
         WHEN left(code, 1) = 'N' THEN '14'
         WHEN left(code, 1) = 'O' THEN '15'
         WHEN left(code, 1) = 'P' THEN '16'
         WHEN left(code, 1) = 'Q' THEN '17'
         WHEN left(code, 1) = 'R' THEN '18'
         WHEN left(code, 1) IN ('S', 'T') THEN '19'
         WHEN left(code, 1) IN ('V', 'W', 'X', 'Y') THEN '20'
         WHEN left(code, 1) = 'Z' THEN '21'
         WHEN left(code, 1) = 'U' THEN '22' END;
