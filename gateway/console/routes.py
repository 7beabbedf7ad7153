"""HTTP of the console: cookies and forms in, pages out. No rule lives here.

Every page and act goes through the operations of `/admin/v1`; a stranger is sent to sign in, and
what an operation refuses becomes a page that says why and who may.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeAlias
from urllib.parse import quote, urlencode

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.admin.asking import check_same_site
from gateway.api.admin.endpoint import File, as_http, no_visitor
from gateway.api.admin.marks import LARGEST_FILE
from gateway.api.admin.office import Office
from gateway.api.admin.router import attached
from gateway.api.admin.upstream import ENTERED, Upstream
from gateway.api.threads import in_thread
from gateway.console import acting, door, listing
from gateway.console.desk import HOME, Desk, Visit, open_visit
from gateway.console.drawing import draw, frame_of, may_titles, sentence_of
from gateway.console.own import OWN
from gateway.console.pages import Link, Notice, Page, Refused
from gateway.console.site import read_site
from gateway.errors import OperatorError, SluiceError, Unauthenticated
from gateway.pages.browser import Fields, read_fields, read_upload
from gateway.pages.drawing import STATIC, asset, go
from gateway.pages.words import SHARED_WORDS, read_words

Build: TypeAlias = Callable[[Visit], Page]
WORDS = Path(__file__).parent / "words.yaml"
_ASSETS = {
    "/pages/icon.svg": STATIC / "icon.svg",
    "/pages/tokens.css": STATIC / "tokens.css",
    "/pages/htmx.min.js": STATIC / "htmx.min.js",
}


def open_console(office: Office, env: str, upstream: Upstream | None = None) -> APIRouter:
    """The console over an open office, beside its `/admin/v1`."""
    begins = "/admin/v1/single-sign-on" if upstream else ""
    return console_router(Desk(office, env, begins, read_site(), read_words(SHARED_WORDS, WORDS)))


def console_router(desk: Desk) -> APIRouter:
    """Every page of the site, the acts, and the door."""
    router = APIRouter()
    for address, file in _ASSETS.items():
        router.add_route(address, partial(_asset, file), ["GET"])
    _add_door(router, desk)
    for name, page in desk.site.pages.items():
        build = OWN[page.own] if page.own else partial(listing.listing, name=name)
        router.add_route(f"{HOME}/{name}", _page(desk, build, page.read), ["GET"])
        if page.opens:
            opened = OWN[page.own] if page.own else partial(_detail, name=name)
            shown = _page(desk, opened, page.one or page.read)
            router.add_route(f"{HOME}/{name}/{{entry:path}}", shown, ["GET"])
    router.add_route(f"{HOME}/do/{{operation}}", partial(_do, desk), ["GET", "POST"])
    return router


def _add_door(router: APIRouter, desk: Desk) -> None:
    router.add_route(HOME, _home, ["GET"])
    router.add_route(f"{HOME}/sign-in", partial(door.sign_in, desk), ["GET", "POST"])
    router.add_route(ENTERED, partial(door.entered, desk), ["GET"])
    router.add_route(f"{HOME}/sign-out", partial(door.sign_out, desk), ["POST"])
    router.add_route(f"{HOME}/invitation", partial(door.invitation, desk), ["GET", "POST"])


async def _home(_request: Request) -> Response:
    return go(f"{HOME}/overview")


async def _asset(file: Path, _request: Request) -> Response:
    return asset(file)


def _detail(visit: Visit, name: str, entry: str = "") -> Page:
    return listing.detail(visit, name, entry)


def _page(
    desk: Desk, build: Callable[..., Page], operation: str
) -> Callable[..., Awaitable[Response]]:
    """A route that shows a page; what cannot be shown says why."""
    heavy = desk.site.endpoint(operation).heavy

    def show(request: Request) -> Response:
        visit = open_visit(desk, request)
        try:
            if visit.visitor is None:
                raise no_visitor()
            if not visit.may(operation):
                raise _not_yours(visit, operation)
            page = build(visit, **request.path_params)
            return draw(visit, page, frame_of(visit, operation))
        except SluiceError as error:
            return refused(visit, error, operation)

    async def route(request: Request) -> Response:
        threads = desk.office.heavy_threads if heavy else desk.office.threads
        return await in_thread(threads, show, request)

    return route


async def _do(desk: Desk, request: Request) -> Response:
    """An act: its form by GET, the act itself by POST."""
    operation = request.path_params["operation"]
    if operation not in desk.site.endpoints:
        return refused(open_visit(desk, request), _unknown(), "")
    heavy = desk.site.endpoint(operation).heavy
    threads = desk.office.heavy_threads if heavy else desk.office.threads
    said: Fields | None = None
    if request.method == "POST":
        check_same_site(desk.office, request)
        # A stranger's form is not taken in: who asks is looked at first.
        visit = await in_thread(desk.office.threads, open_visit, desk, request)
        if visit.visitor is None:
            return refused(visit, no_visitor(), "")
        said = await _said(request, uploads=visit.may(operation))
    return await in_thread(threads, _done, desk, request, operation, said)


async def _said(request: Request, *, uploads: bool) -> Fields:
    """What the form said; a file is read only of who may send one."""
    if uploads and "multipart/form-data" in request.headers.get("content-type", ""):
        return await read_upload(request, LARGEST_FILE)
    return await read_fields(request)


def _done(desk: Desk, request: Request, operation: str, said: Fields | None) -> Response:
    visit = open_visit(desk, request)
    try:
        if visit.visitor is None:
            raise no_visitor()
        if said is None:
            return _form(visit, operation)
        answer = acting.send(visit, operation, said)
    except SluiceError as error:
        return _not_done(visit, operation, said, error)
    if isinstance(answer, File):
        return Response(answer.content, media_type=answer.media_type, headers=attached(answer))
    page = acting.told(visit, operation, answer)
    if page is not None:
        return draw(visit, page, frame_of(visit, operation))
    return go(f"{acting.back(visit, operation).href}?{urlencode({'done': operation})}")


def _form(visit: Visit, operation: str) -> Response:
    """The form, for whom may send it; an operation that only reads hands out what it answers."""
    if visit.desk.site.endpoint(operation).method == "GET":
        path = visit.desk.site.endpoint(operation).path
        at = {key: each for key, each in visit.query.items() if f"{{{key}}}" in path}
        answer = visit.read(operation, at, visit.query)
        if isinstance(answer, File):
            return Response(answer.content, media_type=answer.media_type, headers=attached(answer))
        raise _unknown()
    if not visit.may(operation):
        raise _not_yours(visit, operation)
    return draw(visit, acting.ask_for(visit, operation), frame_of(visit, operation))


def _not_done(visit: Visit, operation: str, said: Fields | None, error: SluiceError) -> Response:
    """The form again with what was wrong, or a page that says why nothing can be done."""
    fault = as_http(error) if isinstance(error, OperatorError) else error
    formless = visit.desk.site.endpoint(operation).form is None
    if said is None or visit.visitor is None or fault.status in {401, 403, 404} or formless:
        return refused(visit, fault, operation)
    notice = Notice(sentence_of(visit, fault), "stop")
    page = acting.ask_for(visit, operation, said)
    return draw(visit, page, frame_of(visit, operation, notice), fault.status)


def refused(visit: Visit, error: SluiceError, operation: str) -> Response:
    """A page for an error; strangers are sent to sign in and come back."""
    if isinstance(error, Unauthenticated):
        return go(f"{HOME}/sign-in?next={quote(visit.path, safe='/')}")
    words = visit.words
    again = error.code == "staff_sign_in_again"
    page = Refused(
        title=words.of(f"refused_{error.status}", words.refused_other),
        lead="",
        code=error.code,
        sentence=sentence_of(visit, error),
        who_may=[may_titles(visit, operation)] if operation and error.status == 403 else [],
        back=Link(words.sign_in, f"{HOME}/sign-in?next={quote(visit.path, safe='/')}")
        if again
        else Link(words.page_overview, f"{HOME}/overview"),
    )
    return draw(visit, page, replace(frame_of(visit), notice=None), error.status)


def _unknown() -> SluiceError:
    return as_http(OperatorError("operation_unknown", "There is no such act."))


def _not_yours(visit: Visit, operation: str) -> SluiceError:
    """The refusal that the operation itself would give; asked of it, so that it is on record."""
    try:
        visit.act(operation, {}, {}, visit.csrf)
    except SluiceError as error:
        return error
    raise AssertionError("an operation nobody may do was done")
