"""One visit from the authorisation server: read it, see who is signed in, decide what comes next.

Everything a route of `interactions` needs, so that a route parses, makes one call and answers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime

from fastapi import Request
from sqlalchemy.orm import Session

from gateway.api.person.audit import Act
from gateway.api.person.browser import HOME_LIFE, check_form, form_token
from gateway.api.person.office import Office
from gateway.api.person.pages import Frame
from gateway.api.presented import presented
from gateway.authserver.interaction import (
    Approved,
    Denied,
    Interaction,
    InteractionGone,
    cookie_name,
)
from gateway.consent import changes
from gateway.consent.changes import Answer, Deed
from gateway.consent.notice import Notice, fixed_scopes
from gateway.consent.people import Person
from gateway.consent.record import SENSITIVE, Actor, Consent, ConsentConflict, Document, Guardian
from gateway.consent.rules import Rule
from gateway.consent.sessions import Held, close_session, open_session, read_session, remember
from gateway.consent.states import ENDED
from gateway.consent.steps import Step, given_scopes, next_step
from gateway.consent.store import find
from gateway.db.engine import reading, writing
from gateway.errors import BadRequest
from gateway.pages.browser import Fields, Taste, one, taste

ANSWERABLE = frozenset({"whose", "guardian", "consent", "sensitive", "ready"})
"""Screens of somebody who may answer, and so may say no."""
SESSION = "visit"
"""The cookie of a session that serves one visit."""


@dataclass(frozen=True)
class Visit:
    """A live visit: what is asked, by whom, and who is signed in."""

    office: Office
    interaction: Interaction
    browser: str
    consent: Consent | None
    held: Held | None
    taste: Taste
    now: datetime
    ip: str

    @property
    def id(self) -> str:
        return self.interaction.id

    @property
    def receiver(self) -> str:
        """The organisation's name in the directory; never what a client calls itself."""
        tenants = self.office.consents.snapshot().tenants
        tenant = tenants.get(self.interaction.tenant_id)
        return tenant.name if tenant else self.interaction.tenant_id

    @property
    def rule(self) -> Rule:
        if self.consent is None:
            raise InteractionGone
        rules = self.office.consents.rules_for(self.consent.tenant_id)
        return rules.scenarios[self.consent.scenario]

    @property
    def notice(self) -> Notice:
        if self.consent is None:
            raise InteractionGone
        return self.office.consents.notice(self.consent, self.taste.language)

    def over(self) -> bool:
        """Whether the consent asked for can no longer be answered."""
        return self.consent is not None and self.consent.state_at(self.now) in (
            *ENDED,
            "SUSPENDED",
        )

    def form(self) -> str:
        """The token of this visit's forms: of this browser, this visit and this sign-in."""
        signed_in = self.held.digest if self.held else "nobody"
        return form_token(self.office.subjects, self.browser, self.id, signed_in)

    def step(self) -> Step | None:
        """The next screen; None when nobody is signed in or only identity is asked."""
        if self.held is None or self.consent is None:
            return None
        return next_step(self.consent, self.held.person, self.held.answer, self.rule)

    def frame(
        self, status: int = 200, cookies: Mapping[str, tuple[str, int]] | None = None
    ) -> Frame:
        person = self.held.person if self.held else None
        return Frame(
            taste=self.taste,
            path=f"/person/interactions/{self.id}",
            signed_in=person.shown if person else "",
            simulated=self.office.login.kind == "simulated",
            send_to=self.interaction.redirect_uri,
            status=status,
            cookies=cookies or {},
        )

    def path(self, act: str = "") -> str:
        """Address of this visit, or of one of its forms."""
        return f"/person/interactions/{self.id}{f'/{act}' if act else ''}"


def open_visit(request: Request, office: Office, interaction_id: str) -> Visit:
    """The visit of this browser; raises `InteractionGone` for every other one."""
    now = office.clock()
    try:
        name = cookie_name(office.issuer, interaction_id)
        browser = request.cookies.get(name, "")
        interaction = office.interactions.read(interaction_id, browser, now)
    except ValueError as error:
        raise InteractionGone from error
    with reading(office.engine) as session:
        found = find(session, interaction.consent_id) if interaction.consent_id else None
        text = office.cookies.get(request, SESSION)
        held = read_session(session, office.subjects, text, interaction_id, now)
    if interaction.consent_id and (found is None or found.tenant_id != interaction.tenant_id):
        raise InteractionGone
    seen, ip = taste(request, office.cookies), presented(request).ip
    return Visit(office, interaction, browser, found, held, seen, now, ip)


def posted(visit: Visit, request: Request, fields: Fields) -> None:
    """Accept a form of this visit."""
    check_form(request, one(fields, "form"), visit.form())


def sign_in(visit: Visit, person: Person) -> tuple[str, str]:
    """Let a person in. Returns the session's secret, or where to send somebody not meant."""
    office = visit.office
    if visit.consent is not None:
        step = next_step(visit.consent, person, {}, visit.rule)
        if step.screen == "stranger":
            office.audit.another_person(person, visit.consent, visit.ip, visit.now)
            return "", leave(visit)
    with writing(office.engine) as session:
        secret = open_session(session, office.subjects, visit.id, person, visit.now)
    office.audit.signed_in(person, visit.ip, visit.now, visit.interaction.tenant_id)
    return secret, ""


def session_cookie(secret: str) -> dict[str, tuple[str, int]]:
    """The cookie of a new session."""
    return {SESSION: (secret, HOME_LIFE)}


def leave(visit: Visit) -> str:
    """End the visit without an answer to the consent; returns where to go."""
    with writing(visit.office.engine) as session:
        if visit.held is not None:
            close_session(session, visit.held)
        return visit.office.interactions.finish(
            session, visit.id, visit.browser, Denied(), visit.now
        )


def note(visit: Visit, said: Document) -> Visit:
    """Keep an answer for the next screen."""
    if visit.held is None:
        raise InteractionGone
    answer = {**visit.held.answer, **said}
    with writing(visit.office.engine) as session:
        remember(session, visit.held, answer)
    held = Held(visit.held.person, answer, visit.held.digest)
    return replace(visit, held=held)


def chosen_scopes(visit: Visit, fields: Fields) -> list[str]:
    """What was ticked, and what a yes always covers; never the sensitive scope."""
    if visit.consent is None:
        raise InteractionGone
    asked = visit.consent.scopes_asked
    ticked = set(fields.get("scope", ()))
    if not ticked <= set(asked) - {SENSITIVE}:
        raise BadRequest("invalid_parameter", "Only what is on the page can be chosen.")
    fixed = fixed_scopes(asked, visit.rule)
    return [each for each in asked if each in ticked or each in fixed]


def refuse(visit: Visit) -> str:
    """The person says no; returns where to go. A consent already in force is left as it is."""
    step, held, denied = visit.step(), visit.held, None
    with _recorded(visit, "deny") as conclusion:
        session = conclusion.session
        if held is not None and visit.consent and step is not None and step.screen in ANSWERABLE:
            actor = _actor(held.person, step.subject)
            deed = Deed(actor, visit.now, "refused", held.person.evidence.document())
            denied = changes.reject(session, visit.consent.id, deed)
        if held is not None:
            close_session(session, held)
        to = visit.office.interactions.finish(session, visit.id, visit.browser, Denied(), visit.now)
        conclusion.changed = denied
    return to


def approve(visit: Visit) -> str:
    """The person says yes: the consent and the code come into being together, or neither."""
    held = visit.held
    if held is None:
        raise InteractionGone
    subject, given = held.person.ref, None
    with _recorded(visit, "approve") as conclusion:
        session, step = conclusion.session, visit.step()
        if visit.consent is not None and step is not None:
            subject = step.subject or subject
            if step.screen == "ready":
                answer = _answer(visit, held, subject)
                given = changes.authorise(session, visit.consent.id, answer, visit.now)
            elif step.screen != "again":
                raise ConsentConflict("consent_unanswered", "A question is still open.")
        close_session(session, held)
        outcome = Approved(subject, held.person.evidence.time)
        to = visit.office.interactions.finish(session, visit.id, visit.browser, outcome, visit.now)
        conclusion.changed = given
    return to


@dataclass
class _Conclusion:
    """The transaction that ends a visit, and the consent it changes."""

    session: Session
    changed: Consent | None = None


@contextmanager
def _recorded(visit: Visit, act: Act) -> Iterator[_Conclusion]:
    """A transaction whose change of a consent the audit journal knows before it is in force.

    The entry comes last, when only the commit is left to fail: without the entry nothing is
    committed, and whoever sees an error has changed nothing. An entry whose commit failed after all
    is followed by one that says so; what is in force is always what the consents' own record says.
    """
    audit, told = visit.office.audit, None
    audit.refuse_when_down()  # before the write lock is taken
    try:
        with writing(visit.office.engine) as session:
            conclusion = _Conclusion(session)
            yield conclusion
            session.flush()
            if conclusion.changed is not None and visit.held is not None:
                audit.answered(act, visit.held.person, conclusion.changed, visit.ip, visit.now)
                told = visit.held.person, conclusion.changed
    except Exception:
        if told is not None:
            audit.not_kept(act, *told, visit.ip, visit.now)
        raise


def _answer(visit: Visit, held: Held, subject: str) -> Answer:
    person, notice = held.person, visit.notice
    if person.evidence.type not in visit.rule.evidence:
        raise ConsentConflict(
            "consent_evidence", "This consent needs another kind of sign-in.", "请换一种方式登录。"
        )
    if held.answer.get("hash") != notice.hash:
        raise ConsentConflict("consent_notice", "The text has changed; read it again.")
    ward = person.ward(subject) if subject != person.ref else None
    if ward is None and subject != person.ref:
        raise InteractionGone
    return Answer(
        subject_ref=subject,
        scopes=given_scopes(held.answer),
        language=notice.language,
        notice_version=notice.version,
        notice_hash=notice.hash,
        evidence=person.evidence,
        guardian=Guardian(person.ref, ward.relation, person.evidence) if ward else None,
    )


def _actor(person: Person, subject: str | None) -> Actor:
    guardian = subject is not None and subject != person.ref
    return Actor("guardian" if guardian else "person", person.ref)
