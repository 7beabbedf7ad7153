"""Tables of the authorisation server: requests, visits, authorisations, codes, refresh tokens.

No row holds a secret: request URIs, codes, refresh tokens and browser secrets are kept as keyed
hashes (`gateway.authserver.seal`). What may be used once has `used_at`, set where it was NULL.
"""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from gateway.db.tables import Table


class PushedRequestRow(Table):
    """An authorisation request as its client pushed it, checked; used by one decision."""

    __tablename__ = "oauth_request"
    __table_args__ = (sa.Index("ix_oauth_request_waiting", "client_id", "expires_at"),)

    digest: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    client_id: Mapped[str]
    parameters: Mapped[dict[str, object]]
    dpop_jkt: Mapped[str | None]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    used_at: Mapped[datetime | None]


class InteractionRow(Table):
    """A person's visit for one pushed request, bound to the browser that began it."""

    __tablename__ = "oauth_interaction"

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    request_digest: Mapped[str] = mapped_column(
        sa.String(64), sa.ForeignKey("oauth_request.digest"), index=True
    )
    browser_digest: Mapped[str] = mapped_column(sa.String(64))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    finished_at: Mapped[datetime | None]


class AuthorisationRow(Table):
    """What a person allowed a client; every token given for it names it as `gid`."""

    __tablename__ = "oauth_authorisation"

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    client_id: Mapped[str] = mapped_column(index=True)
    tenant_id: Mapped[str]
    subject: Mapped[str]
    subject_ref: Mapped[str]
    consent_id: Mapped[str | None] = mapped_column(index=True)
    scope: Mapped[str]
    details: Mapped[list[dict[str, object]]]
    nonce: Mapped[str | None]
    auth_time: Mapped[datetime]
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    end_reason: Mapped[str | None]


class CodeRow(Table):
    """An authorisation code: lives a minute, is good for one exchange."""

    __tablename__ = "oauth_code"

    digest: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    authorisation_id: Mapped[str] = mapped_column(
        sa.String(64), sa.ForeignKey("oauth_authorisation.id"), index=True
    )
    client_id: Mapped[str]
    redirect_uri: Mapped[str] = mapped_column(sa.String(500))
    challenge: Mapped[str]
    dpop_jkt: Mapped[str | None]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    used_at: Mapped[datetime | None]


class RefreshTokenRow(Table):
    """A refresh token: never rotated, bound to the client and to its proof key."""

    __tablename__ = "oauth_refresh_token"

    digest: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    authorisation_id: Mapped[str] = mapped_column(
        sa.String(64), sa.ForeignKey("oauth_authorisation.id"), index=True
    )
    client_id: Mapped[str]
    jkt: Mapped[str | None]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    ended_at: Mapped[datetime | None]
