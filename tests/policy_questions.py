"""Generated questions for comparing engines: sound, faulty, and of the wrong form."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import orjson

from tests.policy_factory import Json, ask
from tests.policy_scenarios import AT, PLANS, consent, golden, grant, services

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
    "usage": [{}, {"rps": 5}, {"calls_day": 2000}, {"cells_day": 199_990}, {"cells_month": 10**7}],
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
WRONG: list[Any] = [None, 7, -1, 1.5, "x", "", [], {}, True, ["x"], {"x": 1}, [[]], 10**18]
PARTS = ("tenant", "user", "period", "usage")


def well_formed(chance: random.Random, number: int) -> Iterator[Json]:
    """Questions every gate lets through, each with up to three attributes changed."""
    for _ in range(number):
        base = golden(chance.choice(sorted(PLANS)))
        changed = chance.sample(sorted(CHOICES), chance.randint(0, 3))
        change = {name: chance.choice(CHOICES[name]) for name in changed}
        if "time" in change:
            change["time"] = datetime.fromisoformat(change["time"])
        question: Json = orjson.loads(ask(base, **change).question())
        yield question


def mutated(chance: random.Random, number: int) -> Iterator[Json]:
    """Questions with one attribute, of the whole or of a part, missing, added or wrong."""
    for question in well_formed(chance, number):
        place = chance.choice([question, question, *(question[part] for part in PARTS)])
        name = chance.choice(sorted(place))
        kind = chance.random()
        if kind < 0.3:
            del place[name]
        elif kind < 0.4:
            place["novel"] = chance.choice(WRONG)
        else:
            place[name] = chance.choice(WRONG)
        yield question
