-- Who is compared with whom in S15. A programme's persons who let their records be linked are matched
-- with persons who never were in any programme. Both must be cases of the programme's disease, known
-- to outpatient care, in the calendar year before the start, and insured in every month of both
-- windows: the twelve before the month of the start, the twelve from the first whole month of it on.

-- County-level places are compared with their like: counties, districts, county-level cities.
CREATE OR REPLACE MACRO county_group(name) AS
    CASE WHEN right(name, 1) IN ('县', '旗') THEN 'county'
         WHEN right(name, 1) = '区' THEN 'district'
         WHEN right(name, 1) = '市' THEN 'county_city'
         ELSE 'other' END;

CREATE OR REPLACE MACRO month_no(day) AS 12 * year(day) + month(day);

-- The draw of whom a person is matched with: the last four characters of the number of an insured
-- person first, which say nothing about care. Seeded by how many these are, and a total order.
CREATE OR REPLACE MACRO drawn(psn_no) AS right(psn_no, 4) || psn_no;

-- Diseases that the programme's disease leads to, by three characters of the main diagnosis.
CREATE OR REPLACE MACRO complication(disease12, dx) AS
    CASE WHEN disease12 = 'hypertension'
         THEN dx IN ('I11', 'I12', 'I13', 'I20', 'I21', 'I22', 'I24', 'I25', 'I50', 'I60', 'I61',
                     'I62', 'I63', 'I64', 'I67', 'N18')
         WHEN disease12 = 'diabetes'
         THEN dx IN ('E16', 'H36', 'I20', 'I21', 'I22', 'I24', 'I25', 'I50', 'I63', 'I64', 'I70',
                     'N18', 'G63')
         WHEN disease12 = 'chd' THEN dx IN ('I21', 'I22', 'I46', 'I48', 'I49', 'I50')
         WHEN disease12 = 'stroke' THEN dx IN ('G40', 'I60', 'I61', 'I62', 'I63', 'I64')
         WHEN disease12 IN ('copd', 'asthma') THEN dx IN ('I27', 'I50', 'J18', 'J46', 'J96')
         WHEN disease12 = 'ckd_dialysis' THEN dx IN ('E87', 'I50', 'D64')
         ELSE false END;

-- Every matched person: of which comparison, in which set, on which side. One view with its steps as
-- common tables, so that each is worked out once.
CREATE OR REPLACE VIEW study_matched AS
WITH ranked_month AS (
    SELECT i.psn_no, i.period_m,
           12 * CAST(left(i.period_m, 4) AS INTEGER) + CAST(right(i.period_m, 2) AS INTEGER)
               AS month_no,
           i.geo_county, i.geo_city, county_group(a.admdvs_name) AS county_group,
           i.insutype2, age5(i.age) AS age5, i.gend,
           row_number() OVER (
               PARTITION BY i.psn_no, i.period_m ORDER BY i.days DESC, i.insutype2, i.geo_county
           ) AS place
    FROM insured_month i
    JOIN admdvs_b a ON a.admdvs = i.geo_county
    WHERE i.days > 0
), insured_at AS (
    -- Where a person is insured in a month; of two enrolments the one of more days.
    SELECT psn_no, period_m, month_no, geo_county, geo_city, county_group, insutype2, age5, gend
    FROM ranked_month
    WHERE place = 1
), member AS (
    -- Who lets the records be linked. A start inside a month leaves that month out of both windows.
    SELECT prog_id, psn_no, opsp_disease12(dise_no) AS disease12,
           strftime(begndate, '%Y-%m') AS period_m, month_no(begndate) AS start_no,
           CASE WHEN day(begndate) = 1 THEN 0 ELSE 1 END AS washout
    FROM chr_prog_d
    WHERE scope = 'LINK_FOR_EVALUATION'
), ever AS (
    SELECT psn_no FROM chr_prog_d GROUP BY psn_no
), start AS (
    -- Each month in which somebody started, and in which group of which city.
    SELECT e.prog_id, e.disease12, e.period_m, e.start_no, e.washout, m.geo_city, m.county_group,
           count(*) AS members
    FROM member e
    JOIN insured_at m ON m.psn_no = e.psn_no AND m.period_m = e.period_m
    GROUP BY e.prog_id, e.disease12, e.period_m, e.start_no, e.washout, m.geo_city, m.county_group
), chronic AS (
    -- Cases known to outpatient care. Who is one by a stay alone was chosen for the stay: in the year
    -- after such persons have fewer stays whatever is done, and members were not chosen so.
    SELECT psn_no, disease12, CAST(year AS INTEGER) AS year, stratum5
    FROM chronic_year
    WHERE by_visits OR by_filing OR by_drugs
), placed AS (
    -- Whoever may be compared at a start: its own members, and persons never in a programme.
    SELECT s.prog_id, s.disease12, s.period_m, s.start_no, s.washout,
           m.psn_no, m.geo_county, m.geo_city, m.county_group, m.insutype2, m.age5, m.gend,
           c.stratum5, CASE WHEN e.psn_no IS NULL THEN 0 ELSE 1 END AS member
    FROM start s
    JOIN insured_at m ON m.period_m = s.period_m AND m.geo_city = s.geo_city
                     AND m.county_group = s.county_group
    JOIN chronic c ON c.psn_no = m.psn_no AND c.disease12 = s.disease12
                  AND c.year = CAST(left(s.period_m, 4) AS INTEGER) - 1
    LEFT JOIN member e ON e.prog_id = s.prog_id AND e.psn_no = m.psn_no
                      AND e.period_m = s.period_m AND e.washout = s.washout
    LEFT JOIN ever ON ever.psn_no = m.psn_no
    WHERE e.psn_no IS NOT NULL OR ever.psn_no IS NULL
), insured AS (
    SELECT p.prog_id, p.period_m, p.washout, p.psn_no
    FROM placed p
    JOIN insured_at m ON m.psn_no = p.psn_no
    WHERE m.month_no BETWEEN p.start_no - 12 AND p.start_no - 1
       OR m.month_no BETWEEN p.start_no + p.washout AND p.start_no + p.washout + 11
    GROUP BY p.prog_id, p.period_m, p.washout, p.psn_no
    HAVING count(*) = 24
), spent AS (
    SELECT psn_no,
           12 * CAST(left(period_m, 4) AS INTEGER) + CAST(right(period_m, 2) AS INTEGER)
               AS month_no,
           sum(medfee_sumamt) AS cost
    FROM settlement_counted
    GROUP BY psn_no, period_m
), base AS (
    SELECT p.prog_id, p.period_m, p.washout, p.psn_no, sum(x.cost) AS cost
    FROM placed p
    JOIN spent x ON x.psn_no = p.psn_no AND x.month_no BETWEEN p.start_no - 12 AND p.start_no - 1
    GROUP BY p.prog_id, p.period_m, p.washout, p.psn_no
), compared AS (
    SELECT p.prog_id, p.disease12, p.period_m, p.start_no, p.washout, p.psn_no, p.geo_county,
           p.geo_city, p.county_group, p.insutype2, p.age5, p.gend, p.stratum5, p.member,
           coalesce(b.cost, 0) AS cost
    FROM placed p
    JOIN insured i ON i.prog_id = p.prog_id AND i.period_m = p.period_m
                  AND i.washout = p.washout AND i.psn_no = p.psn_no
    LEFT JOIN base b ON b.prog_id = p.prog_id AND b.period_m = p.period_m
                    AND b.washout = p.washout AND b.psn_no = p.psn_no
), ranked AS (
    SELECT prog_id, disease12, period_m, start_no, washout, psn_no, geo_county, geo_city,
           county_group, insutype2, age5, gend, stratum5, member,
           rank() OVER (
               PARTITION BY prog_id, period_m, washout, geo_city, county_group ORDER BY cost
           ) AS place,
           count(*) OVER (
               PARTITION BY prog_id, period_m, washout, geo_city, county_group
           ) AS many
    FROM compared
), eligible AS (
    SELECT prog_id, disease12, period_m, start_no, washout, psn_no, geo_county, geo_city,
           county_group, insutype2, age5, gend, stratum5, member,
           CAST(floor(10 * (place - 1) / many) AS INTEGER) AS decile
    FROM ranked
), main_start AS (
    SELECT prog_id, period_m, washout, geo_city, county_group,
           row_number() OVER (
               PARTITION BY prog_id
               ORDER BY members DESC, period_m, washout, geo_city, county_group
           ) AS place
    FROM start
), county AS (
    SELECT e.prog_id, e.period_m, e.washout, e.geo_city, e.county_group, e.geo_county,
           row_number() OVER (
               PARTITION BY e.prog_id ORDER BY count(*) DESC, e.geo_county
           ) AS place
    FROM eligible e
    JOIN main_start s ON s.prog_id = e.prog_id AND s.period_m = e.period_m
                     AND s.washout = e.washout AND s.geo_city = e.geo_city
                     AND s.county_group = e.county_group
    WHERE s.place = 1
    GROUP BY e.prog_id, e.period_m, e.washout, e.geo_city, e.county_group, e.geo_county
    HAVING sum(e.member) = 0
), role AS (
    -- Both comparisons of a programme: its own, and that of a county where nothing was done. Of the
    -- counties without a member that is the one of most persons, at the start of most members.
    SELECT prog_id AS programme, disease12, period_m, start_no, washout, psn_no, geo_county,
           geo_city, county_group, insutype2, age5, gend, stratum5, decile, member AS treated
    FROM eligible
    UNION ALL
    SELECT e.prog_id || '.placebo' AS programme, e.disease12, e.period_m, e.start_no, e.washout,
           e.psn_no, e.geo_county, e.geo_city, e.county_group, e.insutype2, e.age5, e.gend,
           e.stratum5, e.decile, CASE WHEN e.geo_county = p.geo_county THEN 1 ELSE 0 END AS treated
    FROM eligible e
    JOIN county p ON p.prog_id = e.prog_id AND p.period_m = e.period_m AND p.washout = e.washout
                 AND p.geo_city = e.geo_city AND p.county_group = e.county_group AND p.place = 1
    WHERE e.member = 0
), wanted AS (
    -- Who could stand in several months stands where most are to be matched.
    SELECT role.*,
           sum(treated) OVER (
               PARTITION BY programme, period_m, washout, geo_city, county_group, insutype2, age5,
                            gend, stratum5, decile
           ) AS heads
    FROM role
), chosen AS (
    SELECT wanted.*,
           row_number() OVER (
               PARTITION BY programme, psn_no
               ORDER BY treated DESC, heads DESC, period_m, washout, geo_city
           ) AS choice
    FROM wanted
    WHERE heads > 0
), dealt AS (
    SELECT chosen.*,
           row_number() OVER (
               PARTITION BY programme, period_m, washout, geo_city, county_group, insutype2, age5,
                            gend, stratum5, decile, treated
               ORDER BY drawn(psn_no)
           ) AS place
    FROM chosen
    WHERE choice = 1
), seat AS (
    -- Up to three for each, nobody twice: of equal persons the comparators are dealt out in turn.
    SELECT dealt.*, CASE WHEN treated = 1 THEN place ELSE (place - 1) % heads + 1 END AS turn
    FROM dealt
    WHERE treated = 1 OR place <= 3 * heads
), matched AS (
    SELECT seat.*,
           sum(1 - treated) OVER (
               PARTITION BY programme, period_m, washout, geo_city, county_group, insutype2, age5,
                            gend, stratum5, decile, turn
           ) AS comparators
    FROM seat
)
SELECT programme, disease12, period_m, start_no, washout, psn_no, geo_county, geo_city, treated,
       dense_rank() OVER (
           PARTITION BY programme
           ORDER BY period_m, washout, geo_city, county_group, insutype2, age5, gend, stratum5,
                    decile, turn
       ) AS set_no
FROM matched
WHERE comparators > 0;
