"""What the directory says today of one organisation or grant, and whether it changed meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.db.tables import DirectoryAuditRow, GrantRow, TenantRow
from gateway.identity.model import Document
from gateway.identity.store import grant_of, tenant_of


@dataclass(frozen=True)
class Standing:
    """A document of the directory; `changed`: it was touched after the moment asked about."""

    document: Document
    changed: bool


def tenant_standing(session: Session, tenant_id: str, since: datetime) -> Standing | None:
    """The organisation, or None when there is none of this id."""
    row = session.get(TenantRow, tenant_id)
    if row is None:
        return None
    return Standing(tenant_of(row).document(), _changed(session, "tenant", tenant_id, since))


def grant_standing(session: Session, grant_id: str, since: datetime) -> Standing | None:
    """The grant, or None when there is none of this id."""
    row = session.get(GrantRow, grant_id)
    if row is None:
        return None
    return Standing(grant_of(row).document(), _changed(session, "grant", grant_id, since))


def _changed(session: Session, entity: str, name: str, since: datetime) -> bool:
    entry = DirectoryAuditRow
    asked = sa.select(entry.revision).where(
        entry.entity == entity, entry.entity_id == name, entry.at > since
    )
    return session.scalars(asked.limit(1)).first() is not None
