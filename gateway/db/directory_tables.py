"""Tables of the directory's products: software of a tenant, its statements, its fetched keys."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from gateway.db.tables import Table


class ProductRow(Table):
    """A software product of a tenant: what a software statement may be issued for."""

    __tablename__ = "software_product"

    id: Mapped[str] = mapped_column(primary_key=True)
    tenant_id: Mapped[str] = mapped_column(sa.ForeignKey("tenant.id"), index=True)
    name_zh: Mapped[str]
    name_en: Mapped[str]
    logo_uri: Mapped[str] = mapped_column(sa.String(500))
    status: Mapped[str]
    redirect_uris: Mapped[list[str]]
    jwks: Mapped[dict[str, object]]
    jwks_uri: Mapped[str | None] = mapped_column(sa.String(500))
    security_contact: Mapped[str]
    created_at: Mapped[datetime]


class StatementRow(Table):
    """A software statement that was issued; good for one registration, then used."""

    __tablename__ = "software_statement"

    jti: Mapped[str] = mapped_column(primary_key=True)
    product_id: Mapped[str] = mapped_column(sa.ForeignKey("software_product.id"), index=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)
    used_at: Mapped[datetime | None]


class FetchedKeysRow(Table):
    """How the last fetches of a client's `jwks_uri` went; the keys lie with the client."""

    __tablename__ = "fetched_keys"

    client_id: Mapped[str] = mapped_column(sa.ForeignKey("client.id"), primary_key=True)
    good_at: Mapped[datetime]
    tried_at: Mapped[datetime]
    failure: Mapped[str]
