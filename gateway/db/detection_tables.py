"""Tables of detection: how far the audit was read, what is known of each organisation, alarms."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from gateway.db.tables import Table


class DetectionTurnRow(Table):
    """One row: how often the positions moved, so that of two followers one notices the other."""

    __tablename__ = "detection_turn"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int]


class DetectionPlaceRow(Table):
    """The number of the last event of a journal that was read."""

    __tablename__ = "detection_place"

    journal: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    seq: Mapped[int] = mapped_column(sa.BigInteger)


class DetectionStateRow(Table):
    """What the rules keep of one tenant, service or network: sketches and counts, never persons."""

    __tablename__ = "detection_state"

    kind: Mapped[str] = mapped_column(sa.String(16), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str] = mapped_column(sa.Text)


class DetectionCanaryRow(Table):
    """A person (by the journal's pseudonym) or a code that nobody has a reason to ask about."""

    __tablename__ = "detection_canary"

    kind: Mapped[str] = mapped_column(sa.String(16), primary_key=True)
    value: Mapped[str] = mapped_column(sa.String(100), primary_key=True)
    added_at: Mapped[datetime]


class AlarmRow(Table):
    """An alarm: which rule, about whom, on which events, what was done, who lifted it."""

    __tablename__ = "alarm"

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    rule: Mapped[str] = mapped_column(sa.String(64), index=True)
    kind: Mapped[str] = mapped_column(sa.String(16))
    who: Mapped[str] = mapped_column(index=True)
    severity: Mapped[str] = mapped_column(sa.String(16))
    response: Mapped[str] = mapped_column(sa.String(16))
    value: Mapped[float] = mapped_column(sa.Float)
    threshold: Mapped[float] = mapped_column(sa.Float)
    evidence: Mapped[list[str]]
    effects: Mapped[list[str]]
    event_time: Mapped[datetime]
    raised_at: Mapped[datetime] = mapped_column(index=True)
    state: Mapped[str] = mapped_column(sa.String(16), index=True)
    lift_asked_by: Mapped[str]
    lifted_by: Mapped[str]
    lifted_at: Mapped[datetime | None]
    lift_reason: Mapped[str] = mapped_column(sa.String(500))
    usual: Mapped[float | None] = mapped_column(sa.Float)
    recorded: Mapped[bool] = mapped_column(index=True)
