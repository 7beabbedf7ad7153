"""Acts on a consent. Each happens wholly, with its chained event, its message to the receiver and,
where it ends or halts the consent, the revocation of every token hanging on it; or not at all.

Every function wants a session of `gateway.db.engine.writing`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.consent import outbox
from gateway.consent.chain import Change, append
from gateway.consent.record import (
    NOT_ANSWERED,
    SENSITIVE,
    Actor,
    Consent,
    ConsentConflict,
    Document,
    Evidence,
    Guardian,
    unknown_consent,
)
from gateway.consent.states import ENDED, ActName, State, must_resume_first, transition
from gateway.consent.store import changed_rows, consent_of, consent_row, find, stored
from gateway.db.consent_tables import ConsentRow
from gateway.identity import revocation

CLOCK = Actor("system", "clock")
PASSING = "passing"
"""Why a halted consent that is being ended is resumed for the length of one transaction."""


@dataclass(frozen=True, slots=True)
class Deed:
    """Who does it, when, why, and how they proved who they are."""

    actor: Actor
    at: datetime
    reason: str = ""
    evidence: Document | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A person's yes: about whom, to which scopes, after which notice, on which evidence."""

    subject_ref: str
    scopes: tuple[str, ...]
    language: str
    notice_version: str
    notice_hash: str
    evidence: Evidence
    guardian: Guardian | None = None


def request(session: Session, draft: Consent, now: datetime) -> Consent:
    """Enter what a receiver asks for; from now on it awaits the person."""
    receiver = Actor("receiver", draft.client_id)
    link = append(session, draft, Change("request", None, receiver, now))
    entered = replace(draft, prev_hash=link)
    session.add(consent_row(entered))
    session.flush()
    return _move(session, entered, "submit", Deed(receiver, now))


def authorise(session: Session, consent_id: str, answer: Answer, now: datetime) -> Consent:
    """Give the consent as the person answered; refuses what was not asked or not shown."""
    consent = _open(session, consent_id)
    if consent.state_at(now) != "AWAITING_PERSON":
        raise _not_possible(consent.state_at(now))
    if consent.subject_hint not in (None, answer.subject_ref):
        raise unknown_consent()
    if not answer.scopes or not set(answer.scopes) <= set(consent.scopes_asked):
        raise ConsentConflict("consent_scopes", "Only scopes that were asked for can be given.")
    who = answer.guardian.ref if answer.guardian else answer.subject_ref
    evidence: Document = {
        **answer.evidence.document(),
        "notice": answer.notice_hash,
        "guardian": answer.guardian.document() if answer.guardian else None,
    }
    given = {
        "subject_ref": answer.subject_ref,
        "scopes": tuple(each for each in consent.scopes_asked if each in answer.scopes),
        "language": answer.language,
        "notice_version": answer.notice_version,
        "fields_preview_hash": answer.notice_hash,
        "guardian": answer.guardian.document() if answer.guardian else None,
        "evidence": answer.evidence.document(),
        "valid_from": now,
        "valid_to": now + timedelta(days=consent.valid_days),
    }
    actor = Actor("guardian" if answer.guardian else "person", who)
    reason = "with_sensitive" if SENSITIVE in answer.scopes else ""
    return _move(session, consent, "authorise", Deed(actor, now, reason, evidence), given)


def reject(session: Session, consent_id: str, deed: Deed) -> Consent:
    """Say no to a request that awaits an answer."""
    consent = _open(session, consent_id)
    if consent.state_at(deed.at) != "AWAITING_PERSON":
        raise _not_possible(consent.state_at(deed.at))
    return _move(session, consent, "reject", deed)


def revoke(session: Session, consent_id: str, deed: Deed) -> Consent:
    """End a consent in force; ending it again changes nothing."""
    consent = _open(session, consent_id)
    if consent.state == "REVOKED":
        return consent
    if consent.state_at(deed.at) == "EXPIRED" and consent.state != "EXPIRED":
        return _end_by_clock(session, consent, deed.at)
    return _end(session, consent, "revoke", deed)


def give_up(session: Session, consent_id: str, client_id: str, now: datetime) -> Consent:
    """The receiver wants it no longer, in whatever state it is."""
    consent = _open(session, consent_id)
    state, receiver = consent.state_at(now), Actor("receiver", client_id)
    if state == "AWAITING_PERSON":
        return reject(session, consent_id, Deed(receiver, now, "withdrawn_by_receiver"))
    if state in ENDED:
        return consent
    return revoke(session, consent_id, Deed(receiver, now, "given_up_by_receiver"))


def suspend(session: Session, consent_id: str, deed: Deed) -> Consent:
    """Halt a consent while a dispute or a suspected theft is looked into."""
    return _move(session, _in_force(session, consent_id, deed.at), "suspend", deed)


def resume(session: Session, consent_id: str, deed: Deed) -> Consent:
    """Let a halted consent work again."""
    return _move(session, _in_force(session, consent_id, deed.at), "resume", deed)


def use(session: Session, consent_id: str, tenant_id: str, now: datetime) -> Consent:
    """Count one use, of two at once each its own; the last one allowed consumes the consent."""
    counted = (
        sa.update(ConsentRow)
        .where(
            ConsentRow.id == consent_id,
            ConsentRow.tenant_id == tenant_id,
            ConsentRow.state == "AUTHORISED",
            ConsentRow.uses < ConsentRow.uses_max,
            ConsentRow.valid_to > now,
        )
        .values(uses=ConsentRow.uses + 1)
    )
    if changed_rows(session, counted) != 1:
        found = find(session, consent_id)
        if found is None or found.tenant_id != tenant_id:
            raise unknown_consent()
        raise _not_possible(found.state_at(now))
    consent = _open(session, consent_id)
    if consent.uses < consent.uses_max:
        return consent
    return _move(session, consent, "consume", Deed(CLOCK, now, "uses_reached"))


def expire_due(session: Session, now: datetime, limit: int = 200) -> int:
    """Enter what the clock has decided: unanswered requests rejected, run-out consents expired."""
    unanswered = sa.and_(ConsentRow.state == "AWAITING_PERSON", ConsentRow.answer_by <= now)
    over = sa.and_(ConsentRow.state.in_(("AUTHORISED", "SUSPENDED")), ConsentRow.valid_to <= now)
    rows = session.scalars(sa.select(ConsentRow).where(sa.or_(unanswered, over)).limit(limit))
    due = [consent_of(row) for row in rows]
    for consent in due:
        _end_by_clock(session, consent, now)
    return len(due)


def _end_by_clock(session: Session, consent: Consent, now: datetime) -> Consent:
    if consent.state == "AWAITING_PERSON":
        return _move(session, consent, "reject", Deed(CLOCK, now, NOT_ANSWERED))
    return _end(session, consent, "expire", Deed(CLOCK, now, "term_over"))


def _end(session: Session, consent: Consent, act: ActName, deed: Deed) -> Consent:
    """End a consent in force, through AUTHORISED when it was halted."""
    if must_resume_first(act, consent.state):
        consent = _move(session, consent, "resume", Deed(CLOCK, deed.at, PASSING))
    return _move(session, consent, act, deed)


def _move(
    session: Session,
    before: Consent,
    act: ActName,
    deed: Deed,
    given: Mapping[str, object] | None = None,
) -> Consent:
    step = transition(act, before.state, deed.actor.kind)
    if step is None:
        raise _not_possible(before.state)
    values: dict[str, object] = {**(given or {}), "state": step.after}
    if step.after in ENDED:
        values |= {"ended_at": deed.at, "ended_by": deed.actor.kind, "end_reason": deed.reason}
    after = replace(before, **values)  # type: ignore[arg-type]  # names are those of the value
    change = Change(act, before.state, deed.actor, deed.at, deed.reason, deed.evidence)
    values["prev_hash"] = append(session, after, change)
    _write(session, before, values)
    _tell(session, after, act, deed)
    return replace(after, prev_hash=str(values["prev_hash"]))


def _write(session: Session, before: Consent, values: dict[str, object]) -> None:
    """Change the row if it is still what was read; two answers at once cannot both hold."""
    unchanged = (
        sa.update(ConsentRow)
        .where(
            ConsentRow.id == before.id,
            ConsentRow.state == before.state,
            ConsentRow.prev_hash == before.prev_hash,
        )
        .values(**stored(values))
    )
    if changed_rows(session, unchanged) != 1:
        raise ConsentConflict("consent_changed", "The consent has just changed; read it again.")


def _tell(session: Session, after: Consent, act: ActName, deed: Deed) -> None:
    """Tokens and the receiver learn of it in the same transaction."""
    if after.state in ENDED or after.state == "SUSPENDED":
        revocation.revoke(session, "consent", after.id, deed.at + revocation.KEEP, deed.at)
    if act == "resume":
        revocation.lift(session, "consent", after.id)
    if act == "submit" or deed.reason == PASSING:
        return  # the receiver asked itself, or hears of the end in the next step
    name = "changed" if act == "resume" else outbox.event_name(after.state, after.end_reason)
    outbox.put(session, after, name, deed.at)


def _open(session: Session, consent_id: str) -> Consent:
    consent = find(session, consent_id)
    if consent is None:
        raise unknown_consent()
    return consent


def _in_force(session: Session, consent_id: str, now: datetime) -> Consent:
    consent = _open(session, consent_id)
    if consent.state_at(now) != consent.state:
        raise _not_possible(consent.state_at(now))
    return consent


def _not_possible(state: State) -> ConsentConflict:
    return ConsentConflict(
        "consent_state",
        f"The consent is {state}; that is not possible in this state.",
        "该授权当前状态不允许此操作。",
        state=state,
    )
