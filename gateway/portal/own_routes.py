"""HTTP of the signed-in part: the door, pages of one's own, and the form that asks the sandbox."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, TypeAlias

import anyio.from_thread
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.conformance import about, begin
from gateway.api.person.browser import check_form
from gateway.api.presented import presented
from gateway.api.statements import PDF, form_of, forms_of, headers_of, own_paper
from gateway.conformance.book import Book
from gateway.errors import NotFound, SluiceError, Unauthenticated
from gateway.identity.caller import Caller
from gateway.journal.entry import Entry, login_failed
from gateway.pages.browser import one, read_fields
from gateway.pages.drawing import go
from gateway.portal import own, trying
from gateway.portal.beginning import PORTAL
from gateway.portal.examining import examining
from gateway.portal.frame import HOME, Page, show
from gateway.portal.own_pages import EnterPage, SignInPage
from gateway.portal.routes import page_route, stopped
from gateway.portal.sessions import LIFE, Member, MemberIdentity
from gateway.portal.trying import Outcome
from gateway.portal.visits import COOKIE, Portal, Visit, open_visit
from gateway.serving.accept import CSV, JSON

Own: TypeAlias = Callable[[Visit, Member], Page]
OWN: Final = f"{HOME}/own"
_FORMS: Final = {"json": JSON, "csv": CSV, "pdf": PDF}


def own_router(portal: Portal) -> APIRouter:
    """The door and everything behind it."""
    router = APIRouter()
    pages: dict[str, Own] = {
        "": _home,
        "/usage": _usage,
        "/statements": _statements,
        "/packs": lambda visit, _: own.packs(visit.portal.jobs, visit.language),
        "/packs/{pack}": _pack,
        "/jobs": _jobs,
        "/jobs/{job}": partial(_job, validation=False),
        "/validations/{job}": partial(_job, validation=True),
        "/try": _try,
        "/conformance": _examined,
    }
    for address, build in pages.items():
        route = page_route(portal, partial(_signed_in, build))
        router.add_route(f"{OWN}{address}", route, ["GET"])
    router.add_route(f"{OWN}/try", partial(_asked, portal), ["POST"])
    router.add_route(f"{OWN}/conformance", partial(_examining, portal), ["POST"])
    router.add_route(f"{OWN}/statements/{{number}}", partial(_downloaded, portal), ["GET"])
    router.add_route(f"{HOME}/enter/{{link}}", page_route(portal, _invited), ["GET"])
    router.add_route(f"{HOME}/enter/{{link}}", partial(_entered, portal), ["POST"])
    router.add_route(f"{HOME}/sign-in", page_route(portal, _sign_in), ["GET"])
    router.add_route(f"{HOME}/sign-out", partial(_left, portal), ["POST"])
    return router


def _signed_in(build: Own, visit: Visit) -> Page:
    """A page of one's own; strangers are told how to get in."""
    return build(visit, _member(visit))


def _member(visit: Visit) -> Member:
    if visit.member is None:
        raise Unauthenticated(
            "portal_signed_out",
            "Sign in with a link that your client asks for: see how at /portal/sign-in.",
            "请先登录：用客户端获取一次性链接，方法见 /portal/sign-in。",
            www_authenticate='Cookie realm="portal"',
        )
    return visit.member


def _caller(visit: Visit, member: Member) -> Caller:
    """The client as the job desk knows it; looking at its own jobs needs no more."""
    identity = MemberIdentity(member, visit.portal.sessions, visit.portal.trying.desk.env)
    return identity.verify(None, visit.presented, visit.now)


def _home(visit: Visit, member: Member) -> Page:
    portal = visit.portal
    running = portal.public.editions.cast.for_tenant(member.tenant_id)
    return own.home(portal.snapshot, running, member.tenant_id, visit.words)


def _usage(visit: Visit, member: Member) -> Page:
    portal = visit.portal
    running = portal.public.editions.cast.for_tenant(member.tenant_id)
    asked = visit.asked("month")
    return own.usage(portal.looking, running, member.tenant_id, asked, now=visit.now, w=visit.words)


def _statements(visit: Visit, member: Member) -> Page:
    engine = visit.portal.identity.engine
    return own.statements(engine, member.tenant_id, visit.asked("after"), visit.words)


def _pack(visit: Visit, _member: Member) -> Page:
    return own.pack(visit.portal.jobs, visit.at["pack"], visit.language, visit.words)


def _jobs(visit: Visit, member: Member) -> Page:
    return own.job_list(visit.portal.jobs, _caller(visit, member), visit.words)


def _job(visit: Visit, member: Member, validation: bool) -> Page:
    return own.one_job(
        visit.portal.jobs,
        _caller(visit, member),
        visit.at["job"],
        validation=validation,
        base_url=visit.portal.identity.issuer,
        w=visit.words,
    )


def _examined(visit: Visit, member: Member) -> Page:
    book, seen = _suite(visit.portal), (visit.language, visit.words)
    return examining(book, member.client_id, visit.form, visit.now, seen)


def _suite(portal: Portal) -> Book:
    if portal.conformance is None:
        raise NotFound("sandbox_only", "Only the sandbox examines clients.", "仅沙箱提供该测试。")
    return portal.conformance


async def _examining(portal: Portal, request: Request) -> Response:
    """Start a run, or end the one that goes on; then the page."""
    fields = await read_fields(request)

    def act() -> Response:
        visit = open_visit(portal, request)
        try:
            member, book = _member(visit), _suite(portal)
            check_form(request, one(fields, "form"), visit.form)
            identity, client = portal.identity, member.client_id
            if one(fields, "do") == "start":
                begin(book, identity, client, visit.now)
            elif (run := book.live(client, visit.now)) is not None:
                facts = about(identity.issuer, portal.snapshot, client)
                book.end(run, facts, visit.now)
        except SluiceError as error:
            return stopped(visit, error)
        return go(f"{OWN}/conformance")

    return await portal.in_thread(act)


def _try(visit: Visit, member: Member) -> Page:
    return _tried(visit, member, (visit.asked("service"), ""), Outcome())


def _tried(visit: Visit, member: Member, asked: tuple[str, str], outcome: Outcome) -> Page:
    running = visit.portal.public.editions.cast.for_tenant(member.tenant_id)
    return trying.page(
        running,
        asked,
        outcome,
        grants=running.grants_for(member.tenant_id),
        form=visit.form,
        sandbox=visit.portal.trying.open,
        language=visit.language,
    )


async def _asked(portal: Portal, request: Request) -> Response:
    """The form was sent: ask the desk, show what came of it."""
    fields = await read_fields(request)
    visit = await portal.in_thread(lambda: open_visit(portal, request))
    try:
        member = _member(visit)
        check_form(request, one(fields, "form"), visit.form)
        asked = (one(fields, "service"), one(fields, "question"))
        if not portal.trying.open:
            raise NotFound(
                "sandbox_only", "Only the sandbox is asked from a page.", "仅沙箱可试用。"
            )
        outcome = await portal.trying.ask(request, member, asked, visit.now, visit.language)
        page = await portal.in_thread(lambda: _tried(visit, member, asked, outcome))
        return show(page, visit.frame(), portal.cookies)
    except SluiceError as error:
        return stopped(visit, error)


async def _downloaded(portal: Portal, request: Request) -> Response:
    """A paper of one's own as a file, byte for byte as it was sealed."""

    def found() -> Response:
        visit = open_visit(portal, request)
        try:
            tenant = _member(visit).tenant_id
            paper = own_paper(portal.identity.engine, tenant, visit.at["number"])
            form = _FORMS.get(visit.asked("form") or "json", JSON)
            form = form if form in forms_of(paper) else JSON
            return Response(form_of(paper, form), media_type=form, headers=headers_of(paper, form))
        except SluiceError as error:
            return stopped(visit, error)

    return await portal.in_thread(found)


def _sign_in(visit: Visit) -> Page:
    return SignInPage(PORTAL.format(base=visit.portal.identity.issuer))


def _invited(visit: Visit) -> Page:
    """Whom the link is for; looking at it does not use it up, as mail scanners look too."""
    member = visit.portal.sessions.invited(visit.at["link"], visit.now)
    tenant = visit.portal.snapshot.tenants[member.tenant_id]
    return EnterPage(f"{tenant.name} ({tenant.id})", member.client_id, visit.path)


async def _entered(portal: Portal, request: Request) -> Response:
    """The link is used up; on record before the browser has its cookie."""
    return await portal.in_thread(lambda: _enter(portal, request))


def _enter(portal: Portal, request: Request) -> Response:
    visit = open_visit(portal, request)
    try:
        check_form(request, visit.path, visit.path)
        shown = presented(request)
        member, token = portal.sessions.enter(visit.at["link"], shown, visit.now)
    except SluiceError as error:
        _record_failure(portal, error.code, visit)
        return stopped(visit, error)
    _record(portal, member, visit)
    response = go(OWN)
    portal.cookies.put(response, COOKIE, token, int(LIFE.total_seconds()))
    return response


def _record(portal: Portal, member: Member, visit: Visit) -> None:
    stamp = portal.trying.desk.journal.stamp(visit.now)
    audit = {
        "kind": "login",
        "result": "done",
        "reason": "portal_session",
        "tenant": member.tenant_id,
        "session": member.session_id,
        "actor": {"client": member.client_id, "ip": visit.presented.ip},
    }
    entry = Entry(stamp.event_id, stamp.event_id, stamp.time, None, audit, None)
    anyio.from_thread.run(portal.trying.desk.journal.record, entry)


def _record_failure(portal: Portal, code: str, visit: Visit) -> None:
    """A link that opens nothing was tried; many alike become one event."""
    desk, ip = portal.trying.desk, visit.presented.ip
    stamp = desk.journal.stamp(visit.now)
    if count := desk.door.failures.take(code, ip, stamp.time):
        entry = login_failed(stamp.event_id, stamp.time, code, ip, count)
        anyio.from_thread.run(desk.journal.record, entry)


async def _left(portal: Portal, request: Request) -> Response:
    """Sign out; a session that is over already is as good."""
    fields = await read_fields(request)

    def leave() -> Response:
        visit = open_visit(portal, request)
        if visit.member is not None:
            try:
                check_form(request, one(fields, "form"), visit.form)
            except SluiceError as error:
                return stopped(visit, error)
            portal.sessions.end(visit.token)
        response = go(HOME)
        portal.cookies.drop(response, COOKIE)
        return response

    return await portal.in_thread(leave)
