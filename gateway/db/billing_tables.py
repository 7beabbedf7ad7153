"""Tables of money: the ledger, what months were rated and closed at, statements, disputes.

All but the proposals and the disputes' states are append-only by trigger: what is wrong is
corrected by an entry of its own.
"""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from gateway.db.tables import Table


class LedgerEntryRow(Table):
    """One movement of money; `hash` chains it to the entry before."""

    __tablename__ = "ledger_entry"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    entry_id: Mapped[str] = mapped_column(sa.String(64), unique=True)
    kind: Mapped[str] = mapped_column(sa.String(20))
    period: Mapped[str] = mapped_column(sa.String(7), index=True)
    service_period: Mapped[str] = mapped_column(sa.String(7))
    booked_at: Mapped[datetime]
    cause: Mapped[str] = mapped_column(index=True)
    corrects: Mapped[str | None]
    prev_hash: Mapped[str] = mapped_column(sa.String(64))
    hash: Mapped[str] = mapped_column(sa.String(64))


class LedgerPostingRow(Table):
    """What an entry moved on one account, in fen; a debit is positive."""

    __tablename__ = "ledger_posting"

    number: Mapped[int] = mapped_column(sa.ForeignKey("ledger_entry.number"), primary_key=True)
    account: Mapped[str] = mapped_column(primary_key=True, index=True)
    fen: Mapped[int] = mapped_column(sa.BigInteger)


class ChargeLineRow(Table):
    """A line of a month as a closing found it; a later closing may find another amount."""

    __tablename__ = "charge_line"

    closing: Mapped[str] = mapped_column(sa.String(7), primary_key=True)
    line_id: Mapped[str] = mapped_column(primary_key=True)
    month: Mapped[str] = mapped_column(sa.String(7), index=True)
    tenant: Mapped[str] = mapped_column(index=True)
    grant_id: Mapped[str]
    service: Mapped[str] = mapped_column(sa.String(8))
    unit: Mapped[str]
    price_ref: Mapped[str]
    price_micro: Mapped[int] = mapped_column(sa.BigInteger)
    answers: Mapped[int] = mapped_column(sa.BigInteger)
    qty: Mapped[int] = mapped_column(sa.BigInteger)
    billable: Mapped[int] = mapped_column(sa.BigInteger)
    repeated: Mapped[int] = mapped_column(sa.BigInteger)
    units: Mapped[int] = mapped_column(sa.BigInteger)
    amount_fen: Mapped[int] = mapped_column(sa.BigInteger)


class ProviderWeightRow(Table):
    """What a provider weighed in a service-month when it was shared, as a closing found it."""

    __tablename__ = "provider_weight"

    closing: Mapped[str] = mapped_column(sa.String(7), primary_key=True)
    month: Mapped[str] = mapped_column(sa.String(7), primary_key=True)
    service: Mapped[str] = mapped_column(sa.String(8), primary_key=True)
    provider: Mapped[str] = mapped_column(primary_key=True)
    weight: Mapped[str] = mapped_column(sa.String(40))  # beyond 64 bits over a busy month


class BillingMonthRow(Table):
    """A closed month: nothing is booked in it any more."""

    __tablename__ = "billing_month"

    month: Mapped[str] = mapped_column(sa.String(7), primary_key=True)
    closed_at: Mapped[datetime]
    closed_by: Mapped[str]
    heads: Mapped[dict[str, list[object]]] = mapped_column(sa.JSON)  # journal → number, hash
    terms: Mapped[dict[str, object]]
    tariffs: Mapped[dict[str, object]]
    labels: Mapped[dict[str, object]]  # names as they were printed
    committed: Mapped[dict[str, object]]  # who owed a minimum: line → what it is about
    ledger_head: Mapped[str] = mapped_column(sa.String(64))


class ClosingProposalRow(Table):
    """A month somebody has looked through; another person closes it as it was then, or not."""

    __tablename__ = "closing_proposal"

    month: Mapped[str] = mapped_column(sa.String(7), primary_key=True)
    digest: Mapped[str] = mapped_column(sa.String(64))
    proposed_at: Mapped[datetime]
    proposed_by: Mapped[str]


class PaperRow(Table):
    """A statement or credit note as it was issued, byte for byte, with its signature and seal.

    `month` is the one it was issued for or booked in; `case_id` names a credit note's dispute.
    """

    __tablename__ = "paper"

    number: Mapped[str] = mapped_column(primary_key=True)
    month: Mapped[str] = mapped_column(sa.String(7), index=True)
    kind: Mapped[str] = mapped_column(sa.String(12))
    party: Mapped[str] = mapped_column(index=True)
    case_id: Mapped[str | None]
    issued_at: Mapped[datetime]
    body: Mapped[bytes]
    pdf: Mapped[bytes]
    sha256: Mapped[str] = mapped_column(sa.String(64))
    signature: Mapped[str] = mapped_column(sa.Text)
    seal: Mapped[str] = mapped_column(sa.Text)


class DisputeRow(Table):
    """A client's objection to a line, and what became of it."""

    __tablename__ = "dispute"

    case_id: Mapped[str] = mapped_column(primary_key=True)
    line_id: Mapped[str] = mapped_column(index=True)
    tenant: Mapped[str] = mapped_column(index=True)
    month: Mapped[str] = mapped_column(sa.String(7))
    service: Mapped[str] = mapped_column(sa.String(8))
    fen: Mapped[int] = mapped_column(sa.BigInteger)  # what is held, or was
    claimed_fen: Mapped[int] = mapped_column(sa.BigInteger)
    credited_fen: Mapped[int] = mapped_column(sa.BigInteger)
    reason: Mapped[str] = mapped_column(sa.Text)
    state: Mapped[str] = mapped_column(sa.String(20))
    held: Mapped[dict[str, object]]  # provider or account kind → fen
    opened_at: Mapped[datetime]
    opened_by: Mapped[str]
    decided_at: Mapped[datetime | None]
    decided_by: Mapped[str | None]
