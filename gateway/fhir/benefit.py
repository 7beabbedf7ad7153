"""A settlement as told by S19 or S21, as ExplanationOfBenefit (CARIN Blue Button style)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from gateway.fhir.parts import (
    CODES,
    HL7,
    Json,
    Told,
    concept,
    further,
    identifier,
    known_as,
    money,
    plain,
    span,
    without_none,
)

CARIN: Final = "http://hl7.org/fhir/us/carin-bb/CodeSystem/C4BBAdjudication"
_ADJUDICATION: Final = f"{HL7}adjudication"
_TOTALS: Final[Sequence[tuple[str, str, str]]] = (
    ("medfee_sumamt", _ADJUDICATION, "submitted"),
    ("inscp_scp_amt", _ADJUDICATION, "eligible"),
    ("act_pay_dedc", _ADJUDICATION, "deductible"),
    ("fund_pay_sumamt", _ADJUDICATION, "benefit"),
    ("preselfpay_amt", CARIN, "coinsurance"),
    ("psn_part_amt", CARIN, "paidbypatient"),
)
_OWN: Final = ("fulamt_ownpay_amt", "overlmt_selfpay")
_FUNDS: Final = (
    "hifp_pay", "cvlserv_pay", "hifes_pay", "hifmi_pay", "hifob_pay", "maf_pay", "oth_pay",
    "acct_pay", "psn_cash_pay", "fulamt_ownpay_amt", "overlmt_selfpay", "preselfpay_amt",
)  # fmt: skip
_LISTS: Final[Mapping[str, str]] = {
    "101": "drug", "102": "drug", "103": "items", "201": "items", "301": "items",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class About:
    """What an answer says beside the record: `subject` is the receiver's own reference to the
    person (never a national number), `reference` that of the settlement."""

    subject: str
    reference: str
    created: datetime
    coverage: str | None = None


def explanation(
    told: Told, about: About, lines: Sequence[Told] = (), *, bureau: str = "bureau"
) -> Json:
    """The resource of one settlement: the fields told of it, and those of each of its fee lines."""
    refunded = told.get("refd_setl_flag") in (True, "1", 1)
    resource = without_none(
        resourceType="ExplanationOfBenefit",
        id=about.reference,
        meta={"lastUpdated": about.created.isoformat()},
        identifier=list(_identifiers(told, about)),
        extension=list(_funds(told)),
        status="cancelled" if refunded else "active",
        type=_kind(told.get("med_type")),
        subType=_category(told),
        use="claim",
        patient=known_as("Patient", "subject", about.subject),
        billablePeriod=span(told.get("begndate"), told.get("enddate")),
        created=told.get("setl_time") or about.created.isoformat(),
        insurer=known_as("Organization", "bureau", bureau),
        provider=_provider(told),
        facility=None if told.get("fixmedins_code") is None else _facility(told),
        outcome="complete",
        insurance=[_insurance(told, about)],
        diagnosis=_diagnosis(told),
        procedure=_procedure(told),
        item=[_item(number, line) for number, line in enumerate(lines, 1)],
        total=list(_totals(told)),
        supportingInfo=_level(told),
    )
    if told.get("fund_pay_sumamt") is not None:
        resource["payment"] = {"amount": money(told["fund_pay_sumamt"])}
    return resource


def _identifiers(told: Told, about: About) -> Iterator[Json]:
    yield identifier("setl_ref", about.reference)
    if told.get("invono_hash") is not None:
        yield identifier("invono_hash", str(told["invono_hash"]))


def _funds(told: Told) -> Iterator[Json]:
    """Amounts FHIR has no element for, under their national names."""
    for field in _FUNDS:
        if told.get(field) is not None:
            yield further(field, valueMoney=money(told[field]))


def _kind(med_type: str | None) -> Json:
    """A shop's sale is pharmacy, everything else an institution's claim."""
    if med_type is None:
        return concept("", None)
    shop = med_type.startswith("41")
    return plain(f"{HL7}claim-type", "pharmacy" if shop else "institutional")


def _category(told: Told) -> Json | None:
    code = told.get("med_type")
    return None if code is None else concept(f"{CODES}med_type", code)


def _provider(told: Told) -> Json:
    code, name = told.get("fixmedins_code"), told.get("fixmedins_name")
    return known_as("Organization", "fixmedins_code", code, name)


def _facility(told: Told) -> Json:
    code, name = told.get("fixmedins_code"), told.get("fixmedins_name")
    return known_as("Location", "fixmedins_code", code, name)


def _insurance(told: Told, about: About) -> Json:
    display = told.get("insutype")
    value = about.coverage or display
    return {"focal": True, "coverage": known_as("Coverage", "insutype", value)}


def _diagnosis(told: Told) -> list[Json]:
    code = told.get("dscg_maindiag_code") or told.get("dscg_maindiag_code_3")
    if code is None:
        return []
    return [
        {
            "sequence": 1,
            "diagnosisCodeableConcept": concept(f"{CODES}dx", code, told.get("dscg_maindiag_name")),
            "type": [plain(f"{HL7}ex-diagnosistype", "principal")],
        }
    ]


def _procedure(told: Told) -> list[Json]:
    code = told.get("oprn_oprt_code_main") or told.get("oprn_oprt_code")
    if code is None:
        return []
    return [{"sequence": 1, "procedureCodeableConcept": concept(f"{CODES}oprn", code)}]


def _item(number: int, line: Told) -> Json:
    system = _LISTS.get(str(line.get("list_type")), "items")
    product = concept(f"{CODES}{system}", line.get("med_list_codg"), line.get("list_name"))
    count, price, net = (line.get(f) for f in ("cnt", "pric", "det_item_fee_sumamt"))
    return without_none(
        sequence=number,
        productOrService=product,
        servicedDate=line.get("fee_date"),
        quantity=None if count is None else {"value": float(str(count))},
        unitPrice=None if price is None else money(price),
        net=None if net is None else money(net),
        adjudication=list(_shares(line)),
    )


def _shares(line: Told) -> Iterator[Json]:
    if line.get("inscp_scp_amt") is not None:
        yield _adjudged(_ADJUDICATION, "eligible", line["inscp_scp_amt"])
    if line.get("fulamt_ownpay_amt") is not None:
        yield _adjudged(CARIN, "noncovered", line["fulamt_ownpay_amt"])


def _totals(told: Told) -> Iterator[Json]:
    for field, system, code in _TOTALS:
        if told.get(field) is not None:
            yield _adjudged(system, code, told[field])
    own = [told[field] for field in _OWN if told.get(field) is not None]
    if len(own) == len(_OWN):
        yield _adjudged(CARIN, "noncovered", sum(Decimal(str(amount)) for amount in own))


def _adjudged(system: str, code: str, amount: object) -> Json:
    return {"category": plain(system, code), "amount": money(amount)}


def _level(told: Told) -> list[Json]:
    """The institution's level, which R4 has no element for."""
    if told.get("hosp_lv") is None:
        return []
    level = concept(f"{CODES}hosp_lv", told["hosp_lv"])
    category = concept(f"{CODES}supporting-info", "hosp_lv")
    return [{"sequence": 1, "category": category, "code": level}]
