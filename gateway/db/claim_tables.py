"""Tables of services about one person's claim: refusals, answers, settlements, decisions."""

from __future__ import annotations

from datetime import date, datetime

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


class ClaimDecisionRow(Table):
    """The one answer that a product's rules gave about a settlement to a tenant, for good.

    `settlement` and `subject` are keyed hashes; `told` is the answer's data as JSON; `eligible`
    what each layer counted of it, in fen; `bits_milli` what the package's coded answers could
    tell, in thousandths of a bit. The sums of a year of cover are those of its rows that were not
    refunded.
    """

    __tablename__ = "claim_decision"

    event_id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    tenant_id: Mapped[str]
    product: Mapped[str] = mapped_column(sa.String(40))
    settlement: Mapped[str] = mapped_column(sa.String(64))
    subject: Mapped[str] = mapped_column(sa.String(64))
    consent_id: Mapped[str] = mapped_column(sa.String(64))
    package_id: Mapped[str] = mapped_column(sa.String(20))
    claim_ref: Mapped[str] = mapped_column(sa.String(100))
    policy_from: Mapped[date] = mapped_column(sa.Date)
    told: Mapped[str] = mapped_column(sa.Text)
    eligible: Mapped[str] = mapped_column(sa.Text)
    payable_fen: Mapped[int] = mapped_column(sa.BigInteger)
    bits_milli: Mapped[int]
    decided_at: Mapped[datetime]
    refunded_at: Mapped[datetime | None]

    __table_args__ = (
        sa.UniqueConstraint("tenant_id", "settlement", "product"),
        sa.Index("ix_claim_decision_subject", "tenant_id", "subject"),
        sa.Index("ix_claim_decision_decided", "tenant_id", "decided_at"),
        sa.Index("ix_claim_decision_consent", "consent_id"),
    )


class ClaimSettledRow(Table):
    """What an insurer says it settled of a day's decisions; the last word on a claim counts."""

    __tablename__ = "claim_settled"

    tenant_id: Mapped[str] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(sa.Date, primary_key=True)
    product: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    claim_ref: Mapped[str] = mapped_column(sa.String(100), primary_key=True)
    payable_fen: Mapped[int] = mapped_column(sa.BigInteger)
    sent_at: Mapped[datetime]
