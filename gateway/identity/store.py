"""Rows to values and back: the only place that knows how the directory lies in its tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.db.tables import (
    ClientRow,
    GrantRow,
    RegionFlagRow,
    RevisionRow,
    StopRow,
    TenantRow,
)
from gateway.identity.model import Client, Document, Grant, Qualification, Stop, Tenant


@dataclass(frozen=True)
class Contents:
    """Everything the directory holds, read in one transaction."""

    revision: int
    tenants: Mapping[str, Tenant]
    clients: Mapping[str, Client]
    grants: Mapping[str, Grant]
    region_flags: Mapping[str, Document]
    stops: tuple[Stop, ...]


def read_revision(session: Session) -> int:
    """Number of changes the directory has seen."""
    return session.scalars(sa.select(RevisionRow.revision)).one()


def read_contents(session: Session) -> Contents:
    """The whole directory at one revision."""
    return Contents(
        revision=read_revision(session),
        tenants={row.id: tenant_of(row) for row in session.scalars(sa.select(TenantRow))},
        clients={row.id: client_of(row) for row in session.scalars(sa.select(ClientRow))},
        grants={row.id: grant_of(row) for row in session.scalars(sa.select(GrantRow))},
        region_flags={row.admdvs: row.flags for row in session.scalars(sa.select(RegionFlagRow))},
        stops=tuple(stop_of(row) for row in session.scalars(sa.select(StopRow))),
    )


def tenant_of(row: TenantRow) -> Tenant:
    return Tenant(
        id=row.id,
        type=row.type,
        name=row.name,
        uscc=row.uscc,
        status=row.status,
        env=row.env,
        crypto=row.crypto,
        data_security_officer=row.data_security_officer,
        qualifications=tuple(_qualification(each) for each in row.qualifications),
        source_ips=tuple(row.source_ips),
        cert_thumbprints=tuple(row.cert_thumbprints),
    )


def _qualification(document: Mapping[str, Any]) -> Qualification:
    return Qualification(
        code=document["code"],
        valid_to=date.fromisoformat(document["valid_to"]),
        evidence_hash=document["evidence_hash"],
    )


def tenant_row(tenant: Tenant, now: datetime) -> TenantRow:
    return TenantRow(
        id=tenant.id,
        type=tenant.type,
        name=tenant.name,
        uscc=tenant.uscc,
        status=tenant.status,
        env=tenant.env,
        crypto=tenant.crypto,
        data_security_officer=tenant.data_security_officer,
        qualifications=[each.document() for each in tenant.qualifications],
        source_ips=list(tenant.source_ips),
        cert_thumbprints=list(tenant.cert_thumbprints),
        created_at=now,
    )


def client_of(row: ClientRow) -> Client:
    return Client(
        id=row.id,
        tenant_id=row.tenant_id,
        name=row.name,
        jwks=row.jwks,
        algs=tuple(row.algs),
        status=row.status,
    )


def client_row(client: Client, now: datetime) -> ClientRow:
    return ClientRow(
        id=client.id,
        tenant_id=client.tenant_id,
        name=client.name,
        jwks=client.jwks,
        algs=list(client.algs),
        status=client.status,
        created_at=now,
    )


def grant_of(row: GrantRow) -> Grant:
    return Grant(
        id=row.id,
        tenant=row.tenant_id,
        scenario=row.scenario,
        product_name=row.product_name,
        purpose_text=row.purpose_text,
        regions=tuple(row.regions),
        services=tuple(row.services),
        dims=tuple(row.dims),
        measures=tuple(row.measures),
        valid_from=row.valid_from,
        valid_to=row.valid_to,
        approved_by=tuple(row.approved_by),
        providers=tuple(row.providers),
        price_plan=row.price_plan,
        agreement_hash=row.agreement_hash,
        status=row.status,
    )


def grant_row(grant: Grant, now: datetime) -> GrantRow:
    return GrantRow(
        id=grant.id,
        tenant_id=grant.tenant,
        scenario=grant.scenario,
        product_name=grant.product_name,
        purpose_text=grant.purpose_text,
        regions=list(grant.regions),
        services=list(grant.services),
        dims=list(grant.dims),
        measures=list(grant.measures),
        valid_from=grant.valid_from,
        valid_to=grant.valid_to,
        approved_by=list(grant.approved_by),
        providers=list(grant.providers),
        price_plan=grant.price_plan,
        agreement_hash=grant.agreement_hash,
        status=grant.status,
        created_at=now,
    )


def stop_of(row: StopRow) -> Stop:
    return Stop(row.kind, row.target, row.reason, row.since.isoformat())
