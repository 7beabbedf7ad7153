"""Values of the directory: tenants, clients, grants, stops, and their allowed changes of state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal, TypeAlias

Document: TypeAlias = dict[str, object]
"""A JSON object handed to the policy engine or printed for people."""

TenantStatus: TypeAlias = Literal["active", "suspended"]
ClientStatus: TypeAlias = Literal["active", "disabled"]
GrantStatus: TypeAlias = Literal["draft", "review", "active", "suspended", "revoked"]
StopKind: TypeAlias = Literal["tenant", "scenario", "service", "region"]

STOP_KINDS: tuple[StopKind, ...] = ("tenant", "scenario", "service", "region")
EVERYTHING = "*"

TENANT_TRANSITIONS: Mapping[str, frozenset[str]] = {
    "active": frozenset({"suspended"}),
    "suspended": frozenset({"active"}),
}
CLIENT_TRANSITIONS: Mapping[str, frozenset[str]] = {
    "active": frozenset({"disabled"}),
    "disabled": frozenset(),
}
GRANT_TRANSITIONS: Mapping[str, frozenset[str]] = {
    "draft": frozenset({"review", "revoked"}),
    "review": frozenset({"active", "revoked"}),
    "active": frozenset({"suspended", "revoked"}),
    "suspended": frozenset({"active", "revoked"}),
    "revoked": frozenset(),
}


@dataclass(frozen=True, slots=True)
class Qualification:
    """Evidence a tenant has shown; `valid_to` is its last valid day."""

    code: str
    valid_to: date
    evidence_hash: str

    def document(self) -> Document:
        return {
            "code": self.code,
            "valid_to": self.valid_to.isoformat(),
            "evidence_hash": self.evidence_hash,
        }


@dataclass(frozen=True, slots=True)
class Tenant:
    """An organisation in the directory."""

    id: str
    type: str
    name: str
    uscc: str
    status: str
    env: str
    crypto: str
    data_security_officer: str
    qualifications: tuple[Qualification, ...]
    source_ips: tuple[str, ...]
    cert_thumbprints: tuple[str, ...]

    def document(self) -> Document:
        """The policy document of SPEC §6.3."""
        return {
            "type": self.type,
            "name": self.name,
            "uscc": self.uscc,
            "status": self.status,
            "env": self.env,
            "crypto": self.crypto,
            "data_security_officer": self.data_security_officer,
            "qualifications": [each.document() for each in self.qualifications],
            "source_ips": list(self.source_ips),
            "cert_thumbprints": list(self.cert_thumbprints),
        }


@dataclass(frozen=True, slots=True)
class Client:
    """A machine client: its public keys as registered, one algorithm each."""

    id: str
    tenant_id: str
    name: str
    jwks: Document
    algs: tuple[str, ...]
    status: str

    def document(self) -> Document:
        return {
            "id": self.id,
            "tenant": self.tenant_id,
            "name": self.name,
            "jwks": self.jwks,
            "algs": list(self.algs),
            "status": self.status,
        }


@dataclass(frozen=True, slots=True)
class Grant:
    """A scenario licence: what one tenant may ask, at most what its scenario allows.

    `["*"]` in regions, dims or measures means everything the scenario allows there.
    """

    id: str
    tenant: str
    scenario: str
    product_name: str
    purpose_text: str
    regions: tuple[str, ...]
    services: tuple[str, ...]
    dims: tuple[str, ...]
    measures: tuple[str, ...]
    valid_from: date
    valid_to: date
    approved_by: tuple[str, ...]
    providers: tuple[str, ...]
    price_plan: str
    agreement_hash: str
    status: str

    def is_active(self, today: date) -> bool:
        """True on a day on which the grant may be used, as far as the grant itself decides."""
        return self.status == "active" and self.valid_from <= today <= self.valid_to

    def document(self) -> Document:
        """The policy document of SPEC §6.3."""
        return {
            "id": self.id,
            "tenant": self.tenant,
            "scenario": self.scenario,
            "product_name": self.product_name,
            "purpose_text": self.purpose_text,
            "regions": list(self.regions),
            "services": list(self.services),
            "dims": list(self.dims),
            "measures": list(self.measures),
            "valid_from": self.valid_from.isoformat(),
            "valid_to": self.valid_to.isoformat(),
            "approved_by": list(self.approved_by),
            "providers": list(self.providers),
            "price_plan": self.price_plan,
            "agreement_hash": self.agreement_hash,
            "status": self.status,
        }


@dataclass(frozen=True, slots=True)
class Stop:
    """An emergency stop that is on."""

    kind: str
    target: str
    reason: str
    since: str

    def document(self) -> Document:
        return {"reason": self.reason, "since": self.since}
