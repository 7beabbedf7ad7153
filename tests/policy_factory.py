"""Two registered organisations with one grant each, and the question each may ask.

Rules, policy data and catalogue are the shipped ones; only the directory is made up here.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from gateway.catalogue.load import load_catalogue
from gateway.policy.documents import read_documents
from gateway.policy.embedded import EmbeddedPolicy
from gateway.policy.port import PolicyInput
from gateway.settings import Settings

POLICIES: Path = Settings().policies
Json = dict[str, Any]

PRICING: Json = {
    "request_id": "req-1",
    "time": datetime(2026, 3, 10, 4, tzinfo=UTC),
    "tenant": {"id": "insurer-1", "cert_thumbprint": None, "ip": "192.0.2.10"},
    "user": {"id": "client-1", "role": "application", "mfa": False},
    "grant_id": "g-pricing",
    "service": "S02",
    "version": "1.0",
    "period": {"from": "2025Q1", "to": "2025Q3", "grain": "quarter"},
    "geo": ["990100"],
    "dims": ["insutype2", "gend"],
    "measures": ["medfee", "persons"],
    "purpose_code": "actuarial_pricing_and_reserving",
    "env": "prod",
    "qty_estimate": 24,
    "usage": {},
}

DRUGS: Json = PRICING | {
    "tenant": {"id": "pharma-1", "cert_thumbprint": None, "ip": "198.51.100.7"},
    "grant_id": "g-drugs",
    "service": "S09",
    "period": {"from": "2025-11", "to": "2025-12", "grain": "month"},
    "dims": ["atc", "gend"],
    "measures": ["patients", "ddd"],
    "levels": {"atc": 3},
    "purpose_code": "regional_market_and_access_analysis",
}

GOLDEN: Mapping[str, Json] = {"SC01": PRICING, "SC05": DRUGS}


@cache
def catalogue() -> Json:
    """The shipped services as the rules read them."""
    return load_catalogue(POLICIES).as_policy_data()


@cache
def scenarios() -> Json:
    found: Json = read_documents(POLICIES)["scenarios"]
    return found


def directory() -> Json:
    """Both organisations in good standing; a fresh copy to change."""
    return copy.deepcopy(
        {
            "tenants": {
                "insurer-1": _tenant("insurer", "SC01", "192.0.2.0/24"),
                "pharma-1": _tenant("pharma", "SC05", "198.51.100.7"),
            },
            "grants": {
                "insurer-1": {
                    "g-pricing": _grant("insurer-1", "g-pricing", "SC01", ["S02", "S04"])
                },
                "pharma-1": {"g-drugs": _grant("pharma-1", "g-drugs", "SC05", ["S06", "S09"])},
            },
            "regions": {},
            "stops": {"tenant": {}, "scenario": {}, "service": {}, "region": {}},
        }
    )


def ask(base: Json, **change: Any) -> PolicyInput:
    """The question with some attributes replaced, validated as at the edge."""
    return PolicyInput.model_validate(base | change)


def embedded(documents: Json | None = None, **options: Any) -> EmbeddedPolicy:
    """The embedded policy over the shipped rules and this directory."""
    return EmbeddedPolicy(POLICIES, catalogue(), documents or directory(), **options)


def _tenant(kind: str, scenario: str, address: str) -> Json:
    held = [
        {"code": code, "valid_to": "2026-12-31", "evidence_hash": "00"}
        for code in scenarios()[scenario]["qualification"]
    ]
    return {
        "type": kind,
        "name": f"Invented {kind} 1",
        "uscc": "91990100TEST00001X",
        "status": "active",
        "env": "prod",
        "qualifications": held,
        "source_ips": [address],
        "cert_thumbprints": [],
    }


def _grant(tenant: str, name: str, scenario: str, services: list[str]) -> Json:
    return {
        "id": name,
        "tenant": tenant,
        "scenario": scenario,
        "product_name": "Invented product",
        "purpose_text": "test",
        "regions": ["990100"],
        "services": services,
        "dims": ["*"],
        "measures": ["*"],
        "valid_from": "2026-01-01",
        "valid_to": "2026-12-31",
        "approved_by": ["officer-a", "officer-b"],
        "providers": [],
        "price_plan": "standard-2026",
        "agreement_hash": "00",
        "status": "active",
    }
