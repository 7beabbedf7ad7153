"""Tables of revocation: what is no longer accepted though its signature still verifies."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from gateway.db.tables import Table


class RevocationRow(Table):
    """One revoked token, authorisation, consent or client, kept until nothing of it is left."""

    __tablename__ = "revocation"

    kind: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    value: Mapped[str] = mapped_column(primary_key=True)
    revoked_at: Mapped[datetime]
    until: Mapped[datetime] = mapped_column(index=True)
    lifted: Mapped[bool]
    number: Mapped[int] = mapped_column(index=True)


class RevocationNumberRow(Table):
    """One row; grows by one with every revocation, so replicas read only what is new."""

    __tablename__ = "revocation_number"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int]
