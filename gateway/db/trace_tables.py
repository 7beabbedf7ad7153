"""Tables of what bounds the checking of trace codes: checks by device, unknown codes by client."""

from __future__ import annotations

from datetime import date, datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from gateway.db.tables import Table


class TraceDeviceRow(Table):
    """How often one device of a public client checked a code on a day; devices are keyed hashes."""

    __tablename__ = "trace_device"

    day: Mapped[date] = mapped_column(sa.Date(), primary_key=True)
    device: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    checks: Mapped[int]


class TraceMissRow(Table):
    """How many codes nobody knows a client asked for within an hour."""

    __tablename__ = "trace_miss"

    hour: Mapped[datetime] = mapped_column(primary_key=True)
    client_id: Mapped[str] = mapped_column(sa.String(200), primary_key=True)
    misses: Mapped[int]
