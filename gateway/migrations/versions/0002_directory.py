"""Tables of FAPI identity: the directory's products, statements, and richer tenants and clients."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _tenants()
    _clients()
    op.add_column("grant_", _text("entered_by", default=""))
    _products()


def _text(name: str, length: int = 200, *, default: str | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=False, server_default=default)


def _maybe(name: str, kind: Any) -> sa.Column[Any]:  # Any: any column type
    return sa.Column(name, kind, nullable=True)


def _json(name: str, default: str | None = None) -> sa.Column[object]:
    return sa.Column(name, sa.JSON(), nullable=False, server_default=default)


def _instant(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _tenants() -> None:
    for column in (
        _text("contact", default=""),
        _maybe("termination_date", sa.Date()),
        _maybe("cut_off_date", sa.Date()),
        _text("cut_off_strategy", default="historical"),
    ):
        op.add_column("tenant", column)


def _clients() -> None:
    for column in (
        _maybe("product_id", sa.String(200)),
        _maybe("jwks_uri", sa.String(500)),
        _json("redirect_uris", "[]"),
        _json("grant_types", '["client_credentials"]'),
        _text("auth_method", default="private_key_jwt"),
        _maybe("tls_subject_dn", sa.String(500)),
        _maybe("tls_san_dns", sa.String(200)),
        _text("binding", default="dpop"),
        sa.Column("message_signing", sa.Boolean(), nullable=False, server_default=sa.false()),
        _maybe("registration_digest", sa.String(64)),
    ):
        op.add_column("client", column)
    op.create_index("ix_client_product_id", "client", ["product_id"])


def _products() -> None:
    op.create_table(
        "software_product",
        *(_text(name) for name in ("id", "tenant_id", "name_zh", "name_en")),
        _text("logo_uri", 500),
        _text("status"),
        _json("redirect_uris"),
        _json("jwks"),
        _maybe("jwks_uri", sa.String(500)),
        _text("security_contact"),
        _instant("created_at"),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name="fk_software_product_tenant_id_tenant"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_software_product"),
    )
    op.create_index("ix_software_product_tenant_id", "software_product", ["tenant_id"])
    op.create_table(
        "software_statement",
        _text("jti"),
        _text("product_id"),
        _instant("expires_at"),
        _instant("used_at", nullable=True),
        sa.ForeignKeyConstraint(
            ["product_id"],
            ["software_product.id"],
            name="fk_software_statement_product_id_software_product",
        ),
        sa.PrimaryKeyConstraint("jti", name="pk_software_statement"),
    )
    op.create_index("ix_software_statement_product_id", "software_statement", ["product_id"])
    op.create_index("ix_software_statement_expires_at", "software_statement", ["expires_at"])
    op.create_table(
        "fetched_keys",
        _text("client_id"),
        _instant("good_at"),
        _instant("tried_at"),
        sa.Column("failure", sa.String(200), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"], ["client.id"], name="fk_fetched_keys_client_id_client"
        ),
        sa.PrimaryKeyConstraint("client_id", name="pk_fetched_keys"),
    )
