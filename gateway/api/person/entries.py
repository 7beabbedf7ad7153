"""Consents, events and accesses as a person reads them."""

from __future__ import annotations

from datetime import datetime

from gateway.api.person import pages
from gateway.api.person.office import Office
from gateway.api.person.pages import Entry, Happened, Looked, told
from gateway.consent.history import Access
from gateway.consent.notice import Language, moment_text
from gateway.consent.people import Person
from gateway.consent.record import NOT_ANSWERED, Consent
from gateway.db.consent_tables import ConsentEventRow
from gateway.pages.browser import Taste

_LIVE = ("AUTHORISED", "SUSPENDED")


def entry_of(
    office: Office, person: Person, consent: Consent, taste: Taste, now: datetime
) -> Entry:
    """One line of the person's list."""
    language, state = taste.language, consent.state_at(now)
    notice = office.consents.notice(consent, language)
    ward = person.ward(consent.subject_ref or "")
    until, ended = consent.valid_to, consent.ended_at
    return Entry(
        id=consent.id,
        receiver=notice.receiver.name,
        product=notice.receiver.product,
        scenario=notice.scenario,
        titles=notice.titles(consent.scopes),
        child=ward.shown if ward else "",
        state=state,
        state_text=told(language)[f"state_{state.lower()}"],
        valid_to=moment_text(until, language) if until else "",
        ended=moment_text(ended, language) if ended else "",
        uses=consent.uses,
        uses_max=consent.uses_max,
        can_end=state in _LIVE,
    )


def happened(row: ConsentEventRow, language: Language) -> Happened:
    """One event of a consent in words."""
    words = pages.words()
    what = "not_answered" if row.reason == NOT_ANSWERED else row.act
    return Happened(
        time=moment_text(row.at, language),
        what=words[f"act_{what}"][language],
        who=words[f"actor_{row.actor_kind}"][language],
    )


def looked(office: Office, access: Access, language: Language) -> Looked:
    """One access in words."""
    tenant = office.consents.snapshot().tenants.get(access.tenant)
    service = office.consents.rules_for(access.tenant).services.get(access.service)
    named = (service.name_zh if language == "zh" else service.name_en) if service else ""
    return Looked(
        access=access,
        time=moment_text(datetime.fromisoformat(access.time), language),
        receiver=tenant.name if tenant else access.tenant,
        service=named or access.service,
    )
