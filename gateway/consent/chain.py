"""The record of consents: one chained event per change, in the change's own transaction.

The chain runs over all consents, and its head is kept, so an event that was altered, removed or cut
off is found and named; the last event of a consent vouches for what the consent says now.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.consent.record import Actor, Consent, Document
from gateway.consent.states import State
from gateway.consent.store import consent_of
from gateway.db.chains import Walk, digest
from gateway.db.consent_tables import ConsentEventRow, ConsentHeadRow, ConsentRow
from gateway.db.office_journal import OfficeEvent, record_event


@dataclass(frozen=True, slots=True)
class Change:
    """One step of a consent: what was done to it, by whom, when and why."""

    act: str
    before: State | None
    actor: Actor
    at: datetime
    reason: str = ""
    evidence: Document | None = None


def append(session: Session, consent: Consent, change: Change) -> str:
    """Write the event of one change; returns its hash, the new link of the consent."""
    session.execute(sa.update(ConsentHeadRow).values(seq=ConsentHeadRow.seq + 1))
    head = session.execute(sa.select(ConsentHeadRow.seq, ConsentHeadRow.hash)).one()
    row = ConsentEventRow(
        seq=head.seq,
        consent_id=consent.id,
        at=change.at,
        act=change.act,
        before=change.before or "",
        after=consent.state,
        actor_kind=change.actor.kind,
        actor_ref=change.actor.ref,
        reason=change.reason,
        evidence_hash=digest(change.evidence),
        content_hash=digest(consent.content()),
        prev_hash=head.hash,
    )
    row.hash = _hash(row)
    session.add(row)
    session.execute(sa.update(ConsentHeadRow).values(hash=row.hash))
    session.flush()
    record_event(session, _audited(row, consent))
    return row.hash


def _audited(row: ConsentEventRow, consent: Consent) -> OfficeEvent:
    """The change as an audit event; it names nobody but by the consent."""
    actor = {"role": row.actor_kind}
    if row.actor_kind not in {"person", "guardian"}:  # the internal token of a person stays here
        actor["user"] = row.actor_ref
    return OfficeEvent(
        kind="consent-change",
        result="done",
        time=row.at,
        actor=actor,
        tenant=consent.tenant_id,
        facts={
            "action": row.act,
            "consent_id": consent.id,
            "scenario": consent.scenario,
            "states": [row.before, row.after],
            "evidence_hash": row.evidence_hash,
            "output_hash": row.content_hash,
            "entry": {"table": row.__tablename__, "number": row.seq, "hash": row.hash},
        },
    )


def history(session: Session, consent_id: str) -> list[ConsentEventRow]:
    """The events of one consent in order."""
    query = sa.select(ConsentEventRow).where(ConsentEventRow.consent_id == consent_id)
    return list(session.scalars(query.order_by(ConsentEventRow.seq)))


def broken(session: Session) -> tuple[str, ...]:
    """Every place where the record is not what was written; empty when it is whole."""
    walk = Walk("event")
    last: dict[str, ConsentEventRow] = {}
    for row in session.scalars(sa.select(ConsentEventRow).order_by(ConsentEventRow.seq)):
        walk.step(row.seq, row.prev_hash, row.hash, _hash(row))
        last[row.consent_id] = row
    head = session.execute(sa.select(ConsentHeadRow.seq, ConsentHeadRow.hash)).one()
    return (*walk.end(head.seq, head.hash), *_strays(session, last))


def _strays(session: Session, last: dict[str, ConsentEventRow]) -> list[str]:
    """Consents that do not say what their last event vouches for."""
    faults = []
    for row in session.scalars(sa.select(ConsentRow)):
        event = last.pop(row.id, None)
        if event is None:
            faults.append(f"consent {row.id} has no event")
        elif row.prev_hash != event.hash or digest(consent_of(row).content()) != event.content_hash:
            faults.append(f"consent {row.id} was altered after event {event.seq}")
    return faults + [f"consent {consent_id} was removed" for consent_id in last]


def _hash(row: ConsentEventRow) -> str:
    return digest(
        {
            "seq": row.seq,
            "consent": row.consent_id,
            "at": row.at.astimezone(UTC).isoformat(),
            "act": row.act,
            "states": [row.before, row.after],
            "actor": [row.actor_kind, row.actor_ref],
            "reason": row.reason,
            "evidence": row.evidence_hash,
            "content": row.content_hash,
            "prev": row.prev_hash,
        }
    )
