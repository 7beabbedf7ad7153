"""Rules about care: diagnoses, time, persons, enrolment, stays, grouping, ledger (R14–R25)."""

from __future__ import annotations

from synthetic.integrity.coding import CODE_RULES
from synthetic.integrity.model import Check, Rule, Severity

# Days after a pause in which care is still covered, and before a late enrolment (newborns).
GRACE_DAYS = 90

_STAY = "('21', '22', '23', '24', '25', '26', '27', '28', '52')"


def _is_stay(prefix: str = "") -> str:
    return (
        f"(left({prefix}med_type, 2) IN {_STAY} OR left({prefix}med_type, 4) IN ('2106', '2107'))"
    )


_DISCHARGED = f"({_is_stay('m.')} AND coalesce(m.inhosp_stas, '0') = '0')"

_MAIN_DIAGNOSES = """
SELECT mdtrt_id, count(*) AS n, count_if(maindiag_flag = '1') AS mains,
  count(DISTINCT diag_srt_no) AS orders, min(diag_srt_no) AS lowest, max(diag_srt_no) AS highest,
  max(diag_code) FILTER (maindiag_flag = '1') AS code
FROM setl_diag_list_d WHERE inout_diag_type = '2' AND diag_type = '1' GROUP BY mdtrt_id"""

_R14 = f"""
WITH d AS ({_MAIN_DIAGNOSES})
SELECT m.mdtrt_id AS token, 0 AS amount
FROM mdtrt_d AS m LEFT JOIN d ON d.mdtrt_id = m.mdtrt_id
WHERE CASE WHEN d.mdtrt_id IS NULL THEN {_DISCHARGED}
  ELSE (d.mains = 1 AND d.lowest = 1 AND d.highest = d.n AND d.orders = d.n
    AND (d.code = m.dscg_maindiag_code OR (m.dscg_maindiag_code IS NULL AND NOT {_DISCHARGED})))
    IS NOT TRUE END"""
_R14_LOOKS_AT = f"""
SELECT m.mdtrt_id AS token FROM mdtrt_d AS m WHERE {_DISCHARGED} OR m.mdtrt_id IN (
  SELECT mdtrt_id FROM setl_diag_list_d WHERE inout_diag_type = '2' AND diag_type = '1')"""

_R15_MDTRT = "SELECT mdtrt_id AS token, 0 AS amount FROM mdtrt_d WHERE begntime > endtime"
_R15_SETL = """
SELECT s.setl_id AS token, s.medfee_sumamt AS amount
FROM setl_d AS s LEFT JOIN mdtrt_d AS m ON m.mdtrt_id = s.mdtrt_id
WHERE s.begndate > s.enddate OR s.enddate > s.setl_time::DATE
  OR (coalesce(s.mid_setl_flag, '0') <> '1' AND m.endtime > s.setl_time)"""
_R15_LINE = """
SELECT f.bkkp_sn AS token, f.det_item_fee_sumamt AS amount
FROM fee_list_d AS f JOIN mdtrt_d AS m ON m.mdtrt_id = f.mdtrt_id
WHERE f.fee_ocur_time < m.begntime - INTERVAL 1 DAY
  OR f.fee_ocur_time > m.endtime + INTERVAL 1 DAY"""

# Some sources store whole years; both spellings of an age are an age.
_R16_AGE = """
SELECT setl_id AS token, medfee_sumamt AS amount FROM setl_d
WHERE age IS NOT NULL AND (begndate >= brdy AND (
  abs(age - date_diff('day', brdy, begndate) / 365.25) <= 0.15
  OR age = date_sub('year', brdy, begndate))) IS NOT TRUE"""
_FEMALE = r"^(O|N7\d|N8\d|N9[0-8]|C5[1-8])"
_MALE = r"^(N4\d|N5[01]|C6[0-3])"
_R16_SEX = f"""
SELECT d.diag_info_id AS token, 0 AS amount
FROM setl_diag_list_d AS d JOIN mdtrt_d AS m ON m.mdtrt_id = d.mdtrt_id
WHERE (m.gend = '1' AND regexp_matches(d.diag_code, '{_FEMALE}'))
  OR (m.gend = '2' AND regexp_matches(d.diag_code, '{_MALE}'))"""

_R17 = """
(insutype = '310' AND left(psn_type, 2) NOT IN ('11', '12'))
OR (insutype = '390' AND left(psn_type, 2) NOT IN ('14', '15', '16'))"""

_R18_SETL = f"""
SELECT setl_id AS token, medfee_sumamt AS amount FROM setl_d
WHERE ((left(med_type, 2) = '41') <> (left(fixmedins_code, 1) = 'P'))
  OR ({_is_stay()} AND left(fixmedins_code, 1) <> 'H')"""
_R18_LINE = """
SELECT bkkp_sn AS token, det_item_fee_sumamt AS amount FROM fee_list_d
WHERE left(med_type, 2) = '41' AND bilg_dept_codg IS NOT NULL"""

# A stay whose settlements were all refunded did not take place.
_STAYS = f"""
SELECT mdtrt_id, psn_no, begntime::DATE AS b, coalesce(endtime, begntime)::DATE AS e, begntime
FROM mdtrt_d WHERE {_is_stay()} AND mdtrt_id NOT IN (
  SELECT mdtrt_id FROM setl_d GROUP BY mdtrt_id HAVING sum(medfee_sumamt) = 0)"""
_R20_STAY = f"""
WITH stays AS ({_STAYS})
SELECT mdtrt_id AS token, 0 AS amount FROM stays
QUALIFY b < max(e) OVER (PARTITION BY psn_no ORDER BY begntime, mdtrt_id
  ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)"""
_R20_OUT = f"""
WITH stays AS ({_STAYS})
SELECT DISTINCT s.setl_id AS token, s.medfee_sumamt AS amount
FROM setl_d AS s JOIN stays AS t ON t.psn_no = s.psn_no AND t.mdtrt_id <> s.mdtrt_id
WHERE s.refd_setl_flag <> '1' AND left(s.med_type, 2) IN ('11', '12', '13', '14', '16', '81')
  AND s.begndate > t.b AND s.begndate < t.e"""

_R21 = f"""
SELECT s.setl_id AS token, s.medfee_sumamt AS amount
FROM setl_d AS s ANTI JOIN psn_insu_d AS i
  ON i.psn_no = s.psn_no AND i.insutype = s.insutype
  AND s.begndate >= i.crt_insu_date - {GRACE_DAYS}
  AND s.begndate < coalesce(i.paus_insu_date, DATE '9999-01-01') + {GRACE_DAYS}"""

# Caps come with the warehouse (policy.json): they are local policy, not a national constant.
_R22 = """
WITH spent AS (
  SELECT psn_no, insutype, coalesce(year, strftime(begndate, '%Y')) AS year,
    sum(coalesce(hifp_pay, 0)) AS hifp_pay, sum(coalesce(act_pay_dedc, 0)) AS act_pay_dedc,
    sum(coalesce(hifmi_pay, 0)) AS hifmi_pay, sum(coalesce(hifob_pay, 0)) AS hifob_pay,
    max_by(setl_id, setl_time) AS last_setl
  FROM setl_d GROUP BY ALL),
measured AS (UNPIVOT spent ON hifp_pay, act_pay_dedc, hifmi_pay, hifob_pay
  INTO NAME field VALUE spent_amt)
SELECT m.last_setl AS token, m.spent_amt - c.cap AS amount
FROM measured AS m JOIN policy_caps AS c ON c.insutype = m.insutype AND c.field = m.field
WHERE m.spent_amt > c.cap + 0.05"""
_R22_LOOKS_AT = """
SELECT max_by(setl_id, setl_time) AS token FROM setl_d
GROUP BY psn_no, insutype, coalesce(year, strftime(begndate, '%Y'))"""

# The outlier thresholds look at the whole stay, mid-term settlements included.
_R23 = f"""
WITH stays AS (SELECT mdtrt_id, sum(medfee_sumamt) AS fee FROM setl_d
  WHERE refd_setl_flag <> '1' AND mdtrt_id IN (
    SELECT s.mdtrt_id FROM drg_rslt_d AS g JOIN setl_d AS s ON s.setl_id = g.setl_id)
  GROUP BY mdtrt_id)
SELECT g.setl_id AS token, s.medfee_sumamt AS amount
FROM drg_rslt_d AS g JOIN setl_d AS s ON s.setl_id = g.setl_id
  JOIN stays AS t ON t.mdtrt_id = s.mdtrt_id
WHERE NOT {_is_stay("s.")} OR g.grp_ver IS NULL OR g.case_type IS DISTINCT FROM CASE
  WHEN g.drg_code = '0000' OR g.drg_code LIKE '_QY' THEN 'ungrouped'
  WHEN t.fee < 0.4 * g.std_fee THEN 'low'
  WHEN t.fee > CASE WHEN g.rw <= 2 THEN 3 ELSE 2 END * g.std_fee THEN 'high'
  ELSE 'normal' END"""

_R24 = """
SELECT sel_sn AS token, finl_trns_pric AS amount FROM sel_trac_d
WHERE manu_date > sel_retn_time::DATE OR sel_retn_time::DATE > expy_end
UNION
SELECT sel_sn, finl_trns_pric FROM sel_trac_d WHERE coalesce(trdn_flag, '0') <> '1'
QUALIFY row_number() OVER (PARTITION BY drug_trac_codg ORDER BY sel_retn_time, sel_sn) > 1"""
_R24_COLUMNS = {
    "sel_trac_d": (
        "sel_sn",
        "finl_trns_pric",
        "manu_date",
        "expy_end",
        "sel_retn_time",
        "trdn_flag",
        "drug_trac_codg",
    )
}

_R25_LOOKS_AT = """
SELECT DISTINCT concat(ym, '/', insutype) AS token FROM fund_flow_m"""
_R25 = """
WITH ledger AS (SELECT ym, insutype, sum(amt) AS booked FROM fund_flow_m
  WHERE flow LIKE 'benefit%' AND fund_type <> 'account' GROUP BY ALL),
settled AS (SELECT strftime(setl_time, '%Y%m') AS ym, insutype, sum(fund_pay_sumamt) AS paid
  FROM setl_d GROUP BY ALL)
SELECT concat(l.ym, '/', l.insutype) AS token, l.booked - coalesce(s.paid, 0) AS amount
FROM ledger AS l LEFT JOIN settled AS s USING (ym, insutype)
WHERE abs(l.booked - coalesce(s.paid, 0)) > 0.001 * abs(l.booked)"""

EVENT_RULES: tuple[Rule, ...] = (
    Rule(
        "R14",
        Severity.WARN,
        "每次出院恰有一个主诊断，序号连续",
        "one main diagnosis per discharge, numbered without gaps",
        (Check("mdtrt_d", ("mdtrt_d", "setl_diag_list_d"), _R14, _R14_LOOKS_AT),),
    ),
    Rule(
        "R15",
        Severity.WARN,
        "开始 ≤ 结束 ≤ 结算；费用时间在就诊期内",
        "begin ≤ end ≤ settlement; charges inside the encounter",
        (
            Check("mdtrt_d", ("mdtrt_d",), _R15_MDTRT),
            Check("setl_d", ("setl_d", "mdtrt_d"), _R15_SETL),
            Check("fee_list_d", ("fee_list_d", "mdtrt_d"), _R15_LINE),
        ),
    ),
    Rule(
        "R16",
        Severity.WARN,
        "年龄与出生日期一致；性别与诊断不矛盾",
        "age fits the date of birth; diagnosis fits the sex",
        (
            Check("setl_d", ("setl_d",), _R16_AGE),
            Check("setl_diag_list_d", ("setl_diag_list_d", "mdtrt_d"), _R16_SEX),
        ),
    ),
    Rule(
        "R17",
        Severity.WARN,
        "险种与人员类别对应",
        "person category belongs to the insurance type",
        (
            Check(
                "setl_d",
                ("setl_d",),
                f"SELECT setl_id AS token, medfee_sumamt AS amount FROM setl_d WHERE {_R17}",
            ),
            Check(
                "psn_insu_d",
                ("psn_insu_d",),
                f"SELECT psn_insu_rlts_id AS token, 0 AS amount FROM psn_insu_d WHERE {_R17}",
            ),
        ),
    ),
    Rule(
        "R18",
        Severity.WARN,
        "医疗类别与机构类型对应；药店明细无科室",
        "category fits the kind of institution; pharmacy lines have no department",
        (
            Check("setl_d", ("setl_d",), _R18_SETL),
            Check(
                "fee_list_d",
                ("fee_list_d",),
                _R18_LINE,
                "SELECT bkkp_sn AS token FROM fee_list_d WHERE left(med_type, 2) = '41'",
            ),
        ),
    ),
    *CODE_RULES,
    Rule(
        "R20",
        Severity.WARN,
        "同一人住院不重叠，住院期间无门诊结算",
        "no overlapping stays, no outpatient settlement inside a stay",
        (
            Check(
                "mdtrt_d",
                ("mdtrt_d", "setl_d"),
                _R20_STAY,
                f"SELECT mdtrt_id AS token FROM mdtrt_d WHERE {_is_stay()}",
            ),
            Check("setl_d", ("mdtrt_d", "setl_d"), _R20_OUT),
        ),
    ),
    Rule(
        "R21",
        Severity.WARN,
        "服务日参保有效",
        "enrolment is active on the service date",
        (Check("setl_d", ("setl_d", "psn_insu_d"), _R21),),
    ),
    Rule(
        "R22",
        Severity.WARN,
        "年度累计不超过政策封顶",
        "annual accumulators stay below the policy caps",
        (Check("setl_d", ("setl_d", "policy_caps"), _R22, _R22_LOOKS_AT),),
    ),
    Rule(
        "R23",
        Severity.WARN,
        "分组只用于住院，带版本，病例类型符合倍率",
        "grouping only for stays, with version; case type follows the thresholds",
        (Check("drg_rslt_d", ("drg_rslt_d", "setl_d"), _R23),),
    ),
    Rule(
        "R24",
        Severity.WARN,
        "追溯码零售唯一（拆零除外），生产 ≤ 销售 ≤ 有效期",
        "a trace code is sold once unless split; made ≤ sold ≤ expiry",
        (Check("sel_trac_d", ("sel_trac_d",), _R24, columns=_R24_COLUMNS),),
    ),
    Rule(
        "R25",
        Severity.WARN,
        "基金账与当月结算相符（0.1 %）",
        "the fund ledger agrees with the month's settlements (0.1 %)",
        (
            Check(
                "fund_flow_m",
                ("fund_flow_m", "setl_d"),
                _R25,
                _R25_LOOKS_AT,
                columns={"fund_flow_m": ("ym", "insutype", "fund_type", "flow", "amt")},
            ),
        ),
    ),
)
