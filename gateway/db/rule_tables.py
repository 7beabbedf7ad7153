"""The table of insurers' rule packages and their review."""

from __future__ import annotations

from datetime import date, datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from gateway.db.tables import Table


class RulePackageRow(Table):
    """One submitted version; `seal` signs all of it."""

    __tablename__ = "rule_package"

    package_id: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    tenant_id: Mapped[str] = mapped_column(index=True)
    client_id: Mapped[str]
    product: Mapped[str] = mapped_column(sa.String(40))
    version: Mapped[str] = mapped_column(sa.String(40))
    first_day: Mapped[date] = mapped_column(sa.Date)
    last_day: Mapped[date] = mapped_column(sa.Date)
    signed: Mapped[str] = mapped_column(sa.Text)
    submitted_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(sa.String(12))
    checked_by: Mapped[str | None]
    checked_at: Mapped[datetime | None]
    approved_by: Mapped[str | None]
    approved_at: Mapped[datetime | None]
    reason: Mapped[str] = mapped_column(sa.Text)
    seal: Mapped[str] = mapped_column(sa.Text)
