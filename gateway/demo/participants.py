"""The demonstration's organisations, invented: an insurer and a pharma firm, and their grants."""

from __future__ import annotations

from datetime import date, timedelta

from gateway.demo.claims import CALLBACK

Document = dict[str, object]

EVIDENCE = "0" * 64
CITY = "990100"


def tenant(
    key: str, kind: str, name: str, *, uscc: str, qualifications: list[str], until: date
) -> Document:
    """An invented organisation and what it shows for itself."""
    return {
        "id": key,
        "type": kind,
        "name": name,
        "uscc": uscc,  # of the fictional region 990100: well formed, and no real organisation's
        "source_ips": ["127.0.0.0/8"],
        "data_security_officer": "测试丁一",
        "qualifications": [
            {"code": code, "valid_to": until.isoformat(), "evidence_hash": EVIDENCE}
            for code in qualifications
        ],
    }


def grant(key: str, tenant: str, scenario: str, services: list[str], day: date) -> Document:
    """A year's licence in the fictional city."""
    product = f"测试产品 {scenario}"
    return {
        "id": key,
        "tenant": tenant,
        "scenario": scenario,
        "product_name": product,
        "purpose_text": f"{product}（演示）",
        "regions": [CITY],
        "services": services,
        "valid_from": day.isoformat(),
        "valid_to": (day + timedelta(days=364)).isoformat(),
        "price_plan": "demo/2026",
        "agreement_hash": EVIDENCE,
    }


INSURER = "demo-insurer"
PHARMA = "demo-pharma"
CLAIMS_APP = f"{INSURER}-claims"
PRICING_NEEDS = (
    "licensed_health_or_life_insurer",
    "data_security_officer",
    "mlps_level>=3",
    "signed_data_agreement",
)
CLAIMS_NEEDS = ("licensed_insurer", "claims_system_mlps_level>=3", "fixed_source_ip", "mutual_tls")


def tenants(day: date) -> list[Document]:
    """Both organisations, with the qualifications their scenarios ask for."""
    until = day + timedelta(days=730)
    pharma = [
        "drug_or_device_marketing_authorisation_holder",
        "compliance_commitment_no_tongfang",
    ]
    return [
        tenant(
            INSURER,
            "insurer",
            "测试甲人寿保险（虚构）",
            uscc="91990100MA0000001G",
            qualifications=list(PRICING_NEEDS),
            until=until,
        ),
        tenant(
            PHARMA,
            "pharma",
            "测试乙药业（虚构）",
            uscc="91990100MA0000002K",
            qualifications=pharma,
            until=until,
        ),
    ]


def claims_grant(day: date) -> Document:
    """What the insurer's claims desk may ask persons for."""
    return grant("G-DEMO-03", INSURER, "SC03", ["S18", "S19"], day)


def claims_standing(day: date) -> Document:
    """What the insurer shows for it, and whom a person can call."""
    until = (day + timedelta(days=730)).isoformat()
    shown = [
        {"code": code, "valid_to": until, "evidence_hash": EVIDENCE}
        for code in (*PRICING_NEEDS, *CLAIMS_NEEDS)
    ]
    return {"qualifications": shown, "contact": "客服 400-000-0000（虚构）"}


def claims_terms() -> Document:
    """The insurer's claims program asks persons for consent, so it gets codes besides."""
    return {
        "redirect_uris": [CALLBACK],
        "grant_types": ["authorization_code", "refresh_token", "client_credentials"],
    }


def grants(day: date) -> list[Document]:
    """One each: pricing for the insurer, market analysis for the pharma firm."""
    return [
        grant("G-DEMO-01", INSURER, "SC01", ["S02", "S04", "S06", "S09"], day),
        grant("G-DEMO-05", PHARMA, "SC05", ["S06", "S09"], day),
    ]
