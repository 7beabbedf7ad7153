"""The quotas of people's own looks at records (scenario SC10): calls a day, downloads a month.

Counted in the one database of all replicas, for whoever looks: a guardian's looks at a child's
records are the guardian's. Days and months are the bureau's.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from gateway.db.share_tables import PersonUseRow
from gateway.errors import TooMany
from metering.calendar import day_of


def count_look(
    session: Session, person: str, quota: Mapping[str, int], now: datetime, *, download: bool
) -> None:
    """One more look of this person; `quota` has `calls_day` and `downloads_month`. Raises `TooMany`
    where one is used up: roll back then, a refused look is none."""
    day = day_of(now)
    month = day[:7]
    if _one_more(session, person, day) > quota["calls_day"]:
        raise TooMany(
            "person_day_quota",
            f"Own records are answered {quota['calls_day']} times a day; go on tomorrow.",
            f"每日最多查询 {quota['calls_day']} 次，请明日再试。",
        )
    if download and _one_more(session, person, month) > quota["downloads_month"]:
        raise TooMany(
            "person_month_quota",
            f"Own records are downloaded {quota['downloads_month']} times a month; read on here.",
            f"每月最多下载 {quota['downloads_month']} 次，仍可在线查看。",
        )
    former = sa.and_(PersonUseRow.period < day, PersonUseRow.period != month)
    session.execute(sa.delete(PersonUseRow).where(PersonUseRow.subject_ref == person, former))


def _one_more(session: Session, person: str, period: str) -> int:
    dialect = session.get_bind().dialect.name
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    adding = insert(PersonUseRow).values(subject_ref=person, period=period, uses=1)
    grown = adding.on_conflict_do_update(
        index_elements=["subject_ref", "period"], set_={"uses": PersonUseRow.uses + 1}
    )
    return int(session.execute(grown.returning(PersonUseRow.uses)).scalar_one())
