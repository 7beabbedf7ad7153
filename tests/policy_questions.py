"""Generated questions for comparing engines: sound, faulty, and of the wrong form."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import orjson

from tests.policy_factory import Json, ask
from tests.policy_scenarios import AT, CONSENTED, PLANS, consent, given, golden, grant, services

# Values an attribute may take; every gate before the rules lets them through.
CHOICES: dict[str, list[Any]] = {
    "dims": [["gend"], ["age10", "gend"], ["insutype2", "benefit5"], ["postcode"], [], ["atc"]],
    "measures": [[], ["medfee"], ["persons", "medfee"], ["profit"], ["stays"], ["patients", "ddd"]],
    "geo": [["990100"], ["990100", "990101"], ["990104"], ["990200"], ["110000"], []],
    "period": [
        *AT.values(),
        {"from": "2019", "to": "2019", "grain": "year"},
        {"from": "2025Q4", "to": "2026Q1", "grain": "quarter"},
        {"from": "2025Q3", "to": "2025Q1", "grain": "quarter"},
        {"from": "2025", "to": "2025-12", "grain": "month"},
        {"from": "2026-03", "to": "2026-03", "grain": "month"},
    ],
    "where": [{}, {"gend": "1"}, {"dx_cat3": "B20"}, {"atc": "J05AR"}, {"gend": "女 \u2028 <&>"}],
    "levels": [{}, {"atc": 3}, {"gend": 1}],
    "fields": [[], ["coverage_status"], ["setl_ref"], ["psn_name"]],
    "params": [
        {},
        {"k": 1},
        {"claim_ref": "claim-1"},
        {"policy_ref": "policy-1"},
        {"policy_ref": "policy-2"},
        {"claim_ref": "claim-2", "declared_use": "marketing_to_individuals"},
        {"basis": True},
    ],
    "service": [*sorted(services()), "S99"],
    "version": ["1.0", "v1", "9.9"],
    "op": ["cells", "report", "verify", "job", "lookup"],
    "format": ["json", "csv", "arrow", "parquet", "pdf", "metrics_json"],
    "purpose_code": ["curiosity", "reidentification", "claim_verification", "public_information"],
    "env": ["prod", "sandbox"],
    "grant_id": [grant("SC01"), grant("SC09"), "g-none"],
    "bulk": [True, False],
    "qty_estimate": [0, 24, 10**7],
    "usage": [
        {},
        {"rps": 5},
        {"calls_day": 2000},
        {"cells_day": 199_990},
        {"cells_month": 10**7},
        {"persons_day": 10_000},
        {"calls_per_person_day": 5, "queries_per_study": 60, "queries_month": 100},
        {"reports_month": 10, "downloads_month": 5, "datasets_month": 10},
        {"revenue_year_fen": 10**9},
        {"smallest_difference": 19},
        {"smallest_difference": 20},
        {"epsilon_spent_micro": 7_500_000},
        {"spent_month_fen": 90, "estimate_fen": 11},
        {"tenant_spent_month_fen": 90, "estimate_fen": 10},
    ],
    "epsilon_micro": [0, 500_000, 500_001, 9_000_000],
    "subject_stopped": [False, True],
    "user": [{"id": "u", "role": "analyst", "mfa": True}, {"id": "u", "role": "root", "mfa": True}],
    "tenant": [
        {"id": "t-sc01", "cert_thumbprint": "x", "ip": "192.0.2.11"},
        {"id": "t-none", "ip": "192.0.2.10"},
        {"id": "t-sc05", "ip": "203.0.113.9"},
        {"id": "t-sc09", "ip": "2001:db8::1"},
    ],
    "destination": ["CN", "US"],
    "release": [None, "rel-1", "rel-withdrawn"],
    "consent_id": [None, consent("SC03"), consent("SC10"), "c-none"],
    "consent": [None, given("SC03"), given("SC04"), given("SC10")],
    "subject_ref": [None, "subject-1", "subject-2"],
    "time": [
        "2026-03-10T04:00:00Z",
        "2025-12-31T15:59:59.999999Z",
        "2025-12-31T16:00:00Z",
        "2026-12-31T23:59:59+08:00",
        "2027-01-01T00:00:00+08:00",
        "2026-03-31T16:00:00Z",
        "2028-02-29T12:00:00Z",
    ],
}
# What a consent may say; a scenario that needs one has its own changed by one of them.
CONSENTS: list[Json] = [
    {"state": "REVOKED"},
    {"state": "AWAITING_PERSON", "valid_from": None, "valid_to": None, "subject_ref": None},
    {"receiver": "t-other"},
    {"scenario": "SC06"},
    {"services": ["S01"]},
    {"scopes": []},
    {"scopes": ["SETL", "DX", "DX_SENSITIVE"]},
    {"scopes": ["ADJUDICATE", "SELF", "LINK_FOR_EVALUATION"]},
    {"valid_from": datetime(2025, 12, 10, 4, tzinfo=UTC)},
    {"valid_to": datetime(2026, 3, 10, 4, tzinfo=UTC)},
    {"valid_to": datetime(2026, 3, 10, 4, 0, 0, 1, tzinfo=UTC)},
    {"window_to": date(2024, 12, 31)},
    {"window_from": date(2025, 9, 30)},
    {"uses": 5, "uses_max": 9},
    {"uses": 4, "uses_max": 4},
    {"minor": True},
    {"minor": True, "guardian_relation": "mother"},
    {"subject_ref": "subject-2"},
    {"claim_ref": "", "policy_ref": ""},
]
WRONG: list[Any] = [None, 7, -1, 1.5, "x", "", [], {}, True, ["x"], {"x": 1}, [[]], 10**18]
PARTS = ("tenant", "user", "period", "usage", "consent")


def well_formed(chance: random.Random, number: int) -> Iterator[Json]:
    """Questions every gate lets through, each with up to three attributes changed."""
    for _ in range(number):
        scenario = chance.choice([*sorted(PLANS), *CONSENTED])
        base = golden(scenario)
        changed = chance.sample(sorted(CHOICES), chance.choice((0, 1, 1, 2, 3)))
        change = {name: chance.choice(CHOICES[name]) for name in changed}
        if "usage" in change:
            change["usage"] = base["usage"] | change["usage"]
        if scenario in CONSENTED and chance.random() < 0.4:
            change["consent"] = given(scenario) | chance.choice(CONSENTS)
        if "time" in change:
            change["time"] = datetime.fromisoformat(change["time"])
        question: Json = orjson.loads(ask(base, **change).question())
        yield question


def mutated(chance: random.Random, number: int) -> Iterator[Json]:
    """Questions with one attribute, of the whole or of a part, missing, added or wrong."""
    for question in well_formed(chance, number):
        parts = [question[part] for part in PARTS if question[part] is not None]
        place = chance.choice([question, question, *parts])
        name = chance.choice(sorted(place))
        kind = chance.random()
        if kind < 0.3:
            del place[name]
        elif kind < 0.4:
            place["novel"] = chance.choice(WRONG)
        else:
            place[name] = chance.choice(WRONG)
        yield question
