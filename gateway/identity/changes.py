"""Acts that change the directory. Each happens wholly with its audit entry, or not at all.

Every function wants a session of `gateway.db.engine.writing` and an `Act` (who, when, why).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.db.tables import ClientRow, GrantRow, RegionFlagRow, StopRow, TenantRow
from gateway.errors import OperatorError
from gateway.identity.entries import GrantEntry, RegionEntry, TenantEntry
from gateway.identity.jwks import accept_jwks, algorithms_of
from gateway.identity.model import (
    CLIENT_TRANSITIONS,
    GRANT_TRANSITIONS,
    STOP_KINDS,
    TENANT_TRANSITIONS,
    Client,
    Document,
    Grant,
    Qualification,
    Tenant,
)
from gateway.identity.narrowing import Boundaries, missing_qualifications, widenings
from gateway.identity.record import Act, record_change
from gateway.identity.store import (
    client_of,
    client_row,
    grant_of,
    grant_row,
    stop_of,
    tenant_of,
    tenant_row,
)

_APPROVERS = 2


def register_tenant(session: Session, act: Act, entry: TenantEntry) -> Tenant:
    """Put a new organisation into the directory, active."""
    if session.get(TenantRow, entry.id):
        raise OperatorError("tenant.exists", f"Tenant {entry.id} is already registered.")
    facts = entry.model_dump(exclude={"qualifications"})
    shown = tuple(Qualification(**each.model_dump()) for each in entry.qualifications)
    tenant = Tenant(**facts, status="active", qualifications=shown)
    session.add(tenant_row(tenant, act.at))
    record_change(
        session, act, "register", ("tenant", tenant.id), before=None, after=tenant.document()
    )
    return tenant


def set_tenant_status(session: Session, act: Act, tenant_id: str, status: str) -> Tenant:
    """Suspend or resume a tenant; its tokens stop or start working within a second."""
    row = _tenant(session, tenant_id)
    before = tenant_of(row)
    _allow(TENANT_TRANSITIONS, before.status, status, f"Tenant {tenant_id}")
    row.status = status
    after = replace(before, status=status)
    record_change(
        session,
        act,
        status,
        ("tenant", tenant_id),
        before=before.document(),
        after=after.document(),
    )
    return after


def register_client(
    session: Session, act: Act, *, client_id: str, tenant_id: str, name: str, jwks: object
) -> Client:
    """Register a machine client with its public keys."""
    _tenant(session, tenant_id)
    if session.get(ClientRow, client_id):
        raise OperatorError("client.exists", f"Client {client_id} is already registered.")
    accepted = accept_jwks(jwks)
    client = Client(client_id, tenant_id, name, accepted, algorithms_of(accepted), "active")
    session.add(client_row(client, act.at))
    record_change(
        session, act, "register", ("client", client_id), before=None, after=client.document()
    )
    return client


def disable_client(session: Session, act: Act, client_id: str) -> Client:
    """End a client for good; a new one is registered instead."""
    row = session.get(ClientRow, client_id)
    if row is None:
        raise OperatorError("client.unknown", f"There is no client {client_id}.")
    before = client_of(row)
    _allow(CLIENT_TRANSITIONS, before.status, "disabled", f"Client {client_id}")
    row.status = "disabled"
    after = replace(before, status="disabled")
    record_change(
        session,
        act,
        "disable",
        ("client", client_id),
        before=before.document(),
        after=after.document(),
    )
    return after


def enter_grant(session: Session, act: Act, entry: GrantEntry, bounds: Boundaries) -> Grant:
    """Put a grant under review; one that widens its scenario is refused with every reason."""
    tenant = tenant_of(_tenant(session, entry.tenant))
    if session.get(GrantRow, entry.id):
        raise OperatorError("grant.exists", f"Grant {entry.id} is already entered.")
    grant = Grant(**entry.model_dump(), status="review", approved_by=())
    _refuse_widening(grant, tenant, _current(session, bounds))
    session.add(grant_row(grant, act.at))
    record_change(session, act, "enter", ("grant", grant.id), before=None, after=grant.document())
    return grant


def approve_grant(session: Session, act: Act, grant_id: str, bounds: Boundaries) -> Grant:
    """Add one person's approval; with the second, different person the grant becomes active."""
    row = _grant(session, grant_id)
    before = grant_of(row)
    approver = act.actor.strip()
    if before.status != "review":
        raise OperatorError("grant.state", f"Grant {grant_id} is {before.status}, not in review.")
    if approver.casefold() in {each.casefold() for each in before.approved_by}:
        raise OperatorError("grant.same_approver", f"{approver} has approved {grant_id} already.")
    tenant = tenant_of(_tenant(session, before.tenant))
    _refuse_widening(before, tenant, _current(session, bounds))
    missing = missing_qualifications(before, tenant, bounds)
    if missing:
        raise OperatorError(
            "grant.qualification_missing",
            f"Tenant {tenant.id} cannot show: {', '.join(missing)}.",
        )
    approvals = (*before.approved_by, approver)
    status = "active" if len(approvals) >= _APPROVERS else "review"
    row.approved_by, row.status = list(approvals), status
    after = replace(before, approved_by=approvals, status=status)
    record_change(
        session,
        act,
        "approve",
        ("grant", grant_id),
        before=before.document(),
        after=after.document(),
    )
    return after


def set_grant_status(session: Session, act: Act, grant_id: str, status: str) -> Grant:
    """Suspend, resume or revoke a grant. Only approvals make a grant active for the first time."""
    row = _grant(session, grant_id)
    before = grant_of(row)
    _allow(GRANT_TRANSITIONS, before.status, status, f"Grant {grant_id}")
    if status == "active" and before.status != "suspended":
        raise OperatorError("grant.state", f"Grant {grant_id} becomes active by two approvals.")
    row.status = status
    after = replace(before, status=status)
    record_change(
        session, act, status, ("grant", grant_id), before=before.document(), after=after.document()
    )
    return after


def raise_stop(session: Session, act: Act, kind: str, target: str) -> None:
    """Emergency stop: from now on (at most a second later) nothing of the target leaves."""
    if kind not in STOP_KINDS:
        raise OperatorError("stop.kind", f"A stop is for one of: {', '.join(STOP_KINDS)}.")
    if session.get(StopRow, (kind, target)):
        raise OperatorError("stop.exists", f"The {kind} {target} is stopped already.")
    row = StopRow(kind=kind, target=target, reason=act.reason, since=act.at, set_by=act.actor)
    session.add(row)
    record_change(
        session,
        act,
        "stop",
        ("stop", f"{kind}:{target}"),
        before=None,
        after=stop_of(row).document(),
    )


def lift_stop(session: Session, act: Act, kind: str, target: str) -> None:
    """End an emergency stop."""
    row = session.get(StopRow, (kind, target))
    if row is None:
        raise OperatorError("stop.unknown", f"The {kind} {target} is not stopped.")
    before = stop_of(row).document()
    session.delete(row)
    record_change(session, act, "lift", ("stop", f"{kind}:{target}"), before=before, after=None)


def set_region(
    session: Session, act: Act, admdvs: str, entry: RegionEntry, bounds: Boundaries
) -> Document:
    """Set parts of a region's document (SPEC §6.3 `region_flags`), or add a region."""
    row = session.get(RegionFlagRow, admdvs)
    before: Document | None = dict(row.flags) if row else None
    flags = {**(before or {}), **entry.model_dump(mode="json", exclude_none=True)}
    if admdvs not in bounds.regions:
        flags = _new_region(admdvs, flags, set(_current(session, bounds).regions))
    session.merge(RegionFlagRow(admdvs=admdvs, flags=flags, updated_at=act.at))
    record_change(session, act, "set", ("region", admdvs), before=before, after=flags)
    return flags


def _new_region(admdvs: str, flags: Document, known: set[str]) -> Document:
    """A region the policy files do not have: complete, closed unless it says otherwise."""
    if not (len(admdvs) == 6 and admdvs.isascii() and admdvs.isdigit()):
        raise OperatorError("region.code", "A region code (admdvs) has six digits.")
    if "level" not in flags or "insured" not in flags:
        raise OperatorError("region.incomplete", f"New region {admdvs} needs level and insured.")
    parent = flags.get("parent")
    if (parent is None) != (flags["level"] == "province") or (parent and parent not in known):
        raise OperatorError(
            "region.parent", f"Region {admdvs} needs a known parent, a province none."
        )
    return {"data_open": False, "pilot": [], "blackout": [], **flags}


def _current(session: Session, bounds: Boundaries) -> Boundaries:
    """Boundaries with what the bureau has set for its regions so far."""
    rows = session.scalars(sa.select(RegionFlagRow))
    return bounds.with_regions({row.admdvs: row.flags for row in rows})


def new_act(actor: str, at: datetime, reason: str = "") -> Act:
    """An act by a named person; an anonymous change of the directory is refused."""
    if not actor.strip():
        raise OperatorError("act.actor", "Say who does this (--actor NAME).")
    return Act(actor.strip(), at, reason)


def _refuse_widening(grant: Grant, tenant: Tenant, bounds: Boundaries) -> None:
    faults = widenings(grant, tenant, bounds)
    if faults:
        listed = "; ".join(f"{fault.field}: {fault.reason}" for fault in faults)
        raise OperatorError(
            "grant.widens",
            f"Grant {grant.id} reaches beyond scenario {grant.scenario}: {listed}.",
            fields=sorted({fault.field for fault in faults}),
        )


def _allow(table: Mapping[str, frozenset[str]], before: str, after: str, what: str) -> None:
    if after not in table[before]:
        raise OperatorError("state.not_allowed", f"{what} is {before} and cannot become {after}.")


def _tenant(session: Session, tenant_id: str) -> TenantRow:
    row = session.get(TenantRow, tenant_id)
    if row is None:
        raise OperatorError("tenant.unknown", f"There is no tenant {tenant_id}.")
    return row


def _grant(session: Session, grant_id: str) -> GrantRow:
    row = session.get(GrantRow, grant_id)
    if row is None:
        raise OperatorError("grant.unknown", f"There is no grant {grant_id}.")
    return row
