"""What shadows found, kept for the policy officer: added up over all serving processes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.db.edition_tables import DifferenceRow
from gateway.editions.shadow import FAILED, MORE, MOST_KINDS, SAME, SKIPPED, Finding
from gateway.identity.model import Document

_TOTALS = (SAME, SKIPPED, FAILED, MORE)


def add_findings(
    session: Session, edition: str, found: Mapping[str, Finding], now: datetime
) -> None:
    """Add what one process found; ways of differing beyond the bound are only counted."""
    kinds = set(session.scalars(sa.select(DifferenceRow.kind).where(_of(edition))))
    for kind, finding in found.items():
        known = kind in kinds or kind in _TOTALS or len(kinds) < MOST_KINDS
        kept, told = (kind, finding.told) if known else (MORE, {})
        kinds.add(kept)
        row = session.get(DifferenceRow, (edition, kept))
        if row is None:
            row = DifferenceRow(
                edition=edition, kind=kept, told=dict(told), times=0, first_at=now, last_at=now
            )
            session.add(row)
        row.times, row.last_at = row.times + finding.times, now
    session.flush()


def read_differences(session: Session, edition: str) -> Document:
    """How many decisions were compared, and every way in which they differed, often seen first."""
    rows = session.scalars(sa.select(DifferenceRow).where(_of(edition)))
    totals, ways = dict.fromkeys(_TOTALS, 0), []
    for row in rows:
        if row.kind in totals:
            totals[row.kind] = row.times
        else:
            seen = {"first_at": row.first_at.isoformat(), "last_at": row.last_at.isoformat()}
            ways.append({**row.told, "times": row.times, **seen})
    ways.sort(key=lambda way: -int(str(way["times"])))
    differ = sum(int(str(way["times"])) for way in ways) + totals[MORE]
    return {
        "edition": edition,
        "compared": totals[SAME] + differ,
        "same": totals[SAME],
        "different": differ,
        "not_compared": totals[SKIPPED],
        "failed": totals[FAILED],
        "beyond_bound": totals[MORE],
        "differences": ways,
    }


def _of(edition: str) -> sa.ColumnElement[bool]:
    return DifferenceRow.edition == edition
