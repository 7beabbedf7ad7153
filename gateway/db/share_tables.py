"""Tables of what persons do beside consents: share links, the register of opting out, looks."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from gateway.db.tables import Table


class PersonShareRow(Table):
    """One link to a person's records; its token is kept as a keyed hash only."""

    __tablename__ = "person_share"

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    digest: Mapped[str] = mapped_column(sa.String(64), unique=True)
    subject_ref: Mapped[str] = mapped_column(sa.String(64), index=True)
    receiver: Mapped[str] = mapped_column(sa.String(200))
    purpose: Mapped[str] = mapped_column(sa.String(200))
    scopes: Mapped[list[str]]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    uses: Mapped[int]
    uses_max: Mapped[int]
    revoked_at: Mapped[datetime | None]


class PersonOptOutRow(Table):
    """A person who takes no part in joint modelling (scenario SC08)."""

    __tablename__ = "person_opt_out"

    subject_ref: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    since: Mapped[datetime]


class PersonUseRow(Table):
    """How often a person looked at records in one day (`2025-06-02`), or took them in one month."""

    __tablename__ = "person_use"

    subject_ref: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    period: Mapped[str] = mapped_column(sa.String(10), primary_key=True)
    uses: Mapped[int]
