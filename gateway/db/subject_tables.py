"""Questions of who stands behind a pseudonym of the audit: one officer asks, another agrees."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from gateway.db.tables import Table


class SubjectQuestionRow(Table):
    """One question; it holds the pseudonym, never whom it stands for. `seal` is over all of it."""

    __tablename__ = "subject_question"

    question_id: Mapped[str] = mapped_column(sa.String(16), primary_key=True)
    token: Mapped[str] = mapped_column(sa.String(64), index=True)
    reason: Mapped[str] = mapped_column(sa.Text)
    state: Mapped[str] = mapped_column(sa.String(16), index=True)
    asked_by: Mapped[str]
    asked_at: Mapped[datetime]
    decided_by: Mapped[str | None]
    decided_at: Mapped[datetime | None]
    seal: Mapped[str] = mapped_column(sa.Text)
