"""The table of waivers: what poor quality a release may be made despite, signed by two people."""

from __future__ import annotations

from datetime import date, datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from gateway.db.tables import Table


class WaiverRow(Table):
    """One waiver; `seal` signs all of it."""

    __tablename__ = "quality_waiver"

    waiver_id: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    covers: Mapped[list[str]]
    first_period: Mapped[str] = mapped_column(sa.String(7))
    last_period: Mapped[str] = mapped_column(sa.String(7))
    reason: Mapped[str] = mapped_column(sa.Text)
    until: Mapped[date] = mapped_column(sa.Date)
    proposed_by: Mapped[str]
    proposed_at: Mapped[datetime]
    signed_by: Mapped[str | None]
    signed_at: Mapped[datetime | None]
    state: Mapped[str] = mapped_column(sa.String(12))
    seal: Mapped[str] = mapped_column(sa.Text)
