"""Who a question is about and how things stand with it, before the policy is asked.

Whoever is named, the same is read in the same order: that a person exists shows in nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final

from gateway.claims.asking import Asked
from gateway.claims.book import Asker, Book, Standing
from gateway.consent.people import age_on
from gateway.consent.tokens import ConsentView
from gateway.identity.model import EVERYTHING, Grant
from gateway.persons.port import Known, PersonSource
from gateway.serving.model import Case
from gateway.serving.persons import PersonPart, person_part
from gateway.serving.pinning import NO_GRANT

OWN_WORD: Final = 14
"""Whom the source knows to be younger cannot consent alone, in any scenario."""


@dataclass(frozen=True)
class Party:
    """The person named, what is known of them, and how consent, lock and counts stand; repr
    shows nobody."""

    subject: str
    known: Known | None
    standing: Standing

    def __repr__(self) -> str:
        return "Party(…)"

    @property
    def scopes(self) -> tuple[str, ...]:
        """What the person gave."""
        consent = self.standing.consent
        return () if consent is None else consent.scopes

    @property
    def agreed(self) -> tuple[date, date]:
        """First and last day of the data the consent opens."""
        consent = self.standing.consent
        return (date.max, date.min) if consent is None else (consent.window_from, consent.window_to)

    @property
    def awaited(self) -> bool:
        """Whether the client's own request for consent still awaits its person: asking meanwhile
        learns nothing and is no probing."""
        consent = self.standing.consent
        return consent is not None and consent.state == "AWAITING_PERSON"

    def part(self, ask: Asked, case: Case, stopped: Collection[str], today: date) -> PersonPart:
        """As the policy reads it. A locked pair and a person who has died count as stopped; who is
        not in the source is nobody's subject; a child is one by the source, whatever was said."""
        consent = self.standing.consent
        if case.caller.consent_id not in (None, ask.consent_id):
            consent = None  # a token of one consent opens no other
        part = person_part(ask.consent_id, consent, self.subject, stopped)
        died = self.known is not None and self.known.died is not None and self.known.died <= today
        facts, born = part.consent, None if self.known is None else self.known.born
        if facts is not None and born is not None and age_on(born, today) < OWN_WORD:
            facts = facts.model_copy(update={"minor": True})
        return replace(
            part,
            consent=facts,
            subject_ref=None if self.known is None else self.subject,
            subject_stopped=part.subject_stopped or self.standing.locked or died,
        )

    def without_consent(self) -> Party:
        """The same, as if no consent had been found."""
        return replace(self, standing=replace(self.standing, consent=None))

    def as_answered(self) -> Party:
        """For an answer repeated under its key: the use it took is not counted against it."""
        consent = self.standing.consent
        if consent is None or not consent.uses:
            return self
        state = "AUTHORISED" if consent.state == "CONSUMED" else consent.state
        view: ConsentView = replace(consent, state=state, uses=consent.uses - 1)
        return replace(self, standing=replace(self.standing, consent=view, calls_today=0))


async def find_party(book: Book, source: PersonSource, case: Case, ask: Asked, grant: str) -> Party:
    """Look everything up."""
    caller, now = case.caller, case.stamp.time
    subject = book.subjects.reference(ask.certno.get_secret_value())
    asker = Asker(caller.tenant_id, caller.client_id)
    standing = await asyncio.to_thread(book.standing, ask.consent_id, asker, grant, subject, now)
    return Party(subject, await source.known(subject), standing)


def find_grant(grants: Iterable[Grant], service: str, ask: Asked, today: date) -> Grant | None:
    """The grant named, or the first active one that covers the service; the policy judges it."""
    covering = sorted((one for one in grants if service in one.services), key=lambda one: one.id)
    if ask.grant_id is not None:
        return next((one for one in covering if one.id == ask.grant_id), None)
    return next(iter([*(one for one in covering if one.is_active(today)), *covering]), None)


def grant_id(grant: Grant | None, ask: Asked) -> str:
    """What the policy is told: the name given, that found, or none."""
    return grant.id if grant is not None else ask.grant_id or NO_GRANT


def places(grant: Grant | None, regions: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    """The cities and counties of a grant. They are the grant's and not the person's: a refusal
    for a region must not tell where somebody is insured."""
    if grant is None:
        return ()
    if EVERYTHING in grant.regions:
        named = {code for code, one in regions.items() if one.get("level") == "city"}
    else:
        inside = {code for code, one in regions.items() if one.get("parent") in grant.regions}
        provinces = {c for c in grant.regions if regions.get(c, {}).get("level") == "province"}
        cities = {c for c in inside if regions[c].get("parent") in provinces}
        named = ({*grant.regions} - provinces) | cities
    return tuple(sorted(c for c in named if regions.get(c, {}).get("data_open", True)))
