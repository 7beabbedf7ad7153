"""Resources are valid FHIR R4, say what was told, and nothing that was not."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.capabilitystatement import CapabilityStatement
from fhir.resources.R4B.consent import Consent
from fhir.resources.R4B.coverage import Coverage
from fhir.resources.R4B.explanationofbenefit import ExplanationOfBenefit
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.fhir.benefit import About, explanation
from gateway.fhir.capability import capability
from gateway.fhir.standing import consent, coverage
from gateway.fhir.verified import verified

NOW = datetime(2026, 5, 9, 8, tzinfo=UTC)
ABOUT = About(subject="s-1", reference="r-1", created=NOW)
SETTLEMENT = {
    "setl_ref": "r-1", "fixmedins_code": "H98010100001", "fixmedins_name": "虚构第一医院",
    "hosp_lv": "01", "med_type": "21", "begndate": "2026-05-01", "enddate": "2026-05-08",
    "setl_time": "2026-05-09", "insutype": "310", "medfee_sumamt": "8000.10",
    "fulamt_ownpay_amt": "500.10", "overlmt_selfpay": "100.00", "preselfpay_amt": "400.00",
    "inscp_scp_amt": "7000.00", "act_pay_dedc": "800.00", "hifp_pay": "5000.00",
    "fund_pay_sumamt": "5000.00", "psn_part_amt": "3000.10", "acct_pay": "1000.00",
    "psn_cash_pay": "2000.10", "refd_setl_flag": "0", "invono_hash": "ab" * 32,
    "dscg_maindiag_code_3": "I21", "dscg_maindiag_name": "急性心肌梗死",
    "oprn_oprt_code_main": "36.0600",
}  # fmt: skip
LINE = {
    "med_list_codg": "XC07ABB047A001010100001", "list_name": "虚构片", "list_type": "101",
    "chrgitm_lv": "01", "fee_date": "2026-05-02", "cnt": "2", "pric": "10.05",
    "det_item_fee_sumamt": "20.10", "fulamt_ownpay_amt": "0.00", "inscp_scp_amt": "20.10",
}  # fmt: skip
CONSENT = {
    "consent_id": "c-1", "state": "AUTHORISED", "scenario": "SC03", "purpose": "claim_verification",
    "receiver": {"tenant": "t-1", "client": "k-1", "product": "示例产品"}, "scopes": ["SETL", "DX"],
    "window": {"from": "2026-05-01", "to": "2026-05-31"}, "valid_from": "2026-05-02T08:00:00+00:00",
    "valid_to": "2026-06-02T08:00:00+00:00", "uses": 1, "uses_max": 5, "notice_version": "2026.1",
    "created_at": "2026-05-01T08:00:00+00:00", "ended_at": None,
}  # fmt: skip


def amounts(resource):
    """Totals by code."""
    return {
        one["category"]["coding"][0]["code"]: one["amount"]["value"] for one in resource["total"]
    }


def texts(value):
    """All leaves of a document."""
    if isinstance(value, dict):
        return {leaf for one in value.values() for leaf in texts(one)}
    if isinstance(value, list):
        return {leaf for one in value for leaf in texts(one)}
    return {value}


def test_a_settlement_is_an_explanation_of_benefit():
    made = explanation(SETTLEMENT, ABOUT, [LINE])
    ExplanationOfBenefit.model_validate(made)
    assert amounts(made) == {
        "submitted": 8000.10, "eligible": 7000.00, "deductible": 800.00, "benefit": 5000.00,
        "coinsurance": 400.00, "paidbypatient": 3000.10, "noncovered": 600.10,
    }  # fmt: skip
    assert made["payment"] == {"amount": {"value": 5000.00, "currency": "CNY"}}
    assert made["item"][0]["net"]["value"] == 20.10
    assert made["diagnosis"][0]["diagnosisCodeableConcept"]["coding"][0]["code"] == "I21"
    assert made["type"]["coding"][0]["code"] == "institutional"


@pytest.mark.parametrize(
    ("flag", "status"), [("0", "active"), ("1", "cancelled"), (True, "cancelled")]
)
def test_a_refunded_settlement_is_cancelled(flag, status):
    assert explanation({**SETTLEMENT, "refd_setl_flag": flag}, ABOUT)["status"] == status


def test_a_shops_sale_is_pharmacy():
    kind = explanation({**SETTLEMENT, "med_type": "4102"}, ABOUT)["type"]
    assert kind["coding"][0]["code"] == "pharmacy"


@given(st.sets(st.sampled_from(sorted(SETTLEMENT))), st.sets(st.sampled_from(sorted(LINE))))
@settings(max_examples=40)
def test_what_was_not_told_cannot_come_back_in_another_dialect(kept, kept_of_line):
    """Any subset of fields is valid, and holds no value of the fields left out."""
    told = {name: SETTLEMENT[name] for name in kept}
    line = {name: LINE[name] for name in kept_of_line}
    made = explanation(told, ABOUT, [line])
    ExplanationOfBenefit.model_validate(made)
    said = {str(leaf) for leaf in texts(made)}
    left_out = {v for n, v in SETTLEMENT.items() if n not in kept}
    left_out |= {v for n, v in LINE.items() if n not in kept_of_line}
    still = {*told.values(), *line.values(), "r-1", "0"}
    unique = {v for v in left_out - still if not v.replace(".", "").isdigit()}
    assert not unique & said
    numbers = {float(leaf) for leaf in texts(made) if isinstance(leaf, float)}
    allowed = {float(v) for v in still if v.replace(".", "").isdigit()} | {600.10}
    assert numbers <= allowed


def test_an_enrolment_is_coverage():
    told = {
        "coverage_status": "1", "insutype": "310", "psn_type_group": "active",
        "insu_admdvs": "980100", "coverage_from": "2025-01", "coverage_to": "2026-05",
    }  # fmt: skip
    made = coverage(told, subject="s-1", reference="cov-1")
    Coverage.model_validate(made)
    assert made["type"]["coding"][0]["code"] == "310"
    ended = coverage({"coverage_status": "2"}, subject="s-1", reference="cov-1")
    Coverage.model_validate(ended)
    assert ended["status"] == "cancelled"


@pytest.mark.parametrize(
    ("state", "status"),
    [("AUTHORISED", "active"), ("AWAITING_PERSON", "proposed"), ("REJECTED", "rejected"),
     ("REVOKED", "inactive"), ("CONSUMED", "inactive"), ("EXPIRED", "inactive")],
)  # fmt: skip
def test_a_consent_is_a_consent(state, status):
    made = consent({**CONSENT, "state": state}, subject="s-1")
    Consent.model_validate(made)
    assert made["status"] == status
    codes = [one["coding"][0]["code"] for one in made["provision"]["code"]]
    assert codes == ["SETL", "DX"]


def bundled(data):
    made = verified(data, consent_id="c-1", proof="a.b.c", made=NOW)
    Bundle.model_validate(made)
    return [one["resource"] for one in made["entry"]]


def test_an_answer_of_s19_is_a_bundle_with_its_proof():
    data = {
        "claim_ref": "CLM-1", "found": 1, "settlements": [{**SETTLEMENT, "lines": [LINE]}],
        "match": {"medfee_sumamt": "equal"}, "already_claimed": False,
        "history": {"dx_family": "I10", "prior_diagnosis_flag": None, "first_seen_year": None},
    }  # fmt: skip
    found, settled = bundled(data)
    assert [one["name"] for one in found["parameter"]] == [
        "claim_ref", "found", "match", "already_claimed", "history",
    ]  # fmt: skip
    assert found["parameter"][-1]["part"] == [{"name": "dx_family", "valueString": "I10"}]
    assert (settled["id"], len(settled["item"])) == ("r-1", 1)
    proof = verified(data, consent_id="c-1", proof="a.b.c", made=NOW)["signature"]["data"]
    assert base64.b64decode(proof) == b"a.b.c"


def test_parts_without_their_settlement_and_nothing_at_all():
    told = {"dscg_maindiag_code_3": "I63", "dscg_maindiag_name": "脑梗死"}
    kinds = [one["resourceType"] for one in bundled({"claim_ref": None, "diagnoses": [told, told]})]
    assert kinds == ["Parameters", "ExplanationOfBenefit", "ExplanationOfBenefit"]
    assert len(bundled({"claim_ref": "CLM-1", "found": 0, "settlements": [], "match": None})) == 1


def test_an_answer_of_s18_is_a_bundle():
    told = {"coverage_status": "1", "insutype": "310", "coverage_from": "2018-03"}
    found, insured = bundled({"match": True, "covered": True, "coverage": told})
    assert [one["valueBoolean"] for one in found["parameter"]] == [True, True]
    assert (insured["resourceType"], insured["status"]) == ("Coverage", "active")
    assert len(bundled({"match": False, "covered": None, "coverage": None})) == 1


def test_the_statement_of_capabilities():
    made = capability(software="Sluice", version="0.1")
    CapabilityStatement.model_validate(made)
    assert {one["type"] for one in made["rest"][0]["resource"]} == {
        "ExplanationOfBenefit", "Coverage", "Consent",
    }  # fmt: skip
