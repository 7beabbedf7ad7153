"""Tables of services about one person's claim: refusals, answers, settlements told of."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from gateway.db.tables import Table


class ClaimMissRow(Table):
    """A client asked about a person and was refused, or named the person wrongly. `subject` is a
    keyed hash: whether there is such a person does not show."""

    __tablename__ = "claim_miss"

    event_id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    client_id: Mapped[str]
    subject: Mapped[str] = mapped_column(sa.String(64))
    at: Mapped[datetime] = mapped_column(index=True)

    __table_args__ = (sa.Index("ix_claim_miss_pair", "client_id", "subject"),)


class ClaimAnswerRow(Table):
    """One definite answer about a person to a tenant; `amount_fen` is the total it told."""

    __tablename__ = "claim_answer"

    event_id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    tenant_id: Mapped[str]
    grant_id: Mapped[str]
    service: Mapped[str] = mapped_column(sa.String(8))
    consent_id: Mapped[str] = mapped_column(sa.String(64))
    subject: Mapped[str] = mapped_column(sa.String(64))
    at: Mapped[datetime]
    settlements: Mapped[int]
    amount_fen: Mapped[int] = mapped_column(sa.BigInteger)

    __table_args__ = (sa.Index("ix_claim_answer_grant", "grant_id", "at"),)


class ClaimSettlementRow(Table):
    """A settlement that was told of under a consent; by keyed hash, never by its number."""

    __tablename__ = "claim_settlement"

    consent_id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    settlement: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    tenant_id: Mapped[str]
    told_at: Mapped[datetime]
    refunded: Mapped[bool]

    __table_args__ = (sa.Index("ix_claim_settlement_settlement", "settlement"),)
