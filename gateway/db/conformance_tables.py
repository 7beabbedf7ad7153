"""Tables of the conformance suite: runs, what was seen in them, reports the office accepted."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from gateway.db.tables import Table


class ConformanceRunRow(Table):
    """One examination of one client; `report` is there once it has ended."""

    __tablename__ = "conformance_run"

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    tenant_id: Mapped[str]
    client_id: Mapped[str] = mapped_column(index=True)
    binding: Mapped[str] = mapped_column(sa.String(20))
    consents: Mapped[dict[str, str]] = mapped_column(sa.JSON)
    started_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    ended_at: Mapped[datetime | None]
    report: Mapped[str | None] = mapped_column(sa.Text)


class ConformanceSeenRow(Table):
    """One exchange of a run, in the order in which they began."""

    __tablename__ = "conformance_seen"

    run_id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    told: Mapped[dict[str, object]] = mapped_column(sa.JSON)


class ConformanceReportRow(Table):
    """A report of a sandbox that the data office accepted for an organisation."""

    __tablename__ = "conformance_report"

    run_id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    tenant_id: Mapped[str] = mapped_column(index=True)
    client_name: Mapped[str]
    suite: Mapped[str] = mapped_column(sa.String(20))
    ended_at: Mapped[datetime]
    accepted_at: Mapped[datetime]
    accepted_by: Mapped[str]
    valid_to: Mapped[datetime]
    report: Mapped[str] = mapped_column(sa.Text)
