"""The console's door: signing in and out, and taking up an invitation; no session is needed."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import Response

from gateway.api.admin.asking import check_same_site
from gateway.api.admin.cookies import device_cookie, session_cookie, set_cookies
from gateway.api.admin.door import AcceptForm, ConfirmForm, SignInForm, accept, confirm
from gateway.api.admin.endpoint import as_http
from gateway.api.presented import presented
from gateway.api.threads import in_thread
from gateway.console.desk import HOME, Desk, Visit, open_visit
from gateway.console.drawing import draw, frame_of, sentence_of
from gateway.console.pages import EnteredPage, InvitationPage, Notice, SignInPage
from gateway.db.engine import writing
from gateway.errors import OperatorError, SluiceError
from gateway.identity.entries import Entry, check_entry
from gateway.pages.browser import Fields, one, read_fields
from gateway.pages.drawing import go
from gateway.staff import sessions
from gateway.staff.signing_in import Attempt, SignedIn

FormType = TypeVar("FormType", bound=Entry)


async def sign_in(desk: Desk, request: Request) -> Response:
    """The page by GET; by POST a new session, or the page again with the one refusal there is."""
    if request.method == "GET":
        return await in_thread(desk.office.threads, _sign_in_page, desk, request)
    check_same_site(desk.office, request)
    said = await read_fields(request)
    try:
        attempt = _attempt(desk, request, said)
        signed_in = await in_thread(desk.office.door_threads, desk.office.door.sign_in, attempt)
    except SluiceError as error:
        visit = await in_thread(desk.office.threads, open_visit, desk, request)
        return _again(visit, said, error)
    return _entered(desk, said, signed_in)


def _attempt(desk: Desk, request: Request, said: Fields) -> Attempt:
    form = _form(SignInForm, said, ("name", "password", "code"))
    return Attempt(
        name=form.name,
        password=form.password,
        code=form.code,
        ip=presented(request).ip,
        device=request.cookies.get(device_cookie(desk.office), ""),
        session=request.cookies.get(session_cookie(desk.office), ""),
    )


def _form(form: type[FormType], said: Fields, names: tuple[str, ...]) -> FormType:
    """The form's values; what does not fit is told without being repeated."""
    try:
        return check_entry(form, {name: one(said, name) for name in names}, "form")
    except OperatorError as error:
        raise as_http(error) from error


def _entered(desk: Desk, said: Fields, signed_in: SignedIn) -> Response:
    return set_cookies(desk.office, go(next_page(one(said, "next"))), signed_in)


def next_page(asked: str) -> str:
    """Where to go after signing in: a page of ours, whatever a stranger put into the address."""
    known = asked.startswith(f"{HOME}/") and asked.isascii() and not set(asked) & set("\\?#:\r\n")
    return asked if known and "//" not in asked else f"{HOME}/overview"


async def entered(desk: Desk, request: Request) -> Response:
    """After single sign-on: from here on the browser comes from our own page, with its cookie."""
    return await in_thread(desk.office.threads, _entered_page, desk, request)


def _entered_page(desk: Desk, request: Request) -> Response:
    visit = open_visit(desk, request)
    page = EnteredPage(visit.words.page_entered, "", f"{HOME}/overview")
    return draw(visit, page, frame_of(visit))


def _sign_in_page(desk: Desk, request: Request) -> Response:
    visit = open_visit(desk, request)
    return draw(visit, _page(visit, visit.query.get("next", "")), frame_of(visit))


def _page(visit: Visit, next_: str) -> SignInPage:
    words = visit.words
    return SignInPage(words.page_sign_in, words.lead_sign_in, next_page(next_), visit.desk.upstream)


def _again(visit: Visit, said: Fields, error: SluiceError) -> Response:
    stranger = replace(visit, visitor=None)
    notice = Notice(sentence_of(visit, error), "stop")
    page = _page(stranger, one(said, "next"))
    return draw(stranger, page, frame_of(stranger, notice=notice), error.status)


async def sign_out(desk: Desk, request: Request) -> Response:
    """End this session; without one there is nothing to end."""
    check_same_site(desk.office, request)
    said = await read_fields(request)
    await in_thread(desk.office.threads, _end, desk, request, one(said, "csrf"))
    return go(f"{HOME}/sign-in")


def _end(desk: Desk, request: Request, csrf: str) -> None:
    visit = open_visit(desk, request)
    if visit.visitor is not None:
        visit.act("me.sign_out", {}, {}, csrf)
        with writing(desk.office.engine) as session:
            sessions.end_session(session, visit.token, sealer=desk.office.sealer)


async def invitation(desk: Desk, request: Request) -> Response:
    """Take up an account: choose a password, set up the authenticator, show that it works."""
    office = desk.office
    if request.method == "GET":
        return await in_thread(office.threads, _invitation_page, desk, request)
    check_same_site(office, request)
    said = await read_fields(request)
    return await in_thread(office.door_threads, _take_up, desk, request, said)


def _invitation_page(desk: Desk, request: Request) -> Response:
    visit = open_visit(desk, request)
    return draw(visit, _invited(visit), frame_of(visit))


def _invited(visit: Visit, invited: str = "", **told: object) -> InvitationPage:
    words = visit.words
    page = InvitationPage(
        title=words.page_invitation,
        lead=words.lead_invitation,
        invitation=invited,
        totp="",
        recovery_codes=(),
        vouching_code="",
        done=False,
    )
    return replace(page, **told)  # type: ignore[arg-type]  # fields of the page itself


def _take_up(desk: Desk, request: Request, said: Fields) -> Response:
    """The step whose fields were sent; an error shows the same step again."""
    visit, token = open_visit(desk, request), one(said, "invitation").strip()
    try:
        told = _confirmed(desk, said) if "code" in said else _accepted(desk, said)
    except SluiceError as error:
        fault = as_http(error) if isinstance(error, OperatorError) else error
        notice = Notice(sentence_of(visit, fault), "stop")
        kept = {"totp": one(said, "totp")} if "code" in said else {}
        page = _invited(visit, token, **kept)
        return draw(visit, page, frame_of(visit, notice=notice), fault.status)
    return draw(visit, _invited(visit, token, **told), frame_of(visit))


def _accepted(desk: Desk, said: Fields) -> dict[str, object]:
    form = _form(AcceptForm, said, ("invitation", "password"))
    answer = accept(desk.office, form)
    assert isinstance(answer, dict)  # noqa: S101 — the operation answers a document
    codes = answer["recovery_codes"]
    assert isinstance(codes, list)  # noqa: S101 — of texts, as the operation says
    return {"totp": answer["totp"], "recovery_codes": codes}


def _confirmed(desk: Desk, said: Fields) -> dict[str, object]:
    answer = confirm(desk.office, _form(ConfirmForm, said, ("invitation", "code")))
    assert isinstance(answer, dict)  # noqa: S101 — the operation answers a document
    return {"done": True, "vouching_code": answer["vouching_code"] or ""}
