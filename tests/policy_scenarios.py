"""All twelve scenarios at work: organisation, grant, question, and a consent where one is needed.

Services that the catalogue does not offer yet are invented here, with the consumers and scenarios
of SPEC §5.2, so that every scenario can be asked. Everything else is the shipped policy.
"""

from __future__ import annotations

import copy
import datetime
from dataclasses import dataclass
from functools import cache

from gateway.policy.embedded import EmbeddedPolicy
from gateway.policy.port import NO_EARLIER
from tests.policy_factory import POLICIES, PRICING, Json, catalogue, directory, scenarios

AT = {
    "month": {"from": "2025-10", "to": "2025-11", "grain": "month"},
    "quarter": {"from": "2025Q1", "to": "2025Q3", "grain": "quarter"},
    "year": {"from": "2023", "to": "2024", "grain": "year"},
}


@dataclass(frozen=True)
class Plan:
    """Which service stands for a scenario, for which kind of organisation, at which grain."""

    service: str
    kind: str
    grain: str = "quarter"
    format: str = "json"


PLANS = {
    "SC01": Plan("S02", "insurer"),
    "SC02": Plan("S02", "insurer"),
    "SC03": Plan("S19", "insurer"),
    "SC04": Plan("S20", "insurer", "month"),
    "SC05": Plan("S09", "pharma", "month"),
    "SC06": Plan("S15", "health_mgmt"),
    "SC07": Plan("S16", "research", "year"),
    "SC08": Plan("S17", "research", format="metrics_json"),
    "SC09": Plan("S04", "hospital"),
    "SC10": Plan("S21", "person"),
    "SC11": Plan("S01", "media"),
    "SC12": Plan("S02", "developer"),
}
CONSENTED = ("SC03", "SC04", "SC06", "SC10")
BOUND = {"SC03": "claim_ref", "SC04": "policy_ref"}
PERSON_COLUMN = {"item": "C06-01", "level": "L3", "mask": "none"}
INVENTED = {
    "S01": ("L1", "DC1", ["SC11", "SC12"], ["*"]),
    "S15": ("L2", "DC2", ["SC06", "SC12"], ["health_mgmt", "hospital", "insurer", "bureau"]),
    "S16": ("L2", "DC4", ["SC07", "SC12"], ["pharma", "insurer", "hospital", "research"]),
    "S17": ("L2", "DC7", ["SC08"], ["insurer", "pharma", "hospital", "research"]),
    "S19": ("L4", "DC5", ["SC03", "SC12"], ["insurer"]),
    "S20": ("L3", "DC5", ["SC04", "SC12"], ["insurer"]),
    "S21": ("L4", "DC5", ["SC10", "SC12"], ["person"]),
}


@cache
def services() -> Json:
    """The catalogue and the invented services; those about persons have a column per field."""
    dims = ["insutype2", "gend", "age10", "hosp_lv4", "benefit5", "dx_cat3"]
    template = copy.deepcopy(catalogue()["S04"])
    columns = {
        name: column
        for name, column in template["columns"].items()
        if name in (*dims, *template["measures"])
    }
    columns["benefit5"] = columns["insutype2"]
    found = dict(catalogue())
    for name, (level, profile, named, consumers) in INVENTED.items():
        found[name] = template | {
            "code": f"inv.{name.lower()}",
            "consumers": ["public"] if consumers == ["*"] else consumers,
            "scenarios": named,
            "output_level": level,
            "sdc": profile,
            "dims": dims,
            "axes": {dim: dim for dim in dims},
            "columns": columns,
            "periods": ["month", "quarter", "year"],
            "geo": [{"level": "city"}, {"level": "county"}],
            "tariff": {
                "unit": "per_query",
                "prices": [
                    {
                        "ref": f"{name.lower()}/2026",
                        "valid_from": "2024-01-01",
                        "valid_to": "2199-12-31",
                    }
                ],
            },
            "params": ["claim_ref", "policy_ref"],
        }
        if profile == "DC5":
            own = dict.fromkeys([*_fields(name), "own_record"], PERSON_COLUMN)
            found[name] |= {"grain": "person", "columns": columns | own}
    return found


def _fields(service: str) -> set[str]:
    """Every person field that some scenario opens for a service."""
    entries = [each["services"].get(service, {}) for each in scenarios().values()]
    listed = [each.get("fields", []) for each in entries]
    scoped = [fields for each in entries for fields in each.get("fields_by_scope", {}).values()]
    return {field for fields in [*listed, *scoped] if isinstance(fields, list) for field in fields}


def world() -> Json:
    """The directory with one organisation and one grant per scenario; a fresh copy to change."""
    documents = directory()
    for name, plan in PLANS.items():
        documents["tenants"][tenant(name)] = documents["tenants"]["insurer-1"] | {
            "type": plan.kind,
            "env": "sandbox" if name == "SC12" else "prod",
            "qualifications": [
                {"code": code, "valid_to": "2026-12-31"}
                for code in scenarios()[name]["qualification"]
            ],
        }
        documents["grants"][tenant(name)] = {
            grant(name): documents["grants"]["insurer-1"]["g-pricing"]
            | {
                "id": grant(name),
                "tenant": tenant(name),
                "scenario": name,
                "services": [plan.service],
            }
        }
    documents["regions"]["990100"] = {"pilot": ["SC08"]}
    documents["releases"] = {"rel-withdrawn": {"withdrawn": True}}
    return copy.deepcopy(documents)


def tenant(scenario: str) -> str:
    return f"t-{scenario.lower()}"


def grant(scenario: str) -> str:
    return f"g-{scenario.lower()}"


def consent(scenario: str) -> str:
    return f"c-{scenario.lower()}"


def given(scenario: str) -> Json:
    """A live consent to this scenario's organisation."""
    return {
        "id": consent(scenario),
        "state": "AUTHORISED",
        "scopes": scenarios()[scenario]["consent"]["scopes"][:1],
        "receiver": tenant(scenario),
        "scenario": scenario,
        "services": [PLANS[scenario].service],
        "purpose_code": scenarios()[scenario]["purpose"],
        "subject_ref": "subject-1",
        "window_from": datetime.date(2025, 1, 1),
        "window_to": datetime.date(2025, 12, 31),
        "valid_from": datetime.datetime(2026, 2, 28, 16, tzinfo=datetime.UTC),
        "valid_to": datetime.datetime(2026, 3, 31, 16, tzinfo=datetime.UTC),
        "uses": 0,
        "uses_max": 5,
        "minor": False,
        "guardian_relation": "",
        "claim_ref": "claim-1",
        "policy_ref": "policy-1",
    }


def golden(scenario: str) -> Json:
    """The question this scenario's organisation may ask."""
    plan = PLANS[scenario]
    service = services()[plan.service]
    question = PRICING | {
        "tenant": {"id": tenant(scenario), "cert_thumbprint": None, "ip": "192.0.2.10"},
        "grant_id": grant(scenario),
        "service": plan.service,
        "version": service["version"],
        "period": AT[plan.grain],
        "dims": ["gend"],
        "measures": [service["measures"][0]],
        "purpose_code": scenarios()[scenario]["purpose"],
        "env": "sandbox" if scenario == "SC12" else "prod",
        "format": plan.format,
        "usage": {},
    }
    if scenario in CONSENTED:
        question |= {
            "consent_id": consent(scenario),
            "consent": given(scenario),
            "subject_ref": "subject-1",
        }
    if scenario in BOUND:
        question |= {"params": {BOUND[scenario]: given(scenario)[BOUND[scenario]]}}
    if services()[plan.service]["sdc"] == "DC4":
        question |= {"usage": {"smallest_difference": NO_EARLIER}}
    return question


def embedded_world(documents: Json | None = None) -> EmbeddedPolicy:
    """The embedded policy on this world."""
    return EmbeddedPolicy(POLICIES, services(), documents or world())
