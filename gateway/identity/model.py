"""Values of the directory: tenants, clients, grants, stops, and their allowed changes of state."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date
from typing import Literal, TypeAlias

from gateway.identity.states import Transitions

Document: TypeAlias = dict[str, object]
"""A JSON object handed to the policy engine or printed for people."""

TenantStatus: TypeAlias = Literal["active", "suspended", "limited", "revoked"]
ClientStatus: TypeAlias = Literal["active", "disabled"]
GrantStatus: TypeAlias = Literal["draft", "review", "active", "suspended", "revoked", "expired"]
CutOffStrategy: TypeAlias = Literal["historical", "latest"]
AuthMethod: TypeAlias = Literal["private_key_jwt", "tls_client_auth"]
Binding: TypeAlias = Literal["dpop", "mtls"]
GrantType: TypeAlias = Literal["client_credentials", "authorization_code", "refresh_token"]
StopKind: TypeAlias = Literal["tenant", "scenario", "service", "region", "brake", "person"]

PERSON: StopKind = "person"
"""The kind of stop whose targets are many and secret: not in the policy's data, nor in a list."""
BRAKE: StopKind = "brake"
"""The kind of stop that leaves its tenant a part of its quotas (`limits.brake`)."""
OPEN_STOP_KINDS: tuple[StopKind, ...] = ("tenant", "scenario", "service", "region", BRAKE)
STOP_KINDS: tuple[StopKind, ...] = (*OPEN_STOP_KINDS, PERSON)
OF_ALARM = "sluice-detection"
"""Who raises the stops of alarms; such a stop ends with its alarm, by as many people as needed."""
EVERYTHING = "*"
HEARD_TENANTS = frozenset({"active", "limited"})
"""States in which a tenant's clients get tokens; what a limited one may ask, the policy decides."""

TENANT_TRANSITIONS: Transitions = {
    "active": frozenset({"suspended", "limited", "revoked"}),
    "suspended": frozenset({"active", "limited", "revoked"}),
    "limited": frozenset({"active", "suspended", "revoked"}),
    "revoked": frozenset(),
}
CLIENT_TRANSITIONS: Transitions = {
    "active": frozenset({"disabled"}),
    "disabled": frozenset(),
}
PRODUCT_TRANSITIONS: Transitions = {
    "active": frozenset({"suspended", "revoked"}),
    "suspended": frozenset({"active", "revoked"}),
    "revoked": frozenset(),
}
GRANT_TRANSITIONS: Transitions = {
    "draft": frozenset({"review", "revoked"}),
    "review": frozenset({"draft", "active", "revoked", "expired"}),
    "active": frozenset({"suspended", "revoked", "expired"}),
    "suspended": frozenset({"active", "revoked", "expired"}),
    "revoked": frozenset(),
    "expired": frozenset(),
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
    contact: str = ""
    termination_date: date | None = None  # from this day on the tenant may do nothing
    cut_off_date: date | None = None  # a limited tenant asks for nothing after this day
    cut_off_strategy: str = "historical"
    credit_limit_fen: int | None = None
    signed_requests: bool = False  # RFC 9421, each of them

    def document(self) -> Document:
        """The policy document of SPEC §6.3; a date that is not set is absent, never null."""
        dates = {"termination_date": self.termination_date, "cut_off_date": self.cut_off_date}
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
            "contact": self.contact,
            "cut_off_strategy": self.cut_off_strategy,
            "signed_requests": self.signed_requests,
            **{name: day.isoformat() for name, day in dates.items() if day},
            **_credit(self.credit_limit_fen),
        }


@dataclass(frozen=True, slots=True)
class Product:
    """A software product of a tenant; clients are registered for it by a software statement."""

    id: str
    tenant_id: str
    name_zh: str
    name_en: str
    logo_uri: str
    status: str
    redirect_uris: tuple[str, ...]
    jwks: Document
    jwks_uri: str | None
    security_contact: str

    def document(self) -> Document:
        return {
            "id": self.id,
            "tenant": self.tenant_id,
            "name_zh": self.name_zh,
            "name_en": self.name_en,
            "logo_uri": self.logo_uri,
            "status": self.status,
            "redirect_uris": list(self.redirect_uris),
            "jwks": self.jwks,
            "jwks_uri": self.jwks_uri,
            "security_contact": self.security_contact,
        }


@dataclass(frozen=True, slots=True)
class Client:
    """A client of a tenant: how it proves itself, what it may ask for, how its tokens are bound.

    `jwks` holds public keys only, one algorithm each; for a `jwks_uri` the keys last fetched.
    """

    id: str
    tenant_id: str
    name: str
    jwks: Document
    algs: tuple[str, ...]
    status: str
    product_id: str | None = None
    jwks_uri: str | None = None
    redirect_uris: tuple[str, ...] = ()
    grant_types: tuple[str, ...] = ("client_credentials",)
    auth_method: str = "private_key_jwt"
    tls_subject_dn: str | None = None
    tls_san_dns: str | None = None
    binding: str = "dpop"
    message_signing: bool = False
    answer_encryption: str | None = None
    registration_digest: str | None = None

    def document(self) -> Document:
        """Everything but the digest of the registration token."""
        return {
            "id": self.id,
            "tenant": self.tenant_id,
            "name": self.name,
            "jwks": self.jwks,
            "algs": list(self.algs),
            "status": self.status,
            "product": self.product_id,
            "jwks_uri": self.jwks_uri,
            "redirect_uris": list(self.redirect_uris),
            "grant_types": list(self.grant_types),
            "auth_method": self.auth_method,
            "tls_subject_dn": self.tls_subject_dn,
            "tls_san_dns": self.tls_san_dns,
            "binding": self.binding,
            "message_signing": self.message_signing,
            "answer_encryption": self.answer_encryption,
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
    entered_by: str = ""
    credit_limit_fen: int | None = None
    enrolment_list_hash: str | None = None  # of the consents of a programme's members
    own_institution: str | None = None  # whose own data a designated institution may read

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
            "entered_by": self.entered_by,
            **_credit(self.credit_limit_fen),
            **_enrolled(self.enrolment_list_hash),
            **_owning(self.own_institution),
        }


def _credit(limit: int | None) -> Document:
    """Named only where somebody set one: a document without it bounds nothing."""
    return {} if limit is None else {"credit_limit_fen": limit}


def _enrolled(list_hash: str | None) -> Document:
    """Named only where the grant has such a list."""
    return {} if list_hash is None else {"enrolment_list_hash": list_hash}


def _owning(institution: str | None) -> Document:
    """Named only where the grant is an institution's: without it nobody has own data."""
    return {} if institution is None else {"own_institution": institution}


@dataclass(frozen=True, slots=True)
class Stop:
    """An emergency stop that is on."""

    kind: str
    target: str
    reason: str
    since: str

    @property
    def name(self) -> str:
        """What lists, records and logs call its target: never who a person is."""
        return alias(self.target) if self.kind == PERSON else self.target

    def document(self) -> Document:
        return {"reason": self.reason, "since": self.since}


def alias(subject_ref: str) -> str:
    """Another name for a person, by which nobody can be found who is not known already."""
    return f"person-{hashlib.sha256(subject_ref.encode()).hexdigest()[:12]}"
