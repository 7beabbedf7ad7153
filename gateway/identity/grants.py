"""Grants from draft to end: entered by one person, approved by two others, never widened.

Every function wants a session of `gateway.db.engine.writing`; the record of the change is part of
its transaction. Which change of state there is at all says `GRANT_TRANSITIONS`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.db.tables import GrantRow, TenantRow
from gateway.errors import OperatorError
from gateway.identity.changes import current_boundaries
from gateway.identity.entries import GrantEntry
from gateway.identity.model import GRANT_TRANSITIONS, Grant, Tenant
from gateway.identity.narrowing import Boundaries, missing_qualifications, widenings
from gateway.identity.record import Act, record_change
from gateway.identity.spelling import one_spelling
from gateway.identity.states import allow
from gateway.identity.store import grant_of, grant_row, tenant_of

APPROVERS = 2
_BY_ITS_OWN_ACT = {
    "active": "becomes active by two approvals",
    "review": "is submitted for review",
    "expired": "expires by its last day",
}


def enter_grant(
    session: Session, act: Act, entry: GrantEntry, bounds: Boundaries, *, draft: bool = False
) -> Grant:
    """Put a grant under review, or keep it as a draft; one that widens its scenario is refused."""
    tenant = _live_tenant(session, entry.tenant)
    if session.get(GrantRow, entry.id):
        raise OperatorError("grant.exists", f"Grant {entry.id} is already entered.")
    status = "draft" if draft else "review"
    facts = entry.model_dump()
    grant = Grant(**facts, status=status, approved_by=(), entered_by=act.actor)
    _refuse_widening(grant, tenant, current_boundaries(session, bounds))
    session.add(grant_row(grant, act.at))
    record_change(session, act, "enter", ("grant", grant.id), before=None, after=grant.document())
    return grant


def submit_grant(session: Session, act: Act, grant_id: str, bounds: Boundaries) -> Grant:
    """Put a draft under review. Its author does: one person wrote it, two others approve."""
    before = grant_of(_grant(session, grant_id))
    allow(GRANT_TRANSITIONS, before.status, "review", f"Grant {grant_id}")
    if before.entered_by and one_spelling(before.entered_by) != one_spelling(act.actor):
        raise OperatorError(
            "grant.submitter", f"{before.entered_by} wrote {grant_id} and submits it."
        )
    tenant = _live_tenant(session, before.tenant)
    _refuse_widening(before, tenant, current_boundaries(session, bounds))
    after = replace(before, status="review", entered_by=act.actor)
    return _keep(session, act, "submit", before, after)


def approve_grant(session: Session, act: Act, grant_id: str, bounds: Boundaries) -> Grant:
    """Add one person's approval; with the second, different person the grant becomes active."""
    before = grant_of(_grant(session, grant_id))
    if before.status != "review":
        raise OperatorError("grant.state", f"Grant {grant_id} is {before.status}, not in review.")
    approver = _refuse_the_same(act.actor, before)
    tenant = _live_tenant(session, before.tenant)
    _refuse_widening(before, tenant, current_boundaries(session, bounds))
    missing = missing_qualifications(before, tenant, bounds)
    if missing:
        raise OperatorError(
            "grant.qualification_missing",
            f"Tenant {tenant.id} cannot show: {', '.join(missing)}.",
        )
    approvals = (*before.approved_by, approver)
    status = "active" if len(approvals) >= APPROVERS else "review"
    allow(GRANT_TRANSITIONS, before.status, status, f"Grant {grant_id}", staying=True)
    after = replace(before, approved_by=approvals, status=status)
    return _keep(session, act, "approve", before, after)


def set_grant_status(session: Session, act: Act, grant_id: str, status: str) -> Grant:
    """Send back, suspend, resume or revoke a grant; other states have acts of their own."""
    before = grant_of(_grant(session, grant_id))
    allow(GRANT_TRANSITIONS, before.status, status, f"Grant {grant_id}")
    if status in _BY_ITS_OWN_ACT and (before.status, status) != ("suspended", "active"):
        raise OperatorError("grant.state", f"Grant {grant_id} {_BY_ITS_OWN_ACT[status]}.")
    approvals = () if status == "draft" else before.approved_by
    after = replace(before, status=status, approved_by=approvals)
    return _keep(session, act, status, before, after)


def expire_grants(session: Session, act: Act, today: date) -> tuple[str, ...]:
    """Mark every grant whose last day has passed; which ones."""
    endable = [state for state, reached in GRANT_TRANSITIONS.items() if "expired" in reached]
    rows = session.scalars(
        sa.select(GrantRow).where(GrantRow.valid_to < today, GrantRow.status.in_(endable))
    ).all()
    for grant in map(grant_of, rows):
        _keep(session, act, "expire", grant, replace(grant, status="expired"))
    return tuple(row.id for row in rows)


def _refuse_the_same(actor: str, grant: Grant) -> str:
    """The approver's name as it is kept; an enterer or earlier approver is refused."""
    approver = actor.strip()
    if one_spelling(approver) == one_spelling(grant.entered_by):
        raise OperatorError(
            "grant.own_entry", f"{approver} entered {grant.id}; others have to approve it."
        )
    if one_spelling(approver) in map(one_spelling, grant.approved_by):
        raise OperatorError("grant.same_approver", f"{approver} has approved {grant.id} already.")
    return approver


def _refuse_widening(grant: Grant, tenant: Tenant, bounds: Boundaries) -> None:
    faults = widenings(grant, tenant, bounds)
    if faults:
        listed = "; ".join(f"{fault.field}: {fault.reason}" for fault in faults)
        raise OperatorError(
            "grant.widens",
            f"Grant {grant.id} reaches beyond scenario {grant.scenario}: {listed}.",
            fields=sorted({fault.field for fault in faults}),
        )


def _keep(session: Session, act: Act, action: str, before: Grant, after: Grant) -> Grant:
    row = _grant(session, before.id)
    row.status, row.approved_by = after.status, list(after.approved_by)
    row.entered_by = after.entered_by
    record_change(
        session,
        act,
        action,
        ("grant", before.id),
        before=before.document(),
        after=after.document(),
    )
    return after


def _live_tenant(session: Session, tenant_id: str) -> Tenant:
    row = session.get(TenantRow, tenant_id)
    if row is None:
        raise OperatorError("tenant.unknown", f"There is no tenant {tenant_id}.")
    if row.status in {"limited", "revoked"}:
        raise OperatorError("tenant.state", f"Tenant {tenant_id} is {row.status}: no new grants.")
    return tenant_of(row)


def _grant(session: Session, grant_id: str) -> GrantRow:
    row = session.get(GrantRow, grant_id)
    if row is None:
        raise OperatorError("grant.unknown", f"There is no grant {grant_id}.")
    return row
