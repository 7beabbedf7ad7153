"""Rows to values: the only place that knows how a consent lies in its table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.consent.record import Consent, unknown_consent
from gateway.db.consent_tables import ConsentRow

_LISTS = {"services", "scopes_asked", "scopes"}
_NAMES = tuple(each.name for each in fields(Consent))


def consent_of(row: ConsentRow) -> Consent:
    """The value of a row."""
    found: dict[str, Any] = {name: getattr(row, name) for name in _NAMES}  # Any: as declared there
    found |= {name: tuple(found[name]) for name in _LISTS}
    return Consent(**found)


def consent_row(consent: Consent) -> ConsentRow:
    """A new row for a value."""
    return ConsentRow(**stored({name: getattr(consent, name) for name in _NAMES}))


def stored(values: dict[str, object]) -> dict[str, object]:
    """Attributes as the table keeps them: tuples as JSON lists."""
    return {n: list(v) if isinstance(v, tuple) else v for n, v in values.items()}


def changed_rows(session: Session, statement: sa.UpdateBase) -> int:
    """How many rows a statement changed or removed."""
    result = session.execute(statement)
    return cast("sa.CursorResult[Any]", result).rowcount  # cast: what an update returns


def find(session: Session, consent_id: str) -> Consent | None:
    """The consent as it is stored, read afresh."""
    row = session.scalars(
        sa.select(ConsentRow)
        .where(ConsentRow.id == consent_id)
        .execution_options(populate_existing=True)
    ).one_or_none()
    return consent_of(row) if row else None


def of_tenant(session: Session, consent_id: str, tenant_id: str) -> Consent:
    """A receiver's consent; one of another tenant does not exist for it."""
    found = find(session, consent_id)
    if found is None or found.tenant_id != tenant_id:
        raise unknown_consent()
    return found


def of_subjects(session: Session, consent_id: str, subjects: Iterable[str]) -> Consent:
    """A person's own consent, or one of a child in their care."""
    found = find(session, consent_id)
    if found is None or found.subject_ref is None or found.subject_ref not in set(subjects):
        raise unknown_consent()
    return found


def list_of_tenant(
    session: Session, tenant_id: str, *, after: str, limit: int
) -> Sequence[Consent]:
    """A tenant's consents in order of their ids, from the one after `after`."""
    query = sa.select(ConsentRow).where(ConsentRow.tenant_id == tenant_id, ConsentRow.id > after)
    rows = session.scalars(query.order_by(ConsentRow.id).limit(limit))
    return [consent_of(row) for row in rows]


def list_of_subjects(session: Session, subjects: Iterable[str]) -> Sequence[Consent]:
    """All consents about these persons, newest first."""
    rows = session.scalars(
        sa.select(ConsentRow)
        .where(ConsentRow.subject_ref.in_(tuple(subjects)))
        .order_by(ConsentRow.created_at.desc(), ConsentRow.id.desc())
    )
    return [consent_of(row) for row in rows]
