"""A person's own pages: sign in, see consents and end each with two clicks, see who looked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, TypeAlias

from fastapi import APIRouter, Depends, Request, Response
from starlette.responses import FileResponse

from gateway.api.person import pages
from gateway.api.person.browser import HOME_LIFE, check_form, form_token
from gateway.api.person.entries import entry_of, happened, looked
from gateway.api.person.login import METHODS, Simulated
from gateway.api.person.mine import end_consent, my_accesses, my_consent, my_consents, my_history
from gateway.api.person.office import Office, PersonOffice
from gateway.api.person.pages import STYLE, Frame
from gateway.api.person.screens import methods, people, send_upstream, stopped
from gateway.api.person.upstream import Upstream
from gateway.api.presented import presented
from gateway.api.threads import in_thread
from gateway.consent.people import Person
from gateway.consent.sessions import (
    HOME,
    Held,
    close_session,
    open_session,
    read_session,
)
from gateway.db.engine import reading, writing
from gateway.errors import SluiceError
from gateway.pages.browser import Fields, Taste, new_secret, one, read_fields, taste
from gateway.pages.drawing import go

router = APIRouter(prefix="/person", include_in_schema=False)

PostedFields: TypeAlias = Annotated[Fields, Depends(read_fields)]
SESSION, BROWSER = "me", "browser"
LIST = "/person/consents"


@dataclass(frozen=True)
class Home:
    """A person at home: the office, who is signed in, how they like their pages."""

    office: Office
    held: Held | None
    browser: str
    taste: Taste
    now: datetime
    path: str
    ip: str

    def form(self) -> str:
        """The token of this browser's forms: of its session, or of its secret before sign-in."""
        if self.held is not None:
            return form_token(self.office.subjects, HOME, self.held.digest)
        return form_token(self.office.subjects, HOME, "nobody", self.browser)

    def show(self, page: pages.Page, cookies: dict[str, tuple[str, int]] | None = None) -> Response:
        frame = Frame(
            taste=self.taste,
            path=self.path,
            signed_in=self.held.person.shown if self.held else "",
            simulated=self.office.login.kind == "simulated",
            home=self.held is not None,
            cookies=cookies or {},
        )
        return pages.show(page, frame, self.office.cookies)


def at_home(request: Request, office: PersonOffice) -> Home:
    """Who is at this browser."""
    now = office.clock()
    with reading(office.engine) as session:
        text = office.cookies.get(request, SESSION)
        held = read_session(session, office.subjects, text, HOME, now)
    browser = office.cookies.get(request, BROWSER)
    path, ip = request.url.path, presented(request).ip
    return Home(office, held, browser, taste(request, office.cookies), now, path, ip)


AtHome: TypeAlias = Annotated[Home, Depends(at_home)]


@router.get("")
def start() -> Response:
    """The way in."""
    return go(LIST)


@router.get("/static/person.css")
def style() -> Response:
    """The one style sheet."""
    return FileResponse(STYLE, media_type="text/css", headers={"Cache-Control": "max-age=3600"})


@router.get("/sign-in")
def sign_in_form(home: AtHome) -> Response:
    """Prove who you are, to see your own consents."""
    browser = home.browser or new_secret()
    known = Home(home.office, home.held, browser, home.taste, home.now, home.path, home.ip)
    page = pages.SignIn(
        action="/person/sign-in",
        form=known.form(),
        kind=home.office.login.kind,
        receiver="",
        people=people(home.office.login, home.taste.language),
        methods=methods(home.taste.language, frozenset(METHODS)),
        leave="",
    )
    return known.show(page, {BROWSER: (browser, HOME_LIFE)})


@router.post("/sign-in")
async def sign_in(request: Request, home: AtHome, fields: PostedFields) -> Response:
    """Let a person in, with a secret that did not exist before."""
    return await in_thread(home.office.sign_in_threads, _let_in, request, home, fields)


def _let_in(request: Request, home: Home, fields: Fields) -> Response:
    try:
        check_form(request, one(fields, "form"), home.form())
        return _sign_in(home, fields)
    except SluiceError as error:
        return stopped(request, home.office, error)


def _sign_in(home: Home, fields: Fields) -> Response:
    login = home.office.login
    if isinstance(login, Upstream):
        return send_upstream(home.office, login, HOME, home.now)
    if not isinstance(login, Simulated):
        return go("/person/sign-in")
    person = login.sign_in(one(fields, "person"), one(fields, "method"), home.now)
    return signed_in(home.office, person, home.ip, home.now)


def signed_in(office: Office, person: Person, ip: str, now: datetime) -> Response:
    """A fresh session, and on to the list."""
    with writing(office.engine) as session:
        secret = open_session(session, office.subjects, HOME, person, now)
    office.audit.signed_in(person, ip, now)
    response = go(LIST)
    office.cookies.put(response, SESSION, secret, HOME_LIFE)
    return response


@router.post("/sign-out")
def sign_out(request: Request, home: AtHome, fields: PostedFields) -> Response:
    """End the session, here and in this browser."""
    try:
        check_form(request, one(fields, "form"), home.form())
    except SluiceError as error:
        return stopped(request, home.office, error)
    if home.held is not None:
        with writing(home.office.engine) as session:
            close_session(session, home.held)
    response = go("/person/sign-in")
    home.office.cookies.drop(response, SESSION)
    return response


@router.get("/consents")
def consents(home: AtHome) -> Response:
    """Everything this person ever agreed to, what is in force first."""
    if home.held is None:
        return go("/person/sign-in")
    found = my_consents(home.office.consents, home.held.person)
    listed = [entry_of(home.office, home.held.person, each, home.taste, home.now) for each in found]
    live = [each for each in listed if each.can_end]
    over = [each for each in listed if not each.can_end]
    return home.show(pages.MyConsents(live, over, home.form()))


@router.get("/consents/{consent_id}")
def one_consent(request: Request, home: AtHome, consent_id: str) -> Response:
    """One consent in full, with its history."""
    if home.held is None:
        return go("/person/sign-in")
    person, language = home.held.person, home.taste.language
    try:
        consent = my_consent(home.office.consents, person, consent_id)
    except SluiceError as error:
        return stopped(request, home.office, error)
    events = my_history(home.office.consents, consent)
    page = pages.MyConsent(
        entry=entry_of(home.office, person, consent, home.taste, home.now),
        notice=home.office.consents.notice(consent, language),
        history=[happened(each, language) for each in events],
        just_ended="ended" in request.query_params,
        form=home.form(),
    )
    return home.show(page)


@router.get("/consents/{consent_id}/end")
def confirm_end(request: Request, home: AtHome, consent_id: str) -> Response:
    """The first click: is this the one?"""
    if home.held is None:
        return go("/person/sign-in")
    person = home.held.person
    try:
        consent = my_consent(home.office.consents, person, consent_id)
    except SluiceError as error:
        return stopped(request, home.office, error)
    entry = entry_of(home.office, person, consent, home.taste, home.now)
    if not entry.can_end:
        return go(f"{LIST}/{consent.id}")
    refusal = home.office.consents.notice(consent, home.taste.language).refusal
    return home.show(pages.EndPage(f"{LIST}/{consent.id}/end", home.form(), entry, refusal))


@router.post("/consents/{consent_id}/end")
def end(request: Request, home: AtHome, consent_id: str, fields: PostedFields) -> Response:
    """The second click: it is ended, and with it every token."""
    try:
        check_form(request, one(fields, "form"), home.form())
        if home.held is None:
            return go("/person/sign-in")
        end_consent(home.office, home.held.person, consent_id, home.ip, home.now)
    except SluiceError as error:
        return stopped(request, home.office, error)
    return go(f"{LIST}/{consent_id}?ended")


@router.get("/accesses")
def accesses(home: AtHome) -> Response:
    """Who looked at this person's record."""
    if home.held is None:
        return go("/person/sign-in")
    found = my_accesses(home.office, home.held.person)
    shown = [looked(home.office, each, home.taste.language) for each in found]
    return home.show(pages.MyAccesses(shown, home.form()))
