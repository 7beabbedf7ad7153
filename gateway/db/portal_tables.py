"""Tables of the developers' portal: links that open it once, and sessions they became."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from gateway.db.tables import Table

_DIGEST = sa.String(64)


class PortalLinkRow(Table):
    """A link a client asked for, until it is used or its minute is over."""

    __tablename__ = "portal_link"

    digest: Mapped[str] = mapped_column(_DIGEST, primary_key=True)
    tenant_id: Mapped[str]
    client_id: Mapped[str] = mapped_column(index=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)


class PortalSessionRow(Table):
    """A developer's session in a browser, on behalf of the client whose link opened it."""

    __tablename__ = "portal_session"

    digest: Mapped[str] = mapped_column(_DIGEST, primary_key=True)
    id: Mapped[str] = mapped_column(sa.String(64), unique=True)
    tenant_id: Mapped[str]
    client_id: Mapped[str]
    expires_at: Mapped[datetime] = mapped_column(index=True)
