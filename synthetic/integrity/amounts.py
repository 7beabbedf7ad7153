"""Rules about money: fee lines, settlement headers, fund split, refunds (R01–R13)."""

from __future__ import annotations

from synthetic.integrity.model import Check, Rule, Severity

_LINE = "0.01"
_SETL = "0.05"

# What a refund turns negative (R12); deductible standards and balances are not amounts paid.
REFUNDED = (
    "medfee_sumamt",
    "fulamt_ownpay_amt",
    "overlmt_selfpay",
    "preselfpay_amt",
    "inscp_amt",
    "act_pay_dedc",
    "hifp_pay",
    "cvlserv_pay",
    "hifes_pay",
    "hifmi_pay",
    "hifob_pay",
    "hifdm_pay",
    "maf_pay",
    "othfund_pay",
    "fund_pay_sumamt",
    "psn_pay",
    "acct_pay",
    "cash_payamt",
    "ownpay_hosp_part",
    "acct_mulaid_pay",
)


def _zero(*names: str) -> str:
    return " + ".join(f"coalesce({name}, 0)" for name in names)


def _failing(table: str, token: str, amount: str, holds: str) -> str:
    """Records for which the condition does not hold; unknown counts as not holding."""
    return f"SELECT {token} AS token, {amount} AS amount FROM {table} WHERE ({holds}) IS NOT TRUE"


def _line_check(holds: str) -> tuple[Check, ...]:
    sql = _failing("fee_list_d", "bkkp_sn", "det_item_fee_sumamt", holds)
    return (Check("fee_list_d", ("fee_list_d",), sql),)


def _setl_check(holds: str) -> tuple[Check, ...]:
    sql = _failing("setl_d", "setl_id", "medfee_sumamt", holds)
    return (Check("setl_d", ("setl_d",), sql),)


_R03 = f"""
CASE WHEN chrgitm_lv = '03' THEN
  coalesce(selfpay_prop, 1) = 1 AND abs(fulamt_ownpay_amt - det_item_fee_sumamt) <= {_LINE}
  AND abs(inscp_amt) <= {_LINE}
ELSE
  abs(fulamt_ownpay_amt) <= {_LINE}
  AND abs(overlmt_selfpay
      - round(greatest(pric - coalesce(pric_uplmt_amt, pric), 0) * cnt, 2)) <= {_LINE}
  AND abs(preselfpay_amt - round((det_item_fee_sumamt - overlmt_selfpay)
      * coalesce(selfpay_prop, 0), 2)) <= {_LINE}
  AND abs(inscp_amt - (det_item_fee_sumamt - overlmt_selfpay - preselfpay_amt)) <= {_LINE}
  AND CASE chrgitm_lv WHEN '01' THEN coalesce(selfpay_prop, 0) = 0
      WHEN '02' THEN selfpay_prop > 0 AND selfpay_prop < 1 ELSE true END
END"""

# A settlement without lines fails only in a month whose settlements mostly have lines: whole
# light years legally come without them.
_R04 = f"""
WITH lines AS MATERIALIZED (
  SELECT setl_id, sum(det_item_fee_sumamt) AS medfee, sum(fulamt_ownpay_amt) AS ownpay,
    sum(overlmt_selfpay) AS overlmt, sum(preselfpay_amt) AS preself, sum(inscp_amt) AS inscp
  FROM fee_list_d WHERE setl_id IS NOT NULL GROUP BY setl_id),
covered AS MATERIALIZED (
  SELECT date_trunc('month', s.setl_time) AS month
  FROM setl_d AS s LEFT JOIN lines AS l ON l.setl_id = s.setl_id
  GROUP BY ALL HAVING 2 * count(l.setl_id) >= count(*))
SELECT s.setl_id AS token, s.medfee_sumamt AS amount
FROM setl_d AS s LEFT JOIN lines AS l ON l.setl_id = s.setl_id
WHERE CASE WHEN l.setl_id IS NULL
  THEN s.medfee_sumamt <> 0 AND date_trunc('month', s.setl_time) IN (SELECT month FROM covered)
  ELSE (abs(s.medfee_sumamt - l.medfee) <= {_SETL}
    AND abs(s.fulamt_ownpay_amt - l.ownpay) <= {_SETL}
    AND abs(s.overlmt_selfpay - l.overlmt) <= {_SETL}
    AND abs(s.preselfpay_amt - l.preself) <= {_SETL}
    AND abs(s.inscp_amt - l.inscp) <= {_SETL}) IS NOT TRUE END"""

_FUNDS = _zero(
    "hifp_pay",
    "cvlserv_pay",
    "hifes_pay",
    "hifmi_pay",
    "hifob_pay",
    "hifdm_pay",
    "maf_pay",
    "othfund_pay",
)

_R09 = f"""
WITH split AS (
  SELECT setl_id, sum(fund_payamt) FILTER (fund_pay_type <> '310200') AS fund,
    sum(fund_payamt) FILTER (fund_pay_type = '310200') AS acct
  FROM setl_fund_d GROUP BY setl_id)
SELECT s.setl_id AS token, s.medfee_sumamt AS amount
FROM setl_d AS s LEFT JOIN split AS f ON f.setl_id = s.setl_id
WHERE (abs(coalesce(f.fund, 0) - s.fund_pay_sumamt) <= {_SETL}
  AND abs(coalesce(f.acct, 0) - coalesce(s.acct_pay, 0)) <= {_SETL}) IS NOT TRUE"""

# Refunds carry negative amounts, hence the absolute values.
_R10 = f"""
coalesce(act_pay_dedc, 0) * sign(medfee_sumamt) >= 0 AND hifp_pay * sign(medfee_sumamt) >= 0
AND abs(coalesce(act_pay_dedc, 0)) <=
    least(abs(coalesce(dedc_std, inscp_amt)), abs(inscp_amt)) + {_SETL}
AND abs(hifp_pay) <= abs(inscp_amt) - abs(coalesce(act_pay_dedc, 0)) + {_SETL}
AND abs(hifp_pay) <= round((abs(inscp_amt) - abs(coalesce(act_pay_dedc, 0)))
    * coalesce(pool_prop_selfpay, 1), 2) + {_SETL}"""

_R11 = """
SELECT s.setl_id AS token, s.medfee_sumamt AS amount
FROM setl_d AS s LEFT JOIN psn_insu_d AS i ON i.psn_insu_rlts_id = s.psn_insu_rlts_id
WHERE (coalesce(s.hifmi_pay, 0) <> 0 AND s.insutype <> '390')
  OR (coalesce(s.hifob_pay, 0) <> 0 AND s.insutype <> '310')
  OR (coalesce(s.cvlserv_pay, 0) <> 0 AND s.cvlserv_flag IS DISTINCT FROM '1')
  OR (coalesce(s.acct_pay, 0) <> coalesce(s.acct_mulaid_pay, 0)
      AND (s.insutype <> '310' OR i.hi_type = '2'))"""

_OPPOSITE = "\n    AND ".join(
    f"abs(coalesce(r.{name}, 0) + coalesce(o.{name}, 0)) <= {_SETL}" for name in REFUNDED
)
_R12 = f"""
SELECT r.setl_id AS token, r.medfee_sumamt AS amount
FROM setl_d AS r LEFT JOIN setl_d AS o ON o.setl_id = r.init_setl_id
WHERE r.refd_setl_flag = '1' AND (o.setl_id IS NOT NULL AND o.refd_setl_flag = '0'
    AND o.medfee_sumamt >= 0
    AND {_OPPOSITE}) IS NOT TRUE
UNION
SELECT setl_id, medfee_sumamt FROM setl_d
WHERE refd_setl_flag <> '1' AND (medfee_sumamt < 0 OR init_setl_id IS NOT NULL)
UNION
SELECT setl_id, medfee_sumamt FROM setl_d WHERE refd_setl_flag = '1'
QUALIFY row_number() OVER (PARTITION BY init_setl_id ORDER BY setl_time, setl_id) > 1"""
_R12_LOOKS_AT = """SELECT setl_id AS token FROM setl_d
WHERE refd_setl_flag = '1' OR medfee_sumamt < 0 OR init_setl_id IS NOT NULL"""

_R13 = f"""
WITH items AS (
  SELECT setl_id, sum(amt) AS amt, bool_and(abs(amt - coalesce(claa_sumfee, 0)
    - coalesce(clab_amt, 0) - coalesce(fulamt_ownpay_amt, 0) - coalesce(oth_amt, 0)) <= {_LINE})
    AS adds_up
  FROM setl_list_item_d GROUP BY setl_id)
SELECT s.setl_id AS token, s.medfee_sumamt AS amount
FROM setl_list_d AS h JOIN setl_d AS s ON s.setl_id = h.setl_id
  LEFT JOIN items AS i ON i.setl_id = h.setl_id
WHERE (i.adds_up AND abs(i.amt - s.medfee_sumamt) <= {_SETL}
  AND abs(h.psn_selfpay + h.psn_ownpay - h.acct_pay - h.psn_cashpay) <= {_SETL}
  AND abs(s.fund_pay_sumamt + h.psn_selfpay + h.psn_ownpay - s.medfee_sumamt) <= {_SETL})
  IS NOT TRUE"""
_R13_COLUMNS = {
    "setl_list_d": ("setl_id", "psn_selfpay", "psn_ownpay", "acct_pay", "psn_cashpay"),
    "setl_list_item_d": (
        "setl_id",
        "amt",
        "claa_sumfee",
        "clab_amt",
        "fulamt_ownpay_amt",
        "oth_amt",
    ),
}

AMOUNT_RULES: tuple[Rule, ...] = (
    Rule(
        "R01",
        Severity.BLOCK,
        "明细金额 = 数量 × 单价",
        "line amount = quantity × unit price",
        _line_check(f"abs(det_item_fee_sumamt - round(cnt * pric, 2)) <= {_LINE}"),
    ),
    Rule(
        "R02",
        Severity.BLOCK,
        "明细金额 = 全自费 + 超限价 + 先行自付 + 符合范围",
        "line amount = own pay + over limit + pre-self-pay + in scope",
        _line_check(
            "abs(det_item_fee_sumamt - fulamt_ownpay_amt - overlmt_selfpay"
            f" - preselfpay_amt - inscp_amt) <= {_LINE}"
        ),
    ),
    Rule(
        "R03",
        Severity.BLOCK,
        "明细按甲乙丙类与限价依次拆分",
        "a line is split by class and price limit in order",
        _line_check(_R03),
    ),
    Rule(
        "R04",
        Severity.BLOCK,
        "结算金额 = 其明细之和",
        "header amounts = sums of the settlement's lines",
        (Check("setl_d", ("setl_d", "fee_list_d"), _R04),),
    ),
    Rule(
        "R05",
        Severity.BLOCK,
        "医疗费总额 = 全自费 + 超限价 + 先行自付 + 符合范围",
        "total fee = own pay + over limit + pre-self-pay + in scope",
        _setl_check(
            "abs(medfee_sumamt - fulamt_ownpay_amt - overlmt_selfpay"
            f" - preselfpay_amt - inscp_amt) <= {_SETL}"
        ),
    ),
    Rule(
        "R06",
        Severity.BLOCK,
        "基金支付总额 = 各项基金支出之和",
        "total fund payment = sum of the funds",
        _setl_check(f"abs(fund_pay_sumamt - ({_FUNDS})) <= {_SETL}"),
    ),
    Rule(
        "R07",
        Severity.BLOCK,
        "医疗费总额 = 基金支付 + 个人支付 + 医院负担",
        "total fee = funds + person + hospital",
        _setl_check(
            "abs(medfee_sumamt - fund_pay_sumamt - psn_pay"
            f" - coalesce(ownpay_hosp_part, 0)) <= {_SETL}"
        ),
    ),
    Rule(
        "R08",
        Severity.WARN,
        "个人支付 = 账户 + 现金；共济支付不超过账户支付",
        "person's part = account + cash; family account is part of account pay",
        _setl_check(
            f"abs(psn_pay - coalesce(acct_pay, 0) - cash_payamt) <= {_SETL}"
            f" AND abs(coalesce(acct_mulaid_pay, 0)) <= abs(coalesce(acct_pay, 0)) + {_SETL}"
        ),
    ),
    Rule(
        "R09",
        Severity.BLOCK,
        "基金分项之和 = 基金支付总额；310200 = 账户支出",
        "fund split adds up to the fund payment; row 310200 = account",
        (Check("setl_d", ("setl_d", "setl_fund_d"), _R09),),
    ),
    Rule(
        "R10",
        Severity.WARN,
        "起付线与统筹支付在范围之内",
        "deductible and pooled payment stay within bounds",
        _setl_check(_R10),
    ),
    Rule(
        "R11",
        Severity.WARN,
        "各基金只支付其险种与人员",
        "each fund pays only for its own insurance type and persons",
        (Check("setl_d", ("setl_d", "psn_insu_d"), _R11),),
    ),
    Rule(
        "R12",
        Severity.BLOCK,
        "退费为原结算的负数，一对相抵为零",
        "a refund is the negative of its original; the pair adds to zero",
        (Check("setl_d", ("setl_d",), _R12, _R12_LOOKS_AT),),
    ),
    Rule(
        "R13",
        Severity.WARN,
        "结算清单各项金额勾稽",
        "the settlement list's amounts agree",
        (
            Check(
                "setl_d",
                ("setl_d", "setl_list_d", "setl_list_item_d"),
                _R13,
                "SELECT setl_id AS token FROM setl_list_d",
                _R13_COLUMNS,
            ),
        ),
    ),
)
