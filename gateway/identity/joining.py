"""Self-service of the sandbox: an organisation, its client and its grant, made in one transaction.

Everything there is made up, so nobody of the office has to look: what a developer gets is scenario
SC12, narrowed by the same checks as every grant, and recorded under names that say it was a rule.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.db.tables import TenantRow
from gateway.errors import OperatorError, TooMany
from gateway.identity.changes import register_client, register_tenant
from gateway.identity.entries import GrantEntry, TenantEntry
from gateway.identity.grants import approve_grant, enter_grant
from gateway.identity.narrowing import Boundaries
from gateway.identity.record import Act

SCENARIO: Final = "SC12"
RULES: Final = ("sandbox: self-service", "sandbox: synthetic data only", "sandbox: any account")
"""Who entered the grant and who approved it: the rules of SC12, not persons."""
_LIFE: Final = timedelta(days=364)
_INVENTED: Final = ("98", "99")
_PREFIX: Final = "DEV-"
MOST: Final = 5000
"""Organisations that signed themselves up; more are entered by the office."""


@dataclass(frozen=True)
class Newcomer:
    """Who signs up: a name, public keys, the address that may ask from now on, and the credit
    number that a conformance report is to name."""

    name: str
    jwks: object
    address: str
    uscc: str = ""


@dataclass(frozen=True)
class Joined:
    """What a developer is told."""

    tenant_id: str
    client_id: str
    grant_id: str


def join(session: Session, act: Act, newcomer: Newcomer, bounds: Boundaries) -> Joined:
    """Enter an organisation with a client of these public keys, and its grant; raises
    `OperatorError` for what the directory does not take."""
    count = session.scalar(
        sa.select(sa.func.count()).select_from(TenantRow).where(TenantRow.id.startswith(_PREFIX))
    )
    if (count or 0) >= MOST:
        raise TooMany("sandbox_full", "Ask the data office for access.", "请联系数据管理部门。")
    tenant_id = f"{_PREFIX}{secrets.token_hex(6)}"
    made = Joined(tenant_id, f"{tenant_id}-app", f"G-{tenant_id}")
    acted = Act(RULES[0], act.at, act.reason, act.source)
    register_tenant(session, acted, _organisation(tenant_id, newcomer, act, bounds))
    register_client(
        session,
        acted,
        client_id=made.client_id,
        tenant_id=tenant_id,
        name=newcomer.name,
        jwks=newcomer.jwks,
    )
    enter_grant(session, acted, _grant(made, act, bounds), bounds)
    for rule in RULES[1:]:
        approve_grant(session, Act(rule, act.at, act.reason, act.source), made.grant_id, bounds)
    return made


def _organisation(tenant_id: str, newcomer: Newcomer, act: Act, bounds: Boundaries) -> TenantEntry:
    wanted = bounds.scenarios[SCENARIO]["qualification"]
    until = (act.at + _LIFE).date()
    shown = {"valid_to": until, "evidence_hash": _digest(newcomer.name)}
    return TenantEntry.model_validate(
        {
            "id": tenant_id,
            "type": "developer",
            "name": newcomer.name,
            "uscc": newcomer.uscc,
            "source_ips": [newcomer.address],
            "env": "sandbox",
            "qualifications": [{"code": each, **shown} for each in wanted],
        }
    )


def _grant(made: Joined, act: Act, bounds: Boundaries) -> GrantEntry:
    services = bounds.scenarios[SCENARIO]["services"]
    regions = [each for each in bounds.regions if each.startswith(_INVENTED)]
    if not regions:
        raise OperatorError("sandbox.regions", "This gateway knows no invented region.")
    return GrantEntry.model_validate(
        {
            "id": made.grant_id,
            "tenant": made.tenant_id,
            "scenario": SCENARIO,
            "product_name": "sandbox",
            "purpose_text": "Development and testing on synthetic data.",
            "regions": regions,
            "services": [each for each in services if each in bounds.services],
            "valid_from": act.at.date(),
            "valid_to": (act.at + _LIFE).date(),
            "price_plan": "sandbox/free",
            "agreement_hash": _digest("sandbox terms: synthetic data, labelled as such"),
        }
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
