"""The tables of jobs, attempts, outputs and their reviews.

Instants are ISO 8601 in UTC, so that they sort.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

METADATA: Final = sa.MetaData()
_ID: Final = sa.String(32)
_INSTANT: Final = sa.String(32)

JOB: Final = sa.Table(
    "sandbox_job",
    METADATA,
    sa.Column("job_id", _ID, nullable=False),
    sa.Column("tenant_id", sa.String(200), nullable=False),
    sa.Column("client_id", sa.String(200), nullable=False),
    sa.Column("kind", sa.String(12), nullable=False, server_default="sandbox"),
    sa.Column("origin", _ID, nullable=True),
    sa.Column("request_key", sa.String(128), nullable=True),
    sa.Column("spec", sa.Text, nullable=False),
    sa.Column("spec_digest", sa.String(64), nullable=False),
    sa.Column("code_digest", sa.String(64), nullable=False),
    sa.Column("state", sa.String(12), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("cancel", sa.Boolean, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("checked_by", sa.String(200), nullable=True),
    sa.Column("approved_by", sa.String(200), nullable=True),
    sa.Column("submitted_at", _INSTANT, nullable=False),
    sa.Column("changed_at", _INSTANT, nullable=False),
    sa.Index("ix_sandbox_job_tenant_id", "tenant_id", "submitted_at"),
    sa.Index("ix_sandbox_job_state", "state", "submitted_at"),
    sa.Index("ix_sandbox_job_request_key", "tenant_id", "client_id", "request_key", unique=True),
    sa.PrimaryKeyConstraint("job_id", name="pk_sandbox_job"),
)

ATTEMPT: Final = sa.Table(
    "sandbox_attempt",
    METADATA,
    sa.Column("attempt_id", _ID, nullable=False),
    sa.Column("job_id", _ID, nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("outcome", sa.String(16), nullable=True),
    sa.Column("exit_code", sa.Integer, nullable=True),
    sa.Column("wall_ms", sa.BigInteger, nullable=False),
    sa.Column("cpu_ms", sa.BigInteger, nullable=False),
    sa.Column("peak_memory_bytes", sa.BigInteger, nullable=False),
    sa.Column("dropped", sa.Text, nullable=False),
    sa.Column("began_at", _INSTANT, nullable=False),
    sa.Column("ended_at", _INSTANT, nullable=True),
    sa.UniqueConstraint("job_id", "number", name="uq_sandbox_attempt_job_id"),
    sa.PrimaryKeyConstraint("attempt_id", name="pk_sandbox_attempt"),
)

OUTPUT: Final = sa.Table(
    "sandbox_output",
    METADATA,
    sa.Column("job_id", _ID, nullable=False),
    sa.Column("name", sa.String(64), nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.PrimaryKeyConstraint("job_id", "name", name="pk_sandbox_output"),
)

REVIEW: Final = sa.Table(
    "sandbox_review",
    METADATA,
    sa.Column("job_id", _ID, nullable=False),
    sa.Column("name", sa.String(64), nullable=False),
    sa.Column("state", sa.String(12), nullable=False),
    sa.Column("passed_by", sa.String(200), nullable=True),
    sa.Column("decided_by", sa.String(200), nullable=True),
    sa.Column("comment", sa.Text, nullable=False),
    sa.Column("changed_at", _INSTANT, nullable=False),
    sa.Index("ix_sandbox_review_state", "state", "changed_at"),
    sa.PrimaryKeyConstraint("job_id", "name", name="pk_sandbox_review"),
)
