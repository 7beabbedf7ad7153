"""How the gateway is put together: every part, in order; nothing registers itself at import."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, FastAPI, Response
from starlette.routing import Route

from gateway.api import consent_office, health, oauth, problems, services, usage
from gateway.api.admin.office import open_office as open_admin
from gateway.api.admin.router import admin_router
from gateway.api.admin.upstream import open_upstream
from gateway.api.edge import Edge
from gateway.api.oauth_audit import OAuthAudit
from gateway.api.oauth_office import open_office
from gateway.api.openapi import VERSION, openapi_bytes
from gateway.api.policy_bundle import Shelf, bundle_router
from gateway.api.queries import PATH, Queries
from gateway.catalogue.load import Catalogue, load_catalogue
from gateway.errors import OperatorError
from gateway.identity.desk import Identity, open_identity
from gateway.identity.directory import Directory, Snapshot
from gateway.identity.secrets import secret
from gateway.journal.failures import FailureBudget
from gateway.journal.sqlite import SqliteJournal
from gateway.policy.engines import Engine, open_engine, read_token
from gateway.policy.packing import bundle_key
from gateway.releases.store import ReleaseStore
from gateway.serving.accept import JSON
from gateway.serving.answer import Desk
from gateway.serving.arrival import Doorkeeper
from gateway.serving.cursor import CursorSeal
from gateway.serving.pinning import Offers
from gateway.settings import Settings

REFRESH_SECONDS = 1.0
RENDER_THREADS = 2

log = logging.getLogger(__name__)


def utc_now() -> datetime:
    """The one clock of the edge; everything below takes `now` as an argument."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Parts:
    """Everything a serving process holds open, and how it lets go of it."""

    settings: Settings
    catalogue: Catalogue
    identity: Identity
    policy: Engine
    releases: ReleaseStore
    journal: SqliteJournal
    desk: Desk
    undo: ExitStack

    def ready(self) -> bool:
        """Whether a query could be answered now."""
        known = (self.releases.latest(service) for service in self.catalogue.services)
        parts_work = self.journal.healthy and self.policy.healthy
        return parts_work and any(release is not None for release in known)

    def close(self) -> None:
        """Let go of everything, the journal's last entries written."""
        self.undo.close()


def open_parts(settings: Settings, clock: Callable[[], datetime] = utc_now) -> Parts:
    """Open every part in order; raises `OperatorError` with what to do where one is not there."""
    with ExitStack() as undo:
        catalogue = load_catalogue(settings.policies)
        releases = _open_releases(settings, catalogue)
        identity = open_identity(settings, clock=clock)
        undo.callback(identity.close)
        directory = identity.directory
        policy = _open_policy(settings, catalogue, directory)
        undo.callback(policy.close)
        journal = SqliteJournal.open(settings.journal, settings.keys, clock())
        undo.callback(journal.close)
        threads = undo.enter_context(ThreadPoolExecutor(RENDER_THREADS, "render"))
        desk = Desk(
            door=Doorkeeper(identity.verifier, journal, FailureBudget()),
            catalogue=catalogue,
            grants=directory,
            policy=policy,
            releases=releases,
            offers=Offers(),
            journal=journal,
            seal=CursorSeal(secret(settings.keys, "cursor")),
            mark=secret(settings.keys, "watermark"),
            env="sandbox" if settings.env == "sandbox" else "prod",
            threads=threads,
        )
        return Parts(settings, catalogue, identity, policy, releases, journal, desk, undo.pop_all())


def _open_policy(settings: Settings, catalogue: Catalogue, directory: Directory) -> Engine:
    """The policy on the directory's documents, following their changes."""
    first = directory.snapshot
    policy = open_engine(settings, catalogue.as_policy_data(), first.policy_data)

    def follow(snapshot: Snapshot) -> None:
        if snapshot is not first:  # which the policy has already
            policy.load(snapshot.policy_data)

    directory.on_change(follow)
    return policy


def _open_releases(settings: Settings, catalogue: Catalogue) -> ReleaseStore:
    releases = ReleaseStore(settings.releases)
    releases.refresh()
    if all(releases.latest(service) is None for service in catalogue.services):
        raise OperatorError(
            "no_release",
            f"There is no release under {settings.releases}: run `sluice release build` first.",
        )
    return releases


async def _follow(releases: ReleaseStore) -> None:
    """Notice newly published releases within a second or two."""
    while True:
        await asyncio.sleep(REFRESH_SECONDS)
        try:
            await asyncio.to_thread(releases.refresh)
        except Exception as error:  # noqa: BLE001 - the old releases stay in use, the next round tries again
            log.error("releases cannot be refreshed: %s", type(error).__name__)


def _lifespan(parts: Parts) -> Callable[[FastAPI], Any]:  # Any: the type FastAPI asks for
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(asyncio.to_thread, parts.close)
            parts.identity.start()
            app.state.consent_keeper.start()
            stack.push_async_callback(asyncio.to_thread, app.state.consent_keeper.stop)
            following = asyncio.create_task(_follow(parts.releases))
            yield
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following

    return lifespan


def _document(catalogue: Catalogue, base_url: str) -> APIRouter:
    router, document = APIRouter(), openapi_bytes(catalogue, base_url)

    @router.get("/openapi.json")
    async def openapi() -> Response:
        return Response(document, media_type=JSON)

    return router


def create_app(settings: Settings, clock: Callable[[], datetime] = utc_now) -> FastAPI:
    """The whole gateway, ready to be served."""
    parts = open_parts(settings, clock)
    app = FastAPI(
        title="Sluice",
        version=VERSION,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},
        lifespan=_lifespan(parts),
    )
    app.state.settings, app.state.clock, app.state.ready = settings, clock, parts.ready
    app.state.identity, app.state.desk = parts.identity, parts.desk
    app.state.oauth = open_office(parts.identity, secret(settings.keys, "oauth"))
    app.state.oauth_audit = OAuthAudit(parts.journal)
    app.router.routes.append(Route(PATH, Queries(parts.desk, clock), methods=["POST"]))
    oauth.install(app)
    for router in (services.router, usage.router, health.router):
        app.include_router(router)
    admin = open_admin(settings, parts.identity)
    app.include_router(admin_router(admin, open_upstream(settings, admin)))
    consent_office.install(app, settings, clock)
    if settings.policy_bundle_token_file is not None:
        shelf = Shelf(parts.policy, bundle_key(secret(settings.keys, "policy_bundle")))
        app.include_router(bundle_router(shelf, read_token(settings.policy_bundle_token_file)))
    app.include_router(_document(parts.catalogue, settings.base_url))
    problems.install(app)
    app.add_middleware(Edge)
    return app
