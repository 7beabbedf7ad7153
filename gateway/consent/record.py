"""Values of consents: the record, its evidence, what tokens and the policy may know of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import ClassVar, TypeAlias

from gateway.consent.states import ActorKind, State
from gateway.errors import NotFound, SluiceError

Document: TypeAlias = dict[str, object]
SENSITIVE = "DX_SENSITIVE"
"""The scope that is asked for on a screen of its own."""
NOT_ANSWERED = "not_answered"
"""Why an unanswered request was rejected by the clock."""


class ConsentConflict(SluiceError):
    """The consent is not in a state, or the request not of a kind, that allows this."""

    status: ClassVar[int] = 409
    title: ClassVar[str] = "Not possible in this state"


def unknown_consent() -> NotFound:
    """The one answer for a consent that is not there and for one of somebody else."""
    return NotFound(
        "unknown_consent", "There is no such consent of yours.", "没有属于您的这项授权。"
    )


@dataclass(frozen=True, slots=True)
class Actor:
    """Who changes a consent: a client id, an internal person token, an officer, or the clock."""

    kind: ActorKind
    ref: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """How a person proved who they are when they answered."""

    type: str
    provider: str
    hash: str
    time: datetime

    def document(self) -> Document:
        return {
            "type": self.type,
            "provider": self.provider,
            "hash": self.hash,
            "time": self.time.isoformat(),
        }


@dataclass(frozen=True, slots=True)
class Guardian:
    """Who answers for a child: never a name, the relation and the guardian's own evidence."""

    ref: str
    relation: str
    evidence: Evidence

    def document(self) -> Document:
        return {
            "ref": self.ref,
            "relation": self.relation,
            "evidence": self.evidence.document(),
        }


@dataclass(frozen=True, slots=True)
class Consent:
    """One person's permission for one receiver and one purpose."""

    id: str
    tenant_id: str
    client_id: str
    grant_id: str
    product_name: str
    scenario: str
    purpose_code: str
    services: tuple[str, ...]
    scopes_asked: tuple[str, ...]
    scopes: tuple[str, ...]
    claim_ref: str | None
    policy_ref: str | None
    window_from: date
    window_to: date
    valid_days: int
    uses_max: int
    uses: int
    channel: str
    language: str
    notice_version: str
    fields_preview_hash: str | None
    subject_hint: str | None
    subject_ref: str | None
    guardian: Document | None
    evidence: Document | None
    state: State
    created_at: datetime
    answer_by: datetime
    valid_from: datetime | None
    valid_to: datetime | None
    ended_at: datetime | None
    ended_by: str | None
    end_reason: str | None
    prev_hash: str

    def state_at(self, now: datetime) -> State:
        """The state that holds now, whether or not the sweep has been here yet."""
        if self.state in ("DRAFT", "AWAITING_PERSON") and now >= self.answer_by:
            return "REJECTED"
        in_force = self.state in ("AUTHORISED", "SUSPENDED")
        if in_force and self.valid_to is not None and now >= self.valid_to:
            return "EXPIRED"
        return self.state

    def reason_at(self, now: datetime) -> str | None:
        """Why it ended, as of now."""
        if self.state in ("DRAFT", "AWAITING_PERSON") and now >= self.answer_by:
            return NOT_ANSWERED
        return self.end_reason

    def receiver(self) -> Document:
        """Whom the consent is given to: the organisation and its product, by the asking client."""
        return {
            "tenant": self.tenant_id,
            "client": self.client_id,
            "product": self.product_name,
        }

    def content(self) -> Document:
        """What its events vouch for: everything but the count of uses and the link itself."""
        return {
            "id": self.id,
            "receiver": self.receiver(),
            "grant": self.grant_id,
            "scenario": self.scenario,
            "purpose_code": self.purpose_code,
            "services": list(self.services),
            "scopes_asked": list(self.scopes_asked),
            "scopes": list(self.scopes),
            "claim_ref": self.claim_ref,
            "policy_ref": self.policy_ref,
            "window": [self.window_from.isoformat(), self.window_to.isoformat()],
            "valid_days": self.valid_days,
            "uses_max": self.uses_max,
            "channel": self.channel,
            "language": self.language,
            "notice_version": self.notice_version,
            "fields_preview_hash": self.fields_preview_hash,
            "subject_hint": self.subject_hint,
            "subject_ref": self.subject_ref,
            "guardian": self.guardian,
            "evidence": self.evidence,
            "separate": True,
            "state": self.state,
            "created_at": text_of(self.created_at),
            "answer_by": text_of(self.answer_by),
            "valid_from": text_of(self.valid_from),
            "valid_to": text_of(self.valid_to),
            "ended": [text_of(self.ended_at), self.ended_by, self.end_reason],
        }

    def for_receiver(self, now: datetime) -> Document:
        """What the receiver may read of it: never who the person is."""
        return {
            "consent_id": self.id,
            "receiver": self.receiver(),
            "state": self.state_at(now),
            "state_reason": self.reason_at(now),
            "scenario": self.scenario,
            "purpose": self.purpose_code,
            "grant_id": self.grant_id,
            "services": list(self.services),
            "scopes_asked": list(self.scopes_asked),
            "scopes": list(self.scopes),
            "claim_ref": self.claim_ref,
            "policy_ref": self.policy_ref,
            "window": {"from": self.window_from.isoformat(), "to": self.window_to.isoformat()},
            "valid_days": self.valid_days,
            "valid_from": text_of(self.valid_from),
            "valid_to": text_of(self.valid_to),
            "uses": self.uses,
            "uses_max": self.uses_max,
            "separate": True,
            "language": self.language,
            "notice_version": self.notice_version,
            "fields_preview_hash": self.fields_preview_hash,
            "created_at": text_of(self.created_at),
            "answer_by": text_of(self.answer_by),
            "ended_at": text_of(self.ended_at),
        }


def text_of(moment: datetime | None) -> str | None:
    """ISO text of an instant, where there is one."""
    return None if moment is None else moment.isoformat()
