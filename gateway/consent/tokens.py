"""What the authorisation server and the policy may know of a consent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy.orm import Session

from gateway.consent.record import Consent
from gateway.consent.states import State
from gateway.consent.store import find
from gateway.policy.port import ConsentFacts


@dataclass(frozen=True, slots=True)
class ConsentView:
    """A consent as of one moment: its state is what holds then, swept or not."""

    id: str
    tenant_id: str
    client_id: str
    state: State
    scenario: str
    purpose_code: str
    services: tuple[str, ...]
    scopes: tuple[str, ...]
    subject_ref: str | None
    answer_by: datetime
    valid_from: datetime | None
    valid_to: datetime | None
    uses: int
    uses_max: int
    claim_ref: str | None
    policy_ref: str | None
    window_from: date
    window_to: date
    guardian_relation: str | None

    def facts(self) -> ConsentFacts:
        """What the rules are told of it, as it stands at that moment (`PolicyInput.consent`)."""
        return ConsentFacts(
            id=self.id,
            state=self.state,
            receiver=self.tenant_id,
            scenario=self.scenario,
            purpose_code=self.purpose_code,
            services=self.services,
            scopes=self.scopes,
            subject_ref=self.subject_ref,
            claim_ref=self.claim_ref or "",
            policy_ref=self.policy_ref or "",
            window_from=self.window_from,
            window_to=self.window_to,
            valid_from=self.valid_from,
            valid_to=self.valid_to,
            uses=self.uses,
            uses_max=self.uses_max,
            minor=self.guardian_relation is not None,
            guardian_relation=self.guardian_relation or "",
        )


def for_token(
    session: Session, consent_id: str, tenant_id: str, now: datetime
) -> ConsentView | None:
    """The consent if it was asked for by this tenant; read in the caller's transaction."""
    found = find(session, consent_id)
    if found is None or found.tenant_id != tenant_id:
        return None
    return view(found, now)


def view(consent: Consent, now: datetime) -> ConsentView:
    """The view of a consent already read."""
    return ConsentView(
        id=consent.id,
        tenant_id=consent.tenant_id,
        client_id=consent.client_id,
        state=consent.state_at(now),
        scenario=consent.scenario,
        purpose_code=consent.purpose_code,
        services=consent.services,
        scopes=consent.scopes,
        subject_ref=consent.subject_ref,
        answer_by=consent.answer_by,
        valid_from=consent.valid_from,
        valid_to=consent.valid_to,
        uses=consent.uses,
        uses_max=consent.uses_max,
        claim_ref=consent.claim_ref,
        policy_ref=consent.policy_ref,
        window_from=consent.window_from,
        window_to=consent.window_to,
        guardian_relation=str(consent.guardian["relation"]) if consent.guardian else None,
    )
