"""Rules about codes: each exists and is valid (R19), and means the same everywhere (R19b)."""

from __future__ import annotations

from synthetic.integrity.codes import invalid_codes_sql
from synthetic.integrity.model import Check, Rule, Severity

LEAST_PEERS = 3
"""So many institutions must agree on what an own code means before another is told from them."""

_DX = r"[A-Z]\d{2}\.(x\d{2}|\d{3}|\dx\d)(x\d{3})?([+*].*)?"


def _r19_codes(table: str, token: str, amount: str = "0") -> Check:
    wrong = invalid_codes_sql(table)
    sql = f"SELECT {token} AS token, {amount} AS amount FROM {table} WHERE {wrong}"
    return Check(table, (table,), sql)


def _r19_region(table: str, token: str, amount: str = "0") -> Check:
    sql = f"""SELECT {token} AS token, {amount} AS amount FROM {table}
WHERE insu_admdvs NOT IN (SELECT admdvs FROM admdvs_b)"""
    return Check(table, (table, "admdvs_b"), sql)


_R19_INSTITUTION = """
SELECT s.setl_id AS token, s.medfee_sumamt AS amount
FROM setl_d AS s LEFT JOIN fixmedins_b AS f ON f.fixmedins_code = s.fixmedins_code
WHERE f.fixmedins_code IS NULL OR s.enddate < f.begntime::DATE OR s.begndate > f.endtime::DATE"""
_R19_DRUG = """
SELECT f.bkkp_sn AS token, f.det_item_fee_sumamt AS amount
FROM fee_list_d AS f LEFT JOIN drug_cat_b AS d ON d.med_list_codg = f.med_list_codg
WHERE f.list_type = '101' AND (d.med_list_codg IS NULL
  OR f.fee_ocur_time::DATE < d.begndate OR f.fee_ocur_time::DATE > d.enddate)"""
_R19_DIAGNOSIS = f"""
SELECT diag_info_id AS token, 0 AS amount FROM setl_diag_list_d
WHERE diag_type = '1' AND NOT regexp_full_match(diag_code, '{_DX}')"""
_R19_MAIN = f"""
SELECT mdtrt_id AS token, 0 AS amount FROM mdtrt_d
WHERE dscg_maindiag_code IS NOT NULL AND NOT regexp_full_match(dscg_maindiag_code, '{_DX}')"""
_R19_NESTED = """
SELECT admdvs AS token, 0 AS amount FROM admdvs_b
WHERE NOT regexp_full_match(admdvs, '\\d{6}') OR (admdvs_lv NOT IN ('0', '1')
  AND (prnt_admdvs IS NULL OR prnt_admdvs NOT IN (SELECT admdvs FROM admdvs_b)))"""
_R19_GROUP = r"""
SELECT setl_id AS token, 0 AS amount FROM drg_rslt_d
WHERE drg_code <> '0000' AND NOT regexp_full_match(drg_code, '[A-Z](QY|[A-Z][1-9][1359])')"""

_R19 = (
    _r19_codes("psn_info_b", "psn_no"),
    _r19_codes("psn_insu_d", "psn_insu_rlts_id"),
    _r19_codes("fixmedins_b", "fixmedins_code"),
    _r19_codes("mdtrt_d", "mdtrt_id"),
    _r19_codes("setl_d", "setl_id", "medfee_sumamt"),
    _r19_codes("setl_fund_d", "setl_id", "fund_payamt"),
    _r19_codes("fee_list_d", "bkkp_sn", "det_item_fee_sumamt"),
    _r19_codes("setl_diag_list_d", "diag_info_id"),
    _r19_codes("drug_cat_b", "med_list_codg"),
    _r19_region("psn_insu_d", "psn_insu_rlts_id"),
    _r19_region("setl_d", "setl_id", "medfee_sumamt"),
    Check("setl_d", ("setl_d", "fixmedins_b"), _R19_INSTITUTION),
    Check(
        "fee_list_d",
        ("fee_list_d", "drug_cat_b"),
        _R19_DRUG,
        "SELECT bkkp_sn AS token FROM fee_list_d WHERE list_type = '101'",
    ),
    Check("setl_diag_list_d", ("setl_diag_list_d",), _R19_DIAGNOSIS),
    Check("mdtrt_d", ("mdtrt_d",), _R19_MAIN),
    Check("admdvs_b", ("admdvs_b",), _R19_NESTED),
    Check("drg_rslt_d", ("drg_rslt_d",), _R19_GROUP),
)

# What each institution's own code was sent as; only national codes there are, others break R19.
_MAPPED = """
SELECT f.bkkp_sn, f.det_item_fee_sumamt, f.fixmedins_code AS inst, f.medins_list_codg AS own,
  f.med_list_codg AS code
FROM fee_list_d AS f JOIN drug_cat_b AS d ON d.med_list_codg = f.med_list_codg
WHERE f.list_type = '101' AND f.medins_list_codg IS NOT NULL"""
# An own code means what most institutions send it as, or the national code it is made of: a local
# letter before it.
_R19B = f"""
WITH mapped AS ({_MAPPED}),
used AS MATERIALIZED (SELECT own, code, count(DISTINCT inst) AS n FROM mapped GROUP BY own, code),
most AS (SELECT own, max(n) AS n, max_by(code, n) AS code FROM used GROUP BY own
  HAVING max(n) >= {LEAST_PEERS}),
agreed AS (SELECT m.own, m.code FROM most AS m JOIN used AS u ON u.own = m.own AND u.n = m.n
  GROUP BY m.own, m.code HAVING count(*) = 1),
says AS (SELECT DISTINCT u.own, d.med_list_codg AS code
  FROM used AS u JOIN drug_cat_b AS d ON d.med_list_codg = substr(u.own, 2)),
means AS (SELECT coalesce(s.own, a.own) AS own, coalesce(s.code, a.code) AS code
  FROM says AS s FULL JOIN agreed AS a ON a.own = s.own)
SELECT f.bkkp_sn AS token, f.det_item_fee_sumamt AS amount
FROM mapped AS f JOIN means AS m ON m.own = f.own WHERE f.code <> m.code"""

CODE_RULES: tuple[Rule, ...] = (
    Rule(
        "R19",
        Severity.BLOCK,
        "编码存在且在服务日有效",
        "every code exists and is valid on the service date",
        _R19,
    ),
    Rule(
        "R19b",
        Severity.WARN,
        "机构自有药品编码与国家编码的对应与同行一致",
        "an institution's own drug code maps to the national code its peers map it to",
        (
            Check(
                "fee_list_d",
                ("fee_list_d", "drug_cat_b"),
                _R19B,
                f"SELECT bkkp_sn AS token FROM ({_MAPPED})",
            ),
        ),
    ),
)
