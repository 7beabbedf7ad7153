"""The record of directory changes: one chained entry per revision, in the change's transaction."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.db.tables import DirectoryAuditRow, RevisionRow
from gateway.identity.model import Document

NOTHING = "0" * 64
"""Hash of what does not exist: before a creation, after a removal, before the first entry."""


@dataclass(frozen=True, slots=True)
class Act:
    """Who does what, when, and why; every change of the directory carries one."""

    actor: str
    at: datetime
    reason: str = ""


def digest(document: Document | None) -> str:
    """Hash of a document in its canonical form."""
    if document is None:
        return NOTHING
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def record_change(
    session: Session,
    act: Act,
    action: str,
    entity: tuple[str, str],
    *,
    before: Document | None,
    after: Document | None,
) -> int:
    """Write the entry of one change and grow the revision by one; both live or die with it."""
    session.execute(sa.update(RevisionRow).values(revision=RevisionRow.revision + 1))
    revision = session.scalars(sa.select(RevisionRow.revision)).one()
    previous = session.get(DirectoryAuditRow, revision - 1)
    row = DirectoryAuditRow(
        revision=revision,
        at=act.at,
        actor=act.actor,
        action=action,
        entity=entity[0],
        entity_id=entity[1],
        reason=act.reason,
        before_hash=digest(before),
        after_hash=digest(after),
        prev_hash=previous.hash if previous else NOTHING,
    )
    row.hash = _entry_hash(row)
    session.add(row)
    return revision


def broken_entries(session: Session) -> tuple[str, ...]:
    """Every place where the record of changes is not what was written; empty when it is whole."""
    faults = []
    expected, link = 1, NOTHING
    for row in session.scalars(sa.select(DirectoryAuditRow).order_by(DirectoryAuditRow.revision)):
        if row.revision != expected:
            faults.append(f"entries {expected} to {row.revision - 1} are missing")
        elif row.prev_hash != link:
            faults.append(f"entry {row.revision} does not follow the entry before it")
        if row.hash != _entry_hash(row):
            faults.append(f"entry {row.revision} was altered")
        expected, link = row.revision + 1, row.hash
    last = session.scalars(sa.select(RevisionRow.revision)).one()
    if last != expected - 1:
        faults.append(f"entries {expected} to {last} are missing")
    return tuple(faults)


def _entry_hash(row: DirectoryAuditRow) -> str:
    return digest(
        {
            "revision": row.revision,
            "at": row.at.astimezone(UTC).isoformat(),
            "actor": row.actor,
            "action": row.action,
            "entity": row.entity,
            "entity_id": row.entity_id,
            "reason": row.reason,
            "before": row.before_hash,
            "after": row.after_hash,
            "prev": row.prev_hash,
        }
    )
