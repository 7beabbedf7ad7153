"""The book of jobs with each change in the directory's chained record."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.db.engine import for_writing
from gateway.identity.record import Act, record_change
from sandbox.jobs.book import JobBook


def open_book(engine: sa.Engine, actor: str, now: Callable[[], datetime]) -> JobBook:
    """The book on the operational database; `actor` is who the record says did it."""

    def told(db: sa.Connection, action: str, job_id: str) -> None:
        act = Act(actor, now())
        with Session(db, join_transaction_mode="create_savepoint") as session, session.begin():
            record_change(session, act, action, ("job", job_id), before=None, after=None)

    return JobBook(engine, now, told, for_writing(engine))
