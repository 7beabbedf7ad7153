"""The office journal: one chain of audit events for what is done in the operational database."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from gateway.db.tables import Table


class OfficeEventRow(Table):
    """One event; `body` is canonical JSON, hashed byte for byte, which the columns repeat."""

    __tablename__ = "office_event"
    __table_args__ = (
        sa.Index("ix_office_event_listing", "event_id", "kind", "result", "tenant", "service"),
    )

    seq: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)
    event_id: Mapped[str] = mapped_column(sa.String(36), unique=True)
    request_id: Mapped[str | None] = mapped_column(sa.String(64), index=True)
    time: Mapped[datetime]
    kind: Mapped[str] = mapped_column(sa.String(20))
    result: Mapped[str] = mapped_column(sa.String(16))
    tenant: Mapped[str | None]
    service: Mapped[str | None]
    body: Mapped[str] = mapped_column(sa.Text)
    prev_hash: Mapped[str] = mapped_column(sa.String(64))
    hash: Mapped[str] = mapped_column(sa.String(64))
