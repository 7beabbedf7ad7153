"""SPEC §6.4 as a table: for every scenario and code, one fault that earns exactly that code.

Faulty organisations, grants and regions stand side by side in one directory under names of their
own, so that one load serves every case on either engine. A faulty consent comes with the question.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from tests.policy_factory import POLICIES, Json, scenarios
from tests.policy_scenarios import (
    BOUND,
    CONSENTED,
    PLANS,
    given,
    golden,
    grant,
    services,
    tenant,
    world,
)

ABROAD_ALLOWED = ("SC11", "SC12")
FREE = ("SC02", "SC09", "SC10", "SC11", "SC12")
LARGE_ONLY = ("SC01", "SC02", "SC05", "SC06", "SC07", "SC11")
SYNTHETIC = ("SC12",)
WAIVED = ("SC11", "SC12")  # their only qualification is one every registered account has
FAR_AGO = {
    "month": {"from": "1999-01", "to": "1999-01", "grain": "month"},
    "quarter": {"from": "1999Q1", "to": "1999Q1", "grain": "quarter"},
    "year": {"from": "1999", "to": "1999", "grain": "year"},
}
JUST_NOW = {
    "month": {"from": "2026-02", "to": "2026-03", "grain": "month"},
    "quarter": {"from": "2025Q4", "to": "2026Q1", "grain": "quarter"},
    "year": {"from": "2025", "to": "2026", "grain": "year"},
}
SENSITIVE = {"dx_cat3": "B20", "atc": "J05AR"}

# Faults of the question alone.
ASKED: dict[str, Json] = {
    "D103": {"user": {"id": "u-1", "role": "analyst", "mfa": False}},
    "D301": {"purpose_code": "curiosity"},
    "D401": {"version": "9.9"},
    "D402": {"dims": ["postcode"]},
    "D404": {"measures": ["profit"]},
    "D405": {"fields": ["psn_name"]},
    "D407": {"release": "rel-withdrawn"},
    "D501": {"geo": ["980100"]},
    "D502": {"geo": ["990000"]},
    "D503": {"geo": ["990300"]},
    "D506": {"geo": ["990400"]},
    "D507": {"geo": ["990500"]},
    "D601": {"consent_id": None, "consent": None},
    "D607": {"subject_ref": "subject-2"},
    "D609": {"params": {}},
    "D704": {"destination": "US"},
    "D705": {"format": "xlsx"},
    "D801": {"usage": {"rps": 10**6}},
    "D802": {"usage": {"calls_day": 10**9}},
    "D803": {"usage": {"cells_day": 10**9}},
    "D804": {"usage": {"smallest_difference": 19}},
    "D805": {"epsilon_micro": 9_000_000},
    "D807": {"usage": {"estimate_fen": 6}},
}
# Faults of the organisation, of its grant, and of the consent.
TENANT: dict[str, Json] = {
    "D101": {"source_ips": ["203.0.113.0/24"]},
    "D102": {"status": "suspended"},
    "D203": {"qualifications": []},
    "D302": {"type": "broker"},
}
GRANT: dict[str, Json] = {
    "D201": {"status": "suspended"},
    "D202": {"valid_to": "2026-03-09"},
    "D205": {"agreement_hash": ""},
    "D806": {"price_plan": ""},
    "D807": {"credit_limit_fen": 5},
}
CONSENT: dict[str, Json] = {
    "D602": {"state": "REVOKED"},
    "D603": {"scopes": ["SELF_INVENTED"]},
    "D604": {"receiver": "t-other"},
    "D605": {"valid_to": datetime(2026, 3, 9, tzinfo=UTC)},
    "D606": {"uses": 5},
    "D608": {"minor": True},
}
OTHER = ("D104", "D303", "D403", "D406", "D504", "D505", "D702")
# Faults of the catalogue: the same for every service, so each is a world of its own.
SERVICES = ("D408", "D701", "D703")
STOPPED = ("D204",)
CODES = tuple(dict.fromkeys((*ASKED, *TENANT, *GRANT, *CONSENT, *OTHER)))


def applies(scenario: str, code: str) -> bool:
    """Can this scenario refuse for this reason at all?"""
    dims = services()[PLANS[scenario].service]["dims"]
    said: Mapping[str, bool] = {
        "D203": scenario not in WAIVED,
        "D302": scenario not in SYNTHETIC,
        "D303": bool(scenarios()[scenario].get("prohibited")),
        "D503": scenario in LARGE_ONLY,
        "D609": scenario in BOUND,
        "D701": scenario not in SYNTHETIC,
        "D702": scenario not in SYNTHETIC and bool({*SENSITIVE} & {*dims}),
        "D704": scenario not in ABROAD_ALLOWED,
        "D804": services()[PLANS[scenario].service]["sdc"] == "DC4",
        "D806": scenario not in FREE,
        "D807": scenario not in FREE,
    }
    return said.get(code, scenario in CONSENTED if code[:2] == "D6" else True)


CASES = [(scenario, code) for scenario in PLANS for code in CODES if applies(scenario, code)]


@dataclass(frozen=True)
class Names:
    """The organisation and grant of one case."""

    tenant: str
    grant: str


def names(scenario: str, code: str) -> Names:
    tail = f"-{code.lower()}"
    return Names(tenant(scenario) + tail, grant(scenario) + tail)


def question(scenario: str, code: str) -> Json:
    """The scenario's golden question with this fault, by the organisation of this case."""
    base, called = golden(scenario), names(scenario, code)
    base |= {"tenant": base["tenant"] | {"id": called.tenant}, "grant_id": called.grant}
    if scenario in CONSENTED:
        base["consent"] = given(scenario) | {"receiver": called.tenant} | CONSENT.get(code, {})
    change = _change(scenario, code)
    if "usage" in change:
        change = change | {"usage": base["usage"] | change["usage"]}
    return base | change


def _change(scenario: str, code: str) -> Json:
    """What the question itself has to say wrongly."""
    plan = PLANS[scenario]
    service = services()[plan.service]
    use = [*scenarios()[scenario].get("prohibited", []), "none"][0]
    dim = next((dim for dim in SENSITIVE if dim in service["dims"]), "")
    by_scenario: dict[str, Json] = {
        "D104": {"env": "prod" if scenario in SYNTHETIC else "sandbox"},
        "D303": {"params": golden(scenario).get("params", {}) | {"declared_use": use}},
        "D406": {"params": golden(scenario).get("params", {}) | {"k_person": 1}},
        "D403": {"dims": _one_dim_per_axis(service)},
        "D504": {"period": FAR_AGO[plan.grain]},
        "D505": {"period": JUST_NOW[plan.grain]},
        "D702": {"where": {dim: SENSITIVE.get(dim, "")}},
    }
    return (ASKED | by_scenario).get(code, {})


def _one_dim_per_axis(service: Json) -> list[str]:
    chosen: dict[str, str] = {}
    for dim in service["dims"]:
        chosen.setdefault(service["axes"][dim], dim)
    paired = {dim for pair in service.get("forbidden", []) for dim in pair[1:]}
    return [dim for dim in chosen.values() if dim not in {*paired, "drg_adrg"}]


def faulty_world() -> Json:
    """Every case's organisation, grant and region in one directory."""
    documents = world()
    for scenario, code in CASES:
        called = names(scenario, code)
        documents["tenants"][called.tenant] = documents["tenants"][tenant(scenario)] | TENANT.get(
            code, {}
        )
        documents["grants"][called.tenant] = {
            called.grant: documents["grants"][tenant(scenario)][grant(scenario)]
            | {"id": called.grant, "tenant": called.tenant, "regions": ["990000"]}
            | GRANT.get(code, {})
        }
    documents["regions"] |= _regions()
    return documents


def _regions() -> Json:
    city: Json = {"level": "city", "insured": 3_000_000, "data_open": True, "pilot": ["SC08"]}
    closed = [str(year) for year in range(2020, 2027)]
    return {
        "990000": {"pilot": ["SC08"]},
        "980100": city,
        "990300": city | {"parent": "990000", "insured": 1},
        "990400": city | {"parent": "990000", "blackout": closed},
        "990500": city | {"parent": "990000", "data_open": False},
    }


def stopped_world(kind: str) -> Json:
    """An emergency stop for every scenario, or for every service."""
    documents = world()
    targets = PLANS if kind == "scenario" else {plan.service: None for plan in PLANS.values()}
    stop = {"since": "2026-03-01", "reason": "drill"}
    documents["stops"][kind] = dict.fromkeys(targets, stop)
    return documents


def raised_services(code: str) -> Json:
    """The catalogue at fault: output above every level, columns of the special level; or one that
    offers nothing in bulk."""
    found: Json = {}
    for name, service in services().items():
        if code == "D408":
            found[name] = service | {"bulk": False}
        elif code == "D701":
            found[name] = service | {"output_level": "L5"}
        else:
            columns: dict[str, Any] = {
                field: column | {"level": "L5"} for field, column in service["columns"].items()
            }
            found[name] = service | {"columns": columns}
    return found


@cache
def known_codes() -> frozenset[str]:
    """The codes the rules can give, as their files declare them, but for the form of a question."""
    found = {
        word.strip('"')
        for path in POLICIES.rglob("*.rego")
        if not path.name.endswith("_test.rego")
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.startswith("deny contains")
        for word in line.split()
        if word.startswith('"D')
    }
    return frozenset(found - {"D000"})
