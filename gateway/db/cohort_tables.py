"""The table of cohort questions that were answered: the query journal of SPEC §4.3.10."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from gateway.db.tables import Table


class CohortQuestionRow(Table):
    """One question that a consumer was answered under a grant; rows are only added. `seq` counts
    the consumer's questions: two replicas cannot both add the same number."""

    __tablename__ = "cohort_question"

    tenant: Mapped[str] = mapped_column(sa.String(128), primary_key=True)
    service: Mapped[str] = mapped_column(sa.String(8), primary_key=True)
    seq: Mapped[int] = mapped_column(sa.Integer, primary_key=True, autoincrement=False)
    grant_id: Mapped[str] = mapped_column(sa.String(128))
    digest: Mapped[str] = mapped_column(sa.String(64))
    question: Mapped[str] = mapped_column(sa.Text)
    told: Mapped[str] = mapped_column(sa.Text)
    release: Mapped[str] = mapped_column(sa.String(64))
    request_id: Mapped[str] = mapped_column(sa.String(128))
    asked_at: Mapped[datetime]
    month: Mapped[str] = mapped_column(sa.String(7))
