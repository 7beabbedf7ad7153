"""Rule packages and claims for tests of adjudication."""

from __future__ import annotations

import copy
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from gateway.adjudication.claim import Claim, Line
from gateway.adjudication.model import RulePackage
from gateway.adjudication.terms import Terms, read_terms

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "rules" / "huimin-2026.yaml"
CLAIMS = EXAMPLE.with_name("claims.jsonl")
TERMS: Terms = read_terms(ROOT / "policies")


def document(**changes: Any) -> dict[str, Any]:
    """The example package as a document, with top-level changes."""
    return {**copy.deepcopy(yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))), **changes}


def package(**changes: Any) -> RulePackage:
    """The example package with top-level changes."""
    return RulePackage.model_validate(document(**changes))


def claim(**changes: Any) -> Claim:
    """An inpatient settlement of which the person paid 30 000 yuan; amounts in fen."""
    told: dict[str, Any] = {
        "begndate": date(2026, 5, 1), "setl_date": date(2026, 5, 9), "med_type": "21",
        "insutype": "310", "hosp_lv": "01", "fixmedins_code": "H98010100001", "age": 50,
        "medfee_sumamt": 8_000_000, "inscp_amt": 6_000_000, "fund_pay_sumamt": 4_000_000,
        "preselfpay_amt": 400_000, "fulamt_ownpay_amt": 500_000, "overlmt_selfpay": 100_000,
        "psn_pay": 3_000_000, "main_diagnosis": "I21.0",
        "policy_from": date(2026, 1, 1), "policy_to": date(2027, 1, 1),
    }  # fmt: skip
    return Claim(**{**told, **changes})


def line(code: str, **amounts: int) -> Line:
    """A fee line; amounts not named are nought."""
    nought = dict.fromkeys(
        ("inscp_amt", "preselfpay_amt", "fulamt_ownpay_amt", "overlmt_selfpay"), 0
    )
    return Line(med_list_codg=code, **{**nought, **amounts})
