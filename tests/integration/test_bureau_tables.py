"""Tables that aggregate services read beside settlements: each agrees with what it is about.

Read from the `ci` warehouse. What the ledger, the contributions or the trace codes say of a
month is compared with the settlements, enrolments and fee lines of that month by SQL of its own.
"""

from __future__ import annotations

from math import sqrt

import duckdb
import pytest

from synthetic.warehouse.codes import code_list
from tests.bureau_warehouse import one, persons, table

Sql = duckdb.DuckDBPyConnection


def none(sql: Sql, query: str) -> bool:
    """Whether the query finds no row."""
    return one(sql, f"SELECT count(*) FROM ({query})") == (0,)


def test_dip_groups_the_stays_that_drg_groups(bureau: Sql) -> None:
    assert none(bureau, "SELECT setl_id FROM drg_rslt_d ANTI JOIN dip_rslt_d USING (setl_id)")
    assert none(bureau, "SELECT setl_id FROM dip_rslt_d ANTI JOIN drg_rslt_d USING (setl_id)")
    codes = {
        row[0] for row in bureau.execute("SELECT DISTINCT dip_code FROM dip_rslt_d").fetchall()
    }
    assert codes <= {code.code for code in code_list("dip")}
    share = table(
        bureau, "SELECT case_type, count(*) / sum(count(*)) OVER () FROM dip_rslt_d GROUP BY 1"
    )
    assert share["ungrouped"] <= 0.072
    assert share["normal"] > 0.7


def test_a_dip_group_is_its_diagnosis_and_operations_and_has_one_score(bureau: Sql) -> None:
    assert none(
        bureau,
        """SELECT 1 FROM dip_rslt_d JOIN setl_d USING (setl_id) JOIN mdtrt_d USING (mdtrt_id)
      WHERE dip_type <> 'ungrouped' AND (dip_code <> dip_dx4 || ':' || coalesce(dip_oprn, '')
        OR NOT starts_with(dscg_maindiag_code, dip_dx4)
        OR coalesce(split_part(dip_oprn, '+', 1), '') <> coalesce(oprn_oprt_code, '')
        OR dip_type <> CASE WHEN dip_oprn IS NULL THEN 'conservative'
          WHEN contains(dip_oprn, '+') THEN 'composite' ELSE 'operation' END)""",
    )
    assert none(
        bureau, "SELECT dip_code FROM dip_rslt_d GROUP BY 1 HAVING count(DISTINCT score) > 1"
    )
    mean = one(bureau, "SELECT avg(score) FROM dip_rslt_d WHERE dip_type <> 'ungrouped'")[0]
    assert float(mean) == pytest.approx(1000, rel=0.02)


def test_dip_outliers_are_below_half_or_above_twice_the_standard(bureau: Sql) -> None:
    assert none(
        bureau,
        """
      WITH f AS (SELECT mdtrt_id, sum(medfee_sumamt) AS fee FROM setl_d
        WHERE refd_setl_flag <> '1' GROUP BY 1)
      SELECT 1 FROM dip_rslt_d JOIN setl_d USING (setl_id) JOIN f USING (mdtrt_id)
      WHERE case_type <> CASE WHEN dip_code = '0000' THEN 'ungrouped'
        WHEN fee < std_fee / 2 THEN 'low' WHEN fee > 2 * std_fee THEN 'high' ELSE 'normal' END""",
    )


def test_surgical_groups_are_operated_on(bureau: Sql) -> None:
    share = table(
        bureau,
        """SELECT adrg, avg((oprn_oprt_code IS NOT NULL)::INT)
      FROM drg_rslt_d JOIN setl_d USING (setl_id) JOIN mdtrt_d USING (mdtrt_id) GROUP BY 1""",
    )
    assert all(share[group] == 1 for group in ("FM1", "IC2", "HC2", "GD2", "OB1", "NC1"))
    assert share["ES3"] == 0
    assert none(
        bureau, "SELECT 1 FROM mdtrt_d WHERE oprn_oprt_code IS NOT NULL AND dscg_way IS NULL"
    )


def test_every_visit_for_a_registered_disease_lies_within_its_registration(bureau: Sql) -> None:
    visits = "mdtrt_d v WHERE left(med_type, 4) IN ('1401', '1402')"
    assert one(bureau, f"SELECT count(*) > 5000 FROM {visits}")[0]
    assert none(
        bureau,
        f"""SELECT 1 FROM {visits} AND NOT EXISTS (FROM opsp_reg_d r
      WHERE r.psn_no = v.psn_no AND r.opsp_dise_code = v.dise_no AND r.insutype = v.insutype
        AND v.begntime >= r.begndate AND v.begntime < coalesce(r.enddate, '2100-01-01'))""",
    )


def test_registrations_do_not_overlap_and_are_as_frequent_as_specified(bureau: Sql) -> None:
    assert none(
        bureau,
        """SELECT 1 FROM (SELECT begndate, lag(coalesce(enddate, '2100-01-01')) OVER (
        PARTITION BY psn_no, opsp_dise_code ORDER BY begndate) AS before FROM opsp_reg_d)
      WHERE begndate < before""",
    )
    registered = one(bureau, "SELECT count(DISTINCT psn_no) FROM opsp_reg_d")[0]
    assert 0.03 < registered / persons(bureau) < 0.09
    assert none(bureau, "SELECT 1 FROM opsp_reg_d WHERE hosp_ide_date > begndate")


def test_the_active_pay_for_every_month_residents_for_every_year(bureau: Sql) -> None:
    """One contribution for each calendar month or year that an enrolment touches, and no other."""
    months = """SELECT DISTINCT psn_no, insutype, strftime(m, '%Y%m') AS ym FROM psn_insu_d,
        unnest(range(greatest(date_trunc('month', crt_insu_date), DATE '2022-01-01')::TIMESTAMP,
          least(coalesce(paus_insu_date, DATE '2026-01-01'), DATE '2026-01-01')::TIMESTAMP,
          INTERVAL 1 MONTH)) AS u(m) WHERE psn_type = '11'"""
    paid = "SELECT psn_no, insutype, accrym_begn AS ym FROM psn_clct_detl_d WHERE insutype = '310'"
    assert none(bureau, f"({months} EXCEPT {paid}) UNION ALL ({paid} EXCEPT {months})")
    years = """SELECT DISTINCT psn_no, strftime(m, '%Y') AS y FROM psn_insu_d,
        unnest(range(greatest(date_trunc('year', crt_insu_date), DATE '2022-01-01')::TIMESTAMP,
          least(coalesce(paus_insu_date, DATE '2026-01-01'), DATE '2026-01-01')::TIMESTAMP,
          INTERVAL 1 YEAR)) AS u(m) WHERE insutype = '390'"""
    due = """SELECT psn_no, left(accrym_begn, 4) AS y FROM psn_clct_detl_d
      WHERE insutype = '390' AND accrym_end < '2026'"""
    assert none(bureau, f"{due} EXCEPT {years}")
    late = one(bureau, f"SELECT count(*) FROM ({years} EXCEPT {due})")[0]
    assert late < 0.0005 * persons(bureau) * 4  # joined in the last weeks, paid behind the window


def test_contributions_follow_their_base(bureau: Sql) -> None:
    assert none(
        bureau,
        """SELECT 1 FROM psn_clct_detl_d WHERE insutype = '310' AND (
        fin_subs_amt <> 0 OR psn_clct_amt + emp_clct_amt <> clctstd_amt / 10
        OR psn_clct_amt NOT IN (clctstd_amt / 50, clctstd_amt / 10))""",
    )
    assert none(
        bureau,
        """SELECT 1 FROM psn_clct_detl_d WHERE insutype = '390'
      AND left(accrym_begn, 4) = '2025' AND psn_clct_amt + fin_subs_amt <> 1070""",
    )
    assert none(
        bureau,
        """SELECT psn_no, insutype, accrym_begn FROM psn_clct_detl_d
      GROUP BY ALL HAVING count(*) > 1""",
    )


def test_ledger_benefits_are_the_months_settlements(bureau: Sql) -> None:
    assert none(
        bureau,
        """
      WITH l AS (SELECT ym, insutype, sum(amt) FILTER (fund_type <> 'account') AS fund,
          sum(amt) FILTER (fund_type = 'account') AS acct
        FROM fund_flow_m WHERE starts_with(flow, 'benefit_') GROUP BY 1, 2),
      s AS (SELECT strftime(setl_time, '%Y%m') AS ym, insutype, sum(fund_pay_sumamt) AS fund,
          sum(acct_pay) AS acct FROM setl_d WHERE setl_time < '2026-01-01' GROUP BY 1, 2)
      SELECT 1 FROM l FULL JOIN s USING (ym, insutype)
      WHERE l.fund IS DISTINCT FROM s.fund OR coalesce(l.acct, 0) IS DISTINCT FROM s.acct""",
    )
    kinds = table(
        bureau,
        "SELECT flow, sum(amt) FROM fund_flow_m WHERE starts_with(flow, 'benefit_') GROUP BY 1",
    )
    paid = table(
        bureau,
        """SELECT CASE WHEN med_type IN ('51', '52', '2106', '2107') THEN 'benefit_mat'
        WHEN left(med_type, 2) = '14' THEN 'benefit_opsp'
        WHEN left(med_type, 1) = '2' THEN 'benefit_ip'
        WHEN left(med_type, 2) = '41' THEN 'benefit_rx' ELSE 'benefit_op' END,
        sum(fund_pay_sumamt + acct_pay) FROM setl_d WHERE setl_time < '2026-01-01' GROUP BY 1""",
    )
    assert kinds == pytest.approx(paid)


def test_the_ledger_closes_and_opens_with_the_same_balance(bureau: Sql) -> None:
    assert none(
        bureau,
        """
      WITH b AS (SELECT ym, insutype, fund_type, sum(amt) FILTER (flow = 'opening') AS opening,
          sum(amt) FILTER (flow = 'closing') AS closing, coalesce(sum(CASE
            WHEN flow IN ('contribution', 'subsidy', 'interest', 'transfer_in') THEN amt
            WHEN flow IN ('opening', 'closing') THEN 0 ELSE -amt END), 0) AS net
        FROM fund_flow_m GROUP BY 1, 2, 3)
      SELECT 1 FROM (SELECT *, lead(coalesce(opening, 0)) OVER (PARTITION BY insutype, fund_type
          ORDER BY ym) AS next FROM b)
      WHERE coalesce(opening, 0) + net <> coalesce(closing, 0) OR next <> coalesce(closing, 0)""",
    )
    assert none(
        bureau,
        """SELECT ym, insutype FROM fund_flow_m WHERE starts_with(flow, 'transfer')
      GROUP BY 1, 2 HAVING sum(CASE flow WHEN 'transfer_in' THEN amt ELSE -amt END) <> 0""",
    )
    assert none(bureau, "SELECT 1 FROM fund_flow_m WHERE flow = 'closing' AND amt < 0")


def test_ledger_income_is_what_was_contributed(bureau: Sql) -> None:
    assert none(
        bureau,
        """
      WITH l AS (SELECT ym, insutype, sum(amt) FILTER (flow = 'contribution') AS paid,
          sum(amt) FILTER (flow = 'subsidy' AND fund_type = 'pooled') AS given
        FROM fund_flow_m WHERE fund_type IN ('pooled', 'account') GROUP BY 1, 2),
      c AS (SELECT strftime(clct_time, '%Y%m') AS ym, insutype,
          sum(psn_clct_amt + emp_clct_amt) AS paid, sum(fin_subs_amt) AS given
        FROM psn_clct_detl_d WHERE clct_time >= '2022-01-01' GROUP BY 1, 2)
      SELECT 1 FROM l JOIN c USING (ym, insutype)
      WHERE coalesce(l.paid, 0) <> c.paid OR coalesce(l.given, 0) <> c.given""",
    )


def test_every_consumable_is_in_the_catalogue_with_its_class(bureau: Sql) -> None:
    assert none(
        bureau,
        """SELECT 1 FROM fee_list_d f LEFT JOIN mcs_cat_b m USING (med_list_codg)
      WHERE f.list_type = '301' AND f.chrgitm_lv IS DISTINCT FROM m.chrgitm_lv""",
    )
    generics = one(bureau, """SELECT count(DISTINCT mcs_generic) FROM fee_list_d
      JOIN mcs_cat_b USING (med_list_codg)""")[0]  # fmt: skip
    assert generics >= 40


def test_coronary_stents_are_used_where_stents_are_placed(bureau: Sql) -> None:
    used = table(bureau, """SELECT adrg, sum(cnt) FROM fee_list_d f
        JOIN mcs_cat_b m USING (med_list_codg) JOIN drg_rslt_d USING (setl_id)
      WHERE mcs_class3 IN ('C040102', 'C050201') AND drg_code <> '0000' GROUP BY 1""")  # fmt: skip
    assert set(used) == {"FM1"}
    stays = one(bureau, "SELECT count(*) FROM drg_rslt_d WHERE adrg = 'FM1'")[0]
    assert 0.3 < used["FM1"] / stays < 2


def test_selected_consumables_hold_three_quarters_of_their_batch(bureau: Sql) -> None:
    share, lines = one(
        bureau,
        """SELECT avg((vbp_selected_flag = '1')::INT), count(*)
      FROM fee_list_d JOIN mcs_cat_b USING (med_list_codg) WHERE vbp_batch IS NOT NULL""",
    )
    assert share == pytest.approx(0.75, abs=3 * sqrt(0.75 * 0.25 / lines))


def test_hospitals_agreed_on_selected_drugs_and_bought_more(bureau: Sql) -> None:
    assert none(
        bureau,
        """SELECT 1 FROM vbp_agree_d a LEFT JOIN drug_cat_b d USING (med_list_codg)
      LEFT JOIN fixmedins_b USING (fixmedins_code) WHERE d.vbp_selected_flag IS DISTINCT FROM '1'
        OR d.vbp_batch <> a.vbp_batch OR fixmedins_type <> '1'
        OR left(fix_blng_admdvs, 4) <> '9901'""",
    )
    completion = one(
        bureau,
        """
      WITH a AS (SELECT sum(agre_cnt) AS agreed FROM vbp_agree_d
          WHERE vbp_batch = 'VBP-SYN-02' AND begndate = '2024-07-01'),
      b AS (SELECT sum(cnt) AS bought FROM fee_list_d JOIN drug_cat_b USING (med_list_codg)
        WHERE vbp_batch = 'VBP-SYN-02' AND vbp_selected_flag = '1'
          AND left(fixmedins_code, 5) = 'H9901'
          AND fee_ocur_time BETWEEN '2024-07-01' AND '2025-06-30')
      SELECT bought / agreed FROM a, b""",
    )[0]
    assert float(completion) == pytest.approx(0.75 * 1.08 / 0.7, rel=0.15)


def test_what_institutions_reported_is_what_arrived(bureau: Sql) -> None:
    assert none(
        bureau,
        """
      WITH s AS (SELECT fixmedins_code, strftime(setl_time, '%Y%m') AS ym, count(*) AS n,
          sum(medfee_sumamt) AS fee, sum(fund_pay_sumamt) AS fund, sum(acct_pay) AS acct
        FROM setl_d GROUP BY 1, 2)
      SELECT 1 FROM recon_3201_d r FULL JOIN s USING (fixmedins_code, ym)
      WHERE stmt_cnt IS DISTINCT FROM n OR medfee_sumamt IS DISTINCT FROM fee
        OR r.fund_pay_sumamt IS DISTINCT FROM fund OR acct_pay IS DISTINCT FROM acct
        OR stmt_rslt <> '000000'""",
    )


def test_every_pack_sold_at_a_pharmacy_was_scanned(bureau: Sql) -> None:
    assert none(
        bureau,
        """
      WITH b AS (SELECT setl_id, med_list_codg, sum(cnt) AS n FROM fee_list_d
          JOIN s USING (setl_id) WHERE list_type = '101' AND k = 'RX'
            AND fee_ocur_time >= '2025-01-01' AND s.fixmedins_code = fee_list_d.fixmedins_code
          GROUP BY 1, 2),
      t AS (SELECT setl_id, med_list_codg, sum(sel_retn_cnt) AS n FROM sel_trac_d
        WHERE left(fixmedins_code, 1) = 'P' GROUP BY 1, 2)
      SELECT 1 FROM b FULL JOIN t USING (setl_id, med_list_codg) WHERE b.n IS DISTINCT FROM t.n""",
    )
    assert none(
        bureau, r"SELECT 1 FROM sel_trac_d WHERE NOT regexp_full_match(drug_trac_codg, '\d{20}')"
    )
    assert none(
        bureau,
        """SELECT 1 FROM sel_trac_d WHERE manu_date > sel_retn_time::DATE
      OR sel_retn_time::DATE > expy_end""",
    )
    assert none(
        bureau,
        """SELECT drug_trac_codg FROM sel_trac_d WHERE trdn_flag = '1'
      GROUP BY 1 HAVING sum(sel_retn_cnt) <> 1""",
    )


def test_pt12_sixty_trace_codes_were_sold_at_two_pharmacies(bureau: Sql) -> None:
    again = bureau.execute("""SELECT count(*), count(DISTINCT fixmedins_code),
        count(DISTINCT med_list_codg) FROM sel_trac_d WHERE trdn_flag = '0'
      GROUP BY drug_trac_codg HAVING count(*) > 1""").fetchall()
    assert again == [(2, 2, 1)] * 60


def test_pt7_one_clinic_bills_other_drugs_than_it_hands_out(bureau: Sql) -> None:
    """F13: packs billed under a code that was not scanned for that settlement."""
    clinics = bureau.execute("""
      WITH b AS (SELECT f.fixmedins_code, setl_id, med_list_codg, sum(cnt) AS n FROM fee_list_d f
          JOIN s USING (setl_id) WHERE list_type = '101' AND s.lv = 'P' AND s.k = 'OP'
            AND left(f.fixmedins_code, 5) = 'H9901' AND fee_ocur_time >= '2025-07-01'
          GROUP BY 1, 2, 3),
      t AS (SELECT setl_id, med_list_codg, sum(sel_retn_cnt) AS n FROM sel_trac_d GROUP BY 1, 2)
      SELECT fixmedins_code, sum(greatest(b.n - coalesce(t.n, 0), 0)) / sum(b.n), sum(b.n)
      FROM b LEFT JOIN t USING (setl_id, med_list_codg) GROUP BY 1 ORDER BY 2 DESC""").fetchall()
    assert len(clinics) >= 24
    assert float(clinics[0][1]) == pytest.approx(
        0.30, abs=3 * sqrt(0.21 / float(clinics[0][2])) + 0.01
    )
    assert float(clinics[1][1]) < 0.01


def test_programme_members_live_in_its_county_and_join_from_its_begin(bureau: Sql) -> None:
    members, linked = one(bureau, """SELECT count(*), avg((scope = 'LINK_FOR_EVALUATION')::INT)
      FROM chr_prog_d""")  # fmt: skip
    assert members > 0.01 * persons(bureau)
    assert linked == pytest.approx(0.92, abs=4 * sqrt(0.92 * 0.08 / members))
    assert none(
        bureau,
        """SELECT 1 FROM chr_prog_d p LEFT JOIN psn_insu_d i ON i.psn_no = p.psn_no
      AND p.begndate >= i.crt_insu_date AND p.begndate < coalesce(i.paus_insu_date, '2100-01-01')
      WHERE i.insu_admdvs IS DISTINCT FROM '990102' OR p.begndate < '2024-01-01'""",
    )


def test_one_purchase_in_eight_is_on_a_prescription_from_elsewhere(bureau: Sql) -> None:
    share, visits, listed = one(bureau, """SELECT
        avg((rx_circ_flag = '1')::INT) FILTER (left(med_type, 2) = '41'),
        count(*) FILTER (left(med_type, 2) <> '41' AND rx_circ_flag IS NOT NULL),
        count(*) FILTER (rx_circ_flag = '1' AND atc_code = 'A10BJ06')
      FROM fee_list_d LEFT JOIN drug_cat_b USING (med_list_codg)""")  # fmt: skip
    assert share == pytest.approx(0.12, abs=0.01)
    assert (visits, listed) == (0, 0)


def test_pt2_hospitals_of_two_levels_dispense_the_negotiated_drug(bureau: Sql) -> None:
    levels = table(bureau, """SELECT CASE WHEN hosp_lv <= '04' THEN 'T' ELSE 'S' END,
        count(DISTINCT f.fixmedins_code) FROM fee_list_d f JOIN drug_cat_b USING (med_list_codg)
        JOIN fixmedins_b USING (fixmedins_code)
      WHERE atc_code = 'A10BJ06' AND fixmedins_type = '1' GROUP BY 1""")  # fmt: skip
    assert levels["T"] + levels["S"] >= 5


def test_pt8_the_dearest_stays_follow_a_pareto_tail(city: Sql) -> None:
    """The exponent is planted on the cost of a stay (SPEC 3.5); persons add their stays up."""
    rows = city.execute("""SELECT sum(medfee_sumamt)::DOUBLE AS fee FROM s
      WHERE k = 'IP' GROUP BY mdtrt_id ORDER BY 1 DESC""").fetchall()
    top = max(40, len(rows) // 250)
    edge = rows[top][0]
    found, error = one(
        city,
        f"""SELECT 1 / avg(ln(fee / {edge})), 1 / avg(ln(fee / {edge})) / sqrt({top})
      FROM (SELECT sum(medfee_sumamt)::DOUBLE AS fee FROM s WHERE k = 'IP' GROUP BY mdtrt_id)
      WHERE fee > {edge}""",
    )
    assert abs(found - 2.3) < 3 * error
