"""The ledger of privacy budgets: what was spent, and what was drawn for it."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from gateway.db.tables import Table


class PrivacyEntryRow(Table):
    """One line of the ledger; lines are only added and each carries the hash of the one before.

    `act` is `spent` (one line per geography; `epsilon` an exact fraction) or `drawn` (`detail` is
    the hash of what was drawn). `PrivacyHeadRow` vouches for the number of lines.
    """

    __tablename__ = "privacy_entry"

    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    act: Mapped[str] = mapped_column(sa.String(8))
    year: Mapped[int] = mapped_column(index=True)
    geo: Mapped[str] = mapped_column(sa.String(16))
    epsilon: Mapped[str] = mapped_column(sa.String(64))
    purpose: Mapped[str] = mapped_column(sa.String(64), index=True)
    subject: Mapped[str] = mapped_column(sa.String(200))
    detail: Mapped[str] = mapped_column(sa.String(64))
    prev_hash: Mapped[str] = mapped_column(sa.String(64))
    hash: Mapped[str] = mapped_column(sa.String(64))


class PrivacyHeadRow(Table):
    """How many lines there are and the hash of the last; one row, which every writer locks."""

    __tablename__ = "privacy_head"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    seq: Mapped[int]
    hash: Mapped[str] = mapped_column(sa.String(64))


class PrivacyDrawRow(Table):
    """What was drawn for a purpose: kept, so that nobody is ever given a second draw of it."""

    __tablename__ = "privacy_draw"

    purpose: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    drawn: Mapped[str] = mapped_column(sa.Text)
