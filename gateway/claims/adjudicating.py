"""From a person's rows to a claim that rules decide on, and from an outcome to what is told."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

from gateway.adjudication.claim import Claim, Line, Outcome
from gateway.adjudication.deciding import NOTHING, NotAdjudicable, adjudicate, undone
from gateway.adjudication.model import RulePackage
from gateway.claims.asking import Adjudication
from gateway.claims.telling import Document
from gateway.consent.people import age_on
from gateway.persons.port import Row, Rows

UNDECIDED: Final = Outcome("manual", 0, 0, None, ("R22",), "")
"""Nothing was settled under that number in those days, or no version of the product decides on that
day: to be settled by people. It is not kept, so a settlement that comes later is decided."""
_AMOUNTS: Final = (
    "medfee_sumamt",
    "inscp_amt",
    "fund_pay_sumamt",
    "preselfpay_amt",
    "fulamt_ownpay_amt",
    "overlmt_selfpay",
    "psn_pay",
)
_OF_LINE: Final = ("inscp_amt", "preselfpay_amt", "fulamt_ownpay_amt", "overlmt_selfpay")


def settlement_of(rows: Mapping[str, Rows]) -> Row | None:
    """The one settlement that was asked about; where the numbers fit none, or several, nothing."""
    settled = rows.get("settlement", ())
    return settled[0] if len(settled) == 1 else None


def claim_of(ask: Adjudication, rows: Mapping[str, Rows], settled: Row, born: date) -> Claim:
    """The settlement with what belongs to it. A sensitive diagnosis was not read and is not there:
    it is decided as if there were none, so no answer can depend on it."""
    stays = rows.get("diagnosis", ())
    stay: Row = stays[0] if stays else {}
    amounts = {name: _fen(settled[name]) for name in _AMOUNTS}
    return Claim(
        begndate=settled["begndate"],
        setl_date=settled_on(settled),
        med_type=_text(settled["med_type"]),
        insutype=_text(settled["insutype"]),
        hosp_lv=_text(settled["hosp_lv"]),
        fixmedins_code=_text(settled["fixmedins_code"]),
        age=age_on(born, settled["begndate"]),
        main_diagnosis=_text(stay.get("dscg_maindiag_code")),
        operation=_text(stay.get("oprn_oprt_code")),
        diagnoses=tuple(_text(row["diag_code"]) for row in rows.get("diagnoses", ())),
        lines=tuple(_line(row) for row in rows.get("lines", ())),
        policy_from=ask.policy.start,
        policy_to=ask.policy.to + timedelta(days=1),
        **amounts,
    )


def settled_on(settled: Row) -> date:
    """The day by which the version of the rules is chosen."""
    day: date = settled["setl_time"].date()
    return day


def decided(
    package: RulePackage,
    claim: Claim,
    used: Mapping[str, int],
    reasons_max: int,
    *,
    refunded: bool,
) -> Outcome:
    """The outcome of a claim; a settlement that was undone already pays nothing."""
    if refunded:
        return undone(package, NOTHING)
    try:
        return adjudicate(package, claim, used, reasons_max)
    except NotAdjudicable:
        return UNDECIDED


def told(claim_ref: str, outcome: Outcome, masks: Mapping[str, str]) -> Document:
    """The data of an answer: the same fields whatever was decided, as far as the grant has them."""
    data: Document = {
        "claim_ref": claim_ref,
        "decision": outcome.decision,
        "payable_amt": _yuan(outcome.payable),
        "deductible_used": _yuan(outcome.deductible_used),
        "layer_used": outcome.layer_used,
        "reason_codes": list(outcome.reasons),
        "rule_package_version": outcome.version or None,
    }
    return {name: value for name, value in data.items() if name in masks}


def _line(row: Row) -> Line:
    amounts = {name: _fen(row[name]) for name in _OF_LINE}
    return Line(med_list_codg=_text(row["med_list_codg"]), **amounts)


def _text(value: Any) -> str:  # Any: a text or nothing
    return "" if value is None else str(value)


def _fen(text: str | None) -> int:
    return int(Decimal(text or "0") * 100)


def _yuan(fen: int) -> str:
    return f"{fen // 100}.{fen % 100:02}"
