"""Operational tables of the gateway: the directory, its keys, replay guard and change records.

Types are the common ground of SQLite and PostgreSQL. Rows stay inside the modules that read and
write them (`gateway.identity.store`, `changes`, `keyring`, `replay`); values leave as dataclasses.
"""

from __future__ import annotations

from datetime import UTC, date, datetime

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

_NAMES = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """An instant: aware on the way in, UTC on the way out, whatever the engine keeps."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("an instant needs its time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None or value.tzinfo is not None:
            return value
        return value.replace(tzinfo=UTC)


class Table(DeclarativeBase):
    """Root of the gateway's own metadata."""

    metadata = sa.MetaData(naming_convention=_NAMES)
    type_annotation_map = {  # noqa: RUF012 — SQLAlchemy reads a plain dict here
        str: sa.String(200),
        datetime: UtcDateTime(),
        dict[str, object]: sa.JSON(),
        list[str]: sa.JSON(),
        list[dict[str, object]]: sa.JSON(),
    }


class TenantRow(Table):
    """An organisation that may be granted scenarios (SPEC §6.3 `tenant`)."""

    __tablename__ = "tenant"

    id: Mapped[str] = mapped_column(primary_key=True)
    type: Mapped[str]
    name: Mapped[str]
    uscc: Mapped[str]
    status: Mapped[str]
    env: Mapped[str]
    crypto: Mapped[str]
    data_security_officer: Mapped[str]
    qualifications: Mapped[list[dict[str, object]]]
    source_ips: Mapped[list[str]]
    cert_thumbprints: Mapped[list[str]]
    contact: Mapped[str]
    termination_date: Mapped[date | None]
    cut_off_date: Mapped[date | None]
    cut_off_strategy: Mapped[str]
    credit_limit_fen: Mapped[int | None] = mapped_column(sa.BigInteger)
    signed_requests: Mapped[bool]
    created_at: Mapped[datetime]


class ClientRow(Table):
    """A client of a tenant: public keys only, each pinned to one algorithm."""

    __tablename__ = "client"

    id: Mapped[str] = mapped_column(primary_key=True)
    tenant_id: Mapped[str] = mapped_column(sa.ForeignKey("tenant.id"), index=True)
    name: Mapped[str]
    jwks: Mapped[dict[str, object]]
    algs: Mapped[list[str]]
    status: Mapped[str]
    product_id: Mapped[str | None] = mapped_column(index=True)
    jwks_uri: Mapped[str | None] = mapped_column(sa.String(500))
    redirect_uris: Mapped[list[str]]
    grant_types: Mapped[list[str]]
    auth_method: Mapped[str]
    tls_subject_dn: Mapped[str | None] = mapped_column(sa.String(500))
    tls_san_dns: Mapped[str | None]
    binding: Mapped[str]
    message_signing: Mapped[bool]
    answer_encryption: Mapped[str | None] = mapped_column(sa.String(40))
    registration_digest: Mapped[str | None] = mapped_column(sa.String(64))
    created_at: Mapped[datetime]


class GrantRow(Table):
    """A scenario licence of a tenant (SPEC §6.3 `grant`)."""

    __tablename__ = "grant_"

    id: Mapped[str] = mapped_column(primary_key=True)
    tenant_id: Mapped[str] = mapped_column(sa.ForeignKey("tenant.id"), index=True)
    scenario: Mapped[str]
    product_name: Mapped[str]
    purpose_text: Mapped[str] = mapped_column(sa.Text)
    regions: Mapped[list[str]]
    services: Mapped[list[str]]
    dims: Mapped[list[str]]
    measures: Mapped[list[str]]
    valid_from: Mapped[date]
    valid_to: Mapped[date]
    approved_by: Mapped[list[str]]
    providers: Mapped[list[str]]
    price_plan: Mapped[str]
    agreement_hash: Mapped[str]
    status: Mapped[str]
    entered_by: Mapped[str]
    credit_limit_fen: Mapped[int | None] = mapped_column(sa.BigInteger)
    enrolment_list_hash: Mapped[str | None] = mapped_column(sa.String(64))
    own_institution: Mapped[str | None] = mapped_column(sa.String(12))
    created_at: Mapped[datetime]


class RegionFlagRow(Table):
    """What the bureau overrides in the region document of one admdvs (open, pilot, blackout)."""

    __tablename__ = "region_flag"

    admdvs: Mapped[str] = mapped_column(sa.String(6), primary_key=True)
    flags: Mapped[dict[str, object]]
    updated_at: Mapped[datetime]


class SigningKeyRow(Table):
    """Public half and life of a token-signing key; the private half is a file under `home/keys`."""

    __tablename__ = "signing_key"

    kid: Mapped[str] = mapped_column(primary_key=True)
    alg: Mapped[str]
    public_jwk: Mapped[dict[str, object]]
    status: Mapped[str]
    created_at: Mapped[datetime]
    keep_until: Mapped[datetime | None]


class AssertionJtiRow(Table):
    """Client assertions already used, until they would be refused as expired anyway."""

    __tablename__ = "assertion_jti"

    digest: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)


class Counted:
    """A table of one row whose number grows by one in the transaction of every change."""

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    revision: Mapped[int]


class RevisionRow(Counted, Table):
    """Number of changes of the directory, so that caches know when to reload."""

    __tablename__ = "directory_revision"


class StopRow(Table):
    """An emergency stop that is on: nothing of this tenant, scenario, service, region or person
    leaves."""

    __tablename__ = "stop_flag"

    kind: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    target: Mapped[str] = mapped_column(primary_key=True)
    reason: Mapped[str] = mapped_column(sa.Text)
    since: Mapped[datetime]
    set_by: Mapped[str]


class Chained:
    """Who did what to what: append-only, each entry holding the hash of the one before."""

    revision: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    actor: Mapped[str]
    action: Mapped[str]
    entity: Mapped[str]
    entity_id: Mapped[str]
    reason: Mapped[str] = mapped_column(sa.Text)
    before_hash: Mapped[str] = mapped_column(sa.String(64))
    after_hash: Mapped[str] = mapped_column(sa.String(64))
    prev_hash: Mapped[str] = mapped_column(sa.String(64))
    hash: Mapped[str] = mapped_column(sa.String(64))


class DirectoryAuditRow(Chained, Table):
    """Who changed what in the directory, in the change's transaction."""

    __tablename__ = "directory_audit"
