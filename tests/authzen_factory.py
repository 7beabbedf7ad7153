"""A system of the bureau that asks for decisions, and the evaluation that is allowed."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import httpx
import orjson

from gateway.identity.desk import Identity
from tests.factories_identity import Machine, add_client, add_tenant, new_key, public
from tests.gateway_factory import Gateway

Json = dict[str, Any]

BUREAU = "bureau-desk"
ALLOWED: Json = {
    "subject": {"type": "client", "id": "ins-app", "properties": {"ip": "127.0.0.1"}},
    "action": {"name": "cells"},
    "resource": {
        "type": "data-service",
        "id": "S02",
        "properties": {"dims": ["insutype2", "benefit5"], "measures": ["medfee"]},
    },
    "context": {
        "purpose": "actuarial_pricing_and_reserving",
        "period": {"from": "2024Q1", "to": "2024Q4", "grain": "quarter"},
        "geo": ["990100"],
        "grant_id": "G-T-INS",
        "cells": 48,
    },
}


def changed(**parts: Mapping[str, object]) -> Json:
    """The allowed evaluation with some attributes of its parts replaced; None takes one away."""
    asked = deepcopy(ALLOWED)
    for part, attributes in parts.items():
        holder = asked["context"] if part == "context" else asked[part].setdefault("properties", {})
        holder |= attributes
        for name in [name for name, value in attributes.items() if value is None]:
            del holder[name]
    return asked


def enter_bureau(gateway: Gateway, client: str = BUREAU, kind: str = "bureau") -> str:
    """Register an organisation of that kind with one machine; the client's id."""
    identity: Identity = gateway.app.state.identity
    key = new_key()
    add_tenant(identity, f"T-{client}", kind=kind)
    add_client(identity, client, f"T-{client}", public(key))
    machines: Any = gateway.machines
    machines[client] = Machine(client, key, gateway.settings.base_url)
    identity.directory.refresh()
    return client


def evaluate(
    gateway: Gateway,
    body: object,
    client: str = BUREAU,
    path: str = "evaluation",
    headers: Mapping[str, str] | None = None,
) -> httpx.Response:
    """One call of the decision point."""
    address = f"/access/v1/{path}"
    return gateway.http.post(address, json=body, auth=gateway.auth(client), headers=headers)


def recorded(gateway: Gateway) -> list[Json]:
    """The evaluations on record, oldest first: the audit event with its decision and usage."""
    with sqlite3.connect(gateway.settings.journal) as db:
        rows = db.execute(
            "SELECT a.body, d.body, u.unit, u.qty, u.price_micro FROM audit_event a "
            "JOIN decision d USING (seq) LEFT JOIN usage_event u USING (seq) "
            "WHERE a.kind = 'decision' ORDER BY seq"
        ).fetchall()
    return [
        {"audit": orjson.loads(audit), "decision": orjson.loads(decision), "usage": tuple(usage)}
        for audit, decision, *usage in rows
    ]
