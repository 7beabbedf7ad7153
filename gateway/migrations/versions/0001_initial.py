"""The directory, its signing keys, the replay guard and the record of changes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _directory()
    _flags()
    _keys()
    _change_record()


def _text(name: str, length: int = 200) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=False)


def _json(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.JSON(), nullable=False)


def _instant(name: str, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _directory() -> None:
    op.create_table(
        "tenant",
        _text("id"),
        *(_text(name) for name in ("type", "name", "uscc", "status", "env", "crypto")),
        _text("data_security_officer"),
        *(_json(name) for name in ("qualifications", "source_ips", "cert_thumbprints")),
        _instant("created_at"),
        sa.PrimaryKeyConstraint("id", name="pk_tenant"),
    )
    op.create_table(
        "client",
        _text("id"),
        _text("tenant_id"),
        _text("name"),
        _json("jwks"),
        _json("algs"),
        _text("status"),
        _instant("created_at"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_client_tenant_id_tenant"),
        sa.PrimaryKeyConstraint("id", name="pk_client"),
    )
    op.create_index("ix_client_tenant_id", "client", ["tenant_id"])
    op.create_table(
        "grant_",
        *(_text(name) for name in ("id", "tenant_id", "scenario", "product_name")),
        sa.Column("purpose_text", sa.Text(), nullable=False),
        *(_json(name) for name in ("regions", "services", "dims", "measures")),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=False),
        *(_json(name) for name in ("approved_by", "providers")),
        *(_text(name) for name in ("price_plan", "agreement_hash", "status")),
        _instant("created_at"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_grant__tenant_id_tenant"),
        sa.PrimaryKeyConstraint("id", name="pk_grant_"),
    )
    op.create_index("ix_grant__tenant_id", "grant_", ["tenant_id"])


def _flags() -> None:
    op.create_table(
        "region_flag",
        _text("admdvs", 6),
        _json("flags"),
        _instant("updated_at"),
        sa.PrimaryKeyConstraint("admdvs", name="pk_region_flag"),
    )
    op.create_table(
        "stop_flag",
        _text("kind", 20),
        _text("target"),
        sa.Column("reason", sa.Text(), nullable=False),
        _instant("since"),
        _text("set_by"),
        sa.PrimaryKeyConstraint("kind", "target", name="pk_stop_flag"),
    )


def _keys() -> None:
    op.create_table(
        "signing_key",
        _text("kid"),
        _text("alg"),
        _json("public_jwk"),
        _text("status"),
        _instant("created_at"),
        _instant("keep_until", nullable=True),
        sa.PrimaryKeyConstraint("kid", name="pk_signing_key"),
    )
    op.create_table(
        "assertion_jti",
        _text("digest", 64),
        _instant("expires_at"),
        sa.PrimaryKeyConstraint("digest", name="pk_assertion_jti"),
    )
    op.create_index("ix_assertion_jti_expires_at", "assertion_jti", ["expires_at"])


def _change_record() -> None:
    revisions = op.create_table(
        "directory_revision",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_directory_revision"),
    )
    op.bulk_insert(revisions, [{"id": 1, "revision": 0}])
    op.create_table(
        "directory_audit",
        sa.Column("revision", sa.Integer(), autoincrement=False, nullable=False),
        _instant("at"),
        *(_text(name) for name in ("actor", "action", "entity", "entity_id")),
        sa.Column("reason", sa.Text(), nullable=False),
        *(_text(name, 64) for name in ("before_hash", "after_hash", "prev_hash", "hash")),
        sa.PrimaryKeyConstraint("revision", name="pk_directory_audit"),
    )
    if op.get_bind().dialect.name == "sqlite":
        for act in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER directory_audit_no_{act.lower()} BEFORE {act} ON directory_audit "
                "BEGIN SELECT RAISE(ABORT, 'the directory audit is append-only'); END"
            )
