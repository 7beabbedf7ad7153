"""The portal put into an application: what it reads is there already."""

from __future__ import annotations

from fastapi import FastAPI

from gateway.billing.terms import read_terms
from gateway.errors import OperatorError
from gateway.identity.desk import Identity
from gateway.identity.secrets import secret
from gateway.pages.browser import Cookies
from gateway.portal import link_api
from gateway.portal.changelog import read_changelog
from gateway.portal.own_routes import own_router
from gateway.portal.public import Public
from gateway.portal.routes import public_router
from gateway.portal.sessions import Sessions
from gateway.portal.transparency import Archive
from gateway.portal.trying import SANDBOX, Trying
from gateway.portal.visits import Portal
from gateway.serving.answer import Desk
from gateway.settings import Settings


def install(app: FastAPI, settings: Settings, desk: Desk) -> None:
    """Add every page; identity, jobs and what looks records up are there already."""
    identity: Identity = app.state.identity
    sessions = Sessions(identity.engine, secret(settings.keys, "portal"), identity.directory)
    archive = Archive(
        settings.home / "transparency", identity.engine, app.state.looking, _approved(settings)
    )
    public = Public(
        editions=desk.editions,
        releases=desk.releases,
        directory=identity.directory,
        archive=archive,
        base_url=identity.issuer,
        ready=app.state.ready,
        clock=identity.clock,
        sandbox=settings.env == SANDBOX,
    )
    portal = Portal(
        public=public,
        identity=identity,
        sessions=sessions,
        trying=Trying(desk, sessions),
        looking=app.state.looking,
        jobs=app.state.jobs,
        cookies=Cookies(identity.issuer.startswith("https:")),
        changelog=read_changelog(),
        conformance=app.state.conformance,
    )
    app.state.portal = portal
    for router in (link_api.router, public_router(portal), own_router(portal)):
        app.include_router(router)


def _approved(settings: Settings) -> dict[int, int]:
    """The income approved for each year; none where nobody agreed on terms."""
    try:
        return dict(read_terms(settings.policies).approved_income_fen)
    except OperatorError:
        return {}
