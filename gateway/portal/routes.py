"""HTTP of the public pages: addresses and the browser's taste in, pages out. No rule lives here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gateway.errors import NotFound, SluiceError
from gateway.pages.drawing import asset
from gateway.portal.conformance import conformance
from gateway.portal.frame import HOME, STYLE, Page, show
from gateway.portal.pages import Stopped
from gateway.portal.visits import Portal, Visit, open_visit

Build: TypeAlias = Callable[[Visit], Page]


def public_router(portal: Portal) -> APIRouter:
    """The pages nobody has to sign in for."""
    router = APIRouter()
    pages: dict[str, Build] = {
        HOME: lambda visit: visit.portal.public.landing(visit.language, visit.words),
        f"{HOME}/catalogue": _catalogue,
        f"{HOME}/catalogue/{{service}}": _service,
        f"{HOME}/api": lambda visit: visit.portal.public.edition().reference.index(
            visit.asked("q")
        ),
        f"{HOME}/api/{{operation}}": _operation,
        f"{HOME}/changelog": lambda visit: visit.portal.changelog,
        f"{HOME}/status": lambda visit: visit.portal.public.status(visit.language, visit.words),
        f"{HOME}/conformance": lambda visit: conformance(visit.words),
        "/transparency": lambda visit: visit.portal.public.transparency(
            visit.language, visit.words
        ),
    }
    for address, build in pages.items():
        router.add_route(address, page_route(portal, build), ["GET"])
    router.add_route(f"{HOME}/portal.css", _style, ["GET"])
    return router


def page_route(portal: Portal, build: Build) -> Callable[[Request], Awaitable[Response]]:
    """A route that shows a page; what cannot be shown says why."""

    def drawn(request: Request) -> Response:
        visit = open_visit(portal, request)
        try:
            return show(build(visit), visit.frame(), portal.cookies)
        except SluiceError as error:
            return stopped(visit, error)

    async def route(request: Request) -> Response:
        return await portal.in_thread(lambda: drawn(request))

    return route


def stopped(visit: Visit, error: SluiceError) -> Response:
    """A page for an error: what happened in words, never what was sent."""
    zh, en = visit.portal.sentence(error)
    page = Stopped(zh if visit.language == "zh" else en, error.code)
    return show(page, visit.frame(), visit.portal.cookies, error.status)


def _catalogue(visit: Visit) -> Page:
    return visit.portal.public.catalogue(visit.asked("q"), visit.language, visit.words)


def _service(visit: Visit) -> Page:
    found = visit.portal.public.service(visit.at["service"], visit.language, visit.words)
    if found is None:
        raise NotFound("unknown_service", "")
    return found


def _operation(visit: Visit) -> Page:
    found = visit.portal.public.edition().reference.page(visit.at["operation"])
    if found is None:
        raise NotFound("unknown_operation", "There is no such operation.", "没有该接口。")
    return found


async def _style(_request: Request) -> Response:
    return asset(STYLE)
