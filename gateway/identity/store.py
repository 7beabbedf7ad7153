"""Rows to values and back: the only place that knows how the directory lies in its tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.db.directory_tables import ProductRow
from gateway.db.tables import (
    ClientRow,
    GrantRow,
    RegionFlagRow,
    RevisionRow,
    StopRow,
    TenantRow,
)
from gateway.identity.model import Client, Document, Grant, Product, Qualification, Stop, Tenant


@dataclass(frozen=True)
class Contents:
    """Everything the directory holds, read in one transaction."""

    revision: int
    tenants: Mapping[str, Tenant]
    clients: Mapping[str, Client]
    grants: Mapping[str, Grant]
    region_flags: Mapping[str, Document]
    stops: tuple[Stop, ...]
    products: Mapping[str, Product] = field(default_factory=dict)


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
        region_flags=read_region_flags(session),
        stops=read_stops(session),
        products={row.id: product_of(row) for row in session.scalars(sa.select(ProductRow))},
    )


def read_region_flags(session: Session) -> dict[str, Document]:
    """What the bureau set of its regions."""
    return {row.admdvs: row.flags for row in session.scalars(sa.select(RegionFlagRow))}


def read_stops(session: Session) -> tuple[Stop, ...]:
    """The emergency stops that are on."""
    return tuple(stop_of(row) for row in session.scalars(sa.select(StopRow)))


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
        contact=row.contact,
        termination_date=row.termination_date,
        cut_off_date=row.cut_off_date,
        cut_off_strategy=row.cut_off_strategy,
        credit_limit_fen=row.credit_limit_fen,
        signed_requests=row.signed_requests,
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
        contact=tenant.contact,
        termination_date=tenant.termination_date,
        cut_off_date=tenant.cut_off_date,
        cut_off_strategy=tenant.cut_off_strategy,
        credit_limit_fen=tenant.credit_limit_fen,
        signed_requests=tenant.signed_requests,
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
        product_id=row.product_id,
        jwks_uri=row.jwks_uri,
        redirect_uris=tuple(row.redirect_uris),
        grant_types=tuple(row.grant_types),
        auth_method=row.auth_method,
        tls_subject_dn=row.tls_subject_dn,
        tls_san_dns=row.tls_san_dns,
        binding=row.binding,
        message_signing=row.message_signing,
        answer_encryption=row.answer_encryption,
        registration_digest=row.registration_digest,
    )


def client_row(client: Client, now: datetime) -> ClientRow:
    return ClientRow(
        id=client.id,
        tenant_id=client.tenant_id,
        name=client.name,
        jwks=client.jwks,
        algs=list(client.algs),
        status=client.status,
        product_id=client.product_id,
        jwks_uri=client.jwks_uri,
        redirect_uris=list(client.redirect_uris),
        grant_types=list(client.grant_types),
        auth_method=client.auth_method,
        tls_subject_dn=client.tls_subject_dn,
        tls_san_dns=client.tls_san_dns,
        binding=client.binding,
        message_signing=client.message_signing,
        answer_encryption=client.answer_encryption,
        registration_digest=client.registration_digest,
        created_at=now,
    )


def product_of(row: ProductRow) -> Product:
    return Product(
        id=row.id,
        tenant_id=row.tenant_id,
        name_zh=row.name_zh,
        name_en=row.name_en,
        logo_uri=row.logo_uri,
        status=row.status,
        redirect_uris=tuple(row.redirect_uris),
        jwks=row.jwks,
        jwks_uri=row.jwks_uri,
        security_contact=row.security_contact,
    )


def product_row(product: Product, now: datetime) -> ProductRow:
    return ProductRow(
        id=product.id,
        tenant_id=product.tenant_id,
        name_zh=product.name_zh,
        name_en=product.name_en,
        logo_uri=product.logo_uri,
        status=product.status,
        redirect_uris=list(product.redirect_uris),
        jwks=product.jwks,
        jwks_uri=product.jwks_uri,
        security_contact=product.security_contact,
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
        entered_by=row.entered_by,
        credit_limit_fen=row.credit_limit_fen,
        enrolment_list_hash=row.enrolment_list_hash,
        own_institution=row.own_institution,
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
        entered_by=grant.entered_by,
        credit_limit_fen=grant.credit_limit_fen,
        enrolment_list_hash=grant.enrolment_list_hash,
        own_institution=grant.own_institution,
        created_at=now,
    )


def stop_of(row: StopRow) -> Stop:
    return Stop(row.kind, row.target, row.reason, row.since.isoformat())
