"""Organisations: their number's check digit, and the acts on an organisation already registered.

How a leaving organisation keeps limited access follows BCDA's termination model: `limited` with a
cut-off (nothing later may be asked) and, when it is to end by itself, a termination date.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from sqlalchemy.orm import Session

from gateway.db.tables import TenantRow
from gateway.errors import OperatorError
from gateway.identity.entries import LimitEntry, TenantUpdate
from gateway.identity.model import TENANT_TRANSITIONS, Qualification, Tenant
from gateway.identity.record import Act, record_change
from gateway.identity.sm2 import library
from gateway.identity.states import allow
from gateway.identity.store import tenant_of, tenant_row


def update_tenant(session: Session, act: Act, tenant_id: str, entry: TenantUpdate) -> Tenant:
    """Replace facts of a tenant that is not revoked; what the entry leaves out stays."""
    before = _living(session, tenant_id)
    facts = entry.model_dump(exclude_none=True, exclude={"qualifications"})
    check_crypto(entry.crypto)
    if entry.qualifications is not None:
        shown = tuple(Qualification(**each.model_dump()) for each in entry.qualifications)
        facts["qualifications"] = shown
    return _keep(session, act, "update", before, replace(before, **facts))


def check_crypto(profile: str | None) -> None:
    """Nobody is promised SM2 where no library computes it: `Sm2Unavailable`."""
    if profile == "gm":
        library()


def set_tenant_status(session: Session, act: Act, tenant_id: str, status: str) -> Tenant:
    """Suspend, resume or revoke a tenant; its tokens stop or start working within a second.

    A tenant that was limited before it was suspended is limited again when it is resumed.
    """
    before = tenant_of(_row(session, tenant_id))
    if status == "limited":
        raise OperatorError("tenant.limit", f"Say up to when tenant {tenant_id} may ask.")
    if (before.status, status) == ("suspended", "active") and before.cut_off_date:
        status = "limited"
    allow(TENANT_TRANSITIONS, before.status, status, f"Tenant {tenant_id}")
    cut_off = None if status == "active" else before.cut_off_date
    return _keep(session, act, status, before, replace(before, status=status, cut_off_date=cut_off))


def limit_tenant(session: Session, act: Act, tenant_id: str, limit: LimitEntry) -> Tenant:
    """From now on the tenant may ask only for periods up to the cut-off; a limit may be moved."""
    before = _living(session, tenant_id)
    if before.status != "limited":
        allow(TENANT_TRANSITIONS, before.status, "limited", f"Tenant {tenant_id}")
    after = replace(
        before,
        status="limited",
        cut_off_date=limit.cut_off_date,
        cut_off_strategy=limit.strategy,
        termination_date=limit.termination_date or before.termination_date,
    )
    return _keep(session, act, "limited", before, after)


def set_termination(session: Session, act: Act, tenant_id: str, day: date | None) -> Tenant:
    """Say from which day on the tenant is revoked; None takes the date back."""
    before = _living(session, tenant_id)
    return _keep(session, act, "terminate", before, replace(before, termination_date=day))


def _living(session: Session, tenant_id: str) -> Tenant:
    tenant = tenant_of(_row(session, tenant_id))
    if tenant.status == "revoked":
        raise OperatorError("tenant.state", f"Tenant {tenant_id} is revoked for good.")
    return tenant


def _keep(session: Session, act: Act, action: str, before: Tenant, after: Tenant) -> Tenant:
    row = _row(session, before.id)
    session.merge(tenant_row(after, row.created_at))
    record_change(
        session,
        act,
        action,
        ("tenant", before.id),
        before=before.document(),
        after=after.document(),
    )
    return after


def _row(session: Session, tenant_id: str) -> TenantRow:
    row = session.get(TenantRow, tenant_id)
    if row is None:
        raise OperatorError("tenant.unknown", f"There is no tenant {tenant_id}.")
    return row
