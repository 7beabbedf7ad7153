"""Tables of the data office's staff: accounts, second factors, sessions, throttling, their record.

No row holds a secret in clear: passwords are Argon2 hashes, TOTP secrets are sealed, everything
else that proves something is kept as a keyed hash.
"""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from gateway.db.tables import Chained, Counted, Table

_DIGEST = sa.String(64)


class StaffRow(Table):
    """One person of the data office."""

    __tablename__ = "staff_account"

    name: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    display_name: Mapped[str]
    roles: Mapped[list[str]]
    state: Mapped[str] = mapped_column(sa.String(20))
    password_hash: Mapped[str] = mapped_column(sa.String(300))
    totp_sealed: Mapped[str] = mapped_column(sa.String(300))
    totp_step: Mapped[int] = mapped_column(sa.BigInteger)
    invite_digest: Mapped[str | None] = mapped_column(_DIGEST)
    invite_until: Mapped[datetime | None]
    asked_roles: Mapped[list[str]]  # guarded roles a second administrator has yet to vouch for
    asked_by: Mapped[str | None]
    invited_by: Mapped[str | None]  # who held the last invitation and could have taken it up
    created_at: Mapped[datetime]


class StaffRecoveryRow(Table):
    """A recovery code, until it is used."""

    __tablename__ = "staff_recovery"

    digest: Mapped[str] = mapped_column(_DIGEST, primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(64), index=True)


class StaffDeviceRow(Table):
    """A browser from which somebody has signed in before."""

    __tablename__ = "staff_device"

    digest: Mapped[str] = mapped_column(_DIGEST, primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(64), index=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)


class StaffThrottleRow(Table):
    """Failed sign-ins of one kind of origin, and until when it has to wait."""

    __tablename__ = "staff_throttle"

    digest: Mapped[str] = mapped_column(_DIGEST, primary_key=True)
    failures: Mapped[int]
    blocked_until: Mapped[datetime]
    last_at: Mapped[datetime] = mapped_column(index=True)


class StaffSessionRow(Table):
    """A session in a browser; `roles` only for people who are known by single sign-on alone."""

    __tablename__ = "staff_session"

    digest: Mapped[str] = mapped_column(_DIGEST, primary_key=True)
    id: Mapped[str] = mapped_column(sa.String(64), unique=True)
    name: Mapped[str] = mapped_column(index=True)
    via: Mapped[str] = mapped_column(sa.String(20))
    roles: Mapped[list[str]]
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class StaffLinkRow(Table):
    """Which account an identity of the single sign-on belongs to: one identity, one account."""

    __tablename__ = "staff_link"

    digest: Mapped[str] = mapped_column(_DIGEST, primary_key=True)  # of issuer and subject
    name: Mapped[str] = mapped_column(sa.String(64), unique=True)
    linked_at: Mapped[datetime]


class StaffSignOnRow(Table):
    """A single sign-on that succeeded: it is good once. Begun ones are not written down."""

    __tablename__ = "staff_sign_on"

    digest: Mapped[str] = mapped_column(_DIGEST, primary_key=True)  # of the state
    expires_at: Mapped[datetime] = mapped_column(index=True)


class StaffRevisionRow(Counted, Table):
    """Number of entries in the staff record."""

    __tablename__ = "staff_revision"


class StaffAuditRow(Chained, Table):
    """Who signed in, was refused, read or changed what in the office."""

    __tablename__ = "staff_audit"
