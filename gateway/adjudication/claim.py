"""What an adjudication looks at, and what it says: one settlement, and a closed answer.

A claim never leaves the domain; its repr shows nothing of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal, TypeAlias

Decision: TypeAlias = Literal["pay", "partial", "deny", "manual"]


@dataclass(frozen=True, slots=True, repr=False)
class Line:
    """A fee line by its national code; amounts in fen."""

    med_list_codg: str
    inscp_amt: int
    preselfpay_amt: int
    fulamt_ownpay_amt: int
    overlmt_selfpay: int


@dataclass(frozen=True, slots=True, repr=False)
class Claim:
    """A settlement with its main diagnosis, all diagnoses, lines and the policy; amounts in fen.

    `age` is at the begin of care; `policy_from`…`policy_to` is the term of cover, the end excluded.
    """

    begndate: date
    setl_date: date
    med_type: str
    insutype: str
    hosp_lv: str
    fixmedins_code: str
    age: int
    medfee_sumamt: int
    inscp_amt: int
    fund_pay_sumamt: int
    preselfpay_amt: int
    fulamt_ownpay_amt: int
    overlmt_selfpay: int
    psn_pay: int
    main_diagnosis: str
    policy_from: date
    policy_to: date
    diagnoses: tuple[str, ...] = ()
    operation: str = ""
    lines: tuple[Line, ...] = ()

    def __repr__(self) -> str:
        return "Claim(…)"

    @property
    def parts(self) -> Mapping[str, int]:
        """What the person paid, by part of the bill; never below nought."""
        return {
            "in_scope": max(0, self.inscp_amt - self.fund_pay_sumamt),
            "preself": max(0, self.preselfpay_amt),
            "ownpay": max(0, self.fulamt_ownpay_amt),
            "overlmt": max(0, self.overlmt_selfpay),
        }


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer: the same fields whatever was decided; amounts in fen.

    `eligible` is what each layer counted, kept inside for the year's sums and told to nobody.
    """

    decision: Decision
    payable: int
    deductible_used: int
    layer_used: str | None
    reasons: tuple[str, ...]
    version: str
    eligible: Mapping[str, int] = field(default_factory=dict, repr=False)

    @property
    def label(self) -> tuple[object, ...]:
        """The coded part of the answer: all of it but the amounts."""
        return self.decision, self.layer_used, self.reasons, self.version
