"""Tables of the policy's editions: their files, their state, and what shadows found."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from gateway.db.tables import Table

_ONLY = sa.text("state IN ('shadow', 'canary', 'live')")


class EditionRow(Table):
    """One edition of the policy: its files, and a sealed account of how far it has come."""

    __tablename__ = "policy_edition"
    __table_args__ = (
        # One edition is live, one in shadow, one canary: the database itself holds to it.
        sa.Index(
            "ix_policy_edition_place",
            "state",
            unique=True,
            sqlite_where=_ONLY,
            postgresql_where=_ONLY,
        ),
    )

    name: Mapped[str] = mapped_column(sa.String(12), primary_key=True)
    digest: Mapped[str] = mapped_column(sa.String(64))
    title: Mapped[str]
    author: Mapped[str]
    pushed_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(sa.String(20))
    approvals: Mapped[list[str]]
    tenants: Mapped[list[str]]
    replaces: Mapped[str] = mapped_column(sa.String(12))
    live_since: Mapped[datetime | None]
    content: Mapped[bytes] = mapped_column(sa.LargeBinary, deferred=True)  # read when asked for
    seal: Mapped[str] = mapped_column(sa.Text)


class DifferenceRow(Table):
    """How often a shadow decided otherwise in one way; codes and counts, nobody's identifier."""

    __tablename__ = "policy_difference"

    edition: Mapped[str] = mapped_column(sa.String(12), primary_key=True)
    kind: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    told: Mapped[dict[str, object]]
    times: Mapped[int] = mapped_column(sa.BigInteger)
    first_at: Mapped[datetime]
    last_at: Mapped[datetime]
