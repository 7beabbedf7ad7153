"""How the gateway is put together: every part, in order; nothing registers itself at import."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import APIRouter, FastAPI, Response

from gateway.api import (
    audit_proofs,
    audit_views,
    authzen,
    claims,
    codes,
    conformance,
    consent_office,
    exports,
    fhir,
    health,
    jobs,
    lineage,
    oauth,
    problems,
    queries,
    reconciliations,
    records,
    rule_packages,
    sandbox,
    services,
    sign_up,
    statements,
    texts,
    traces,
    usage,
)
from gateway.api.admin.office import open_office as open_admin
from gateway.api.admin.router import admin_router
from gateway.api.admin.upstream import open_upstream
from gateway.api.edge import Edge
from gateway.api.metrics import metrics_router
from gateway.api.oauth_audit import OAuthAudit
from gateway.api.oauth_office import open_office
from gateway.api.openapi import VERSION, openapi_bytes
from gateway.api.policy_bundle import Shelf, bundle_router
from gateway.api.traced import Traced
from gateway.audit.office import Witness
from gateway.audit.shelf import ShelfNotes
from gateway.catalogue.load import Catalogue
from gateway.catalogue.tariff import charged_by
from gateway.cohorts.counting import Counting
from gateway.cohorts.journal import QueryJournal
from gateway.console.routes import open_console
from gateway.db.dsn import read_dsn
from gateway.detection.keeper import open_keeper
from gateway.editions.stage import Stage
from gateway.errors import OperatorError, Unavailable
from gateway.exports.opening import open_exports
from gateway.identity.desk import Identity, open_identity
from gateway.identity.secrets import secret
from gateway.journal.activity import Activity, StoredActivity
from gateway.journal.anchor import open_anchor
from gateway.journal.failures import FailureBudget
from gateway.journal.looking import looking
from gateway.journal.neighbours import alone_at, alone_in, counting
from gateway.journal.sqlite import CentralStore, Checkpointing, SqliteJournal
from gateway.metrics import meters
from gateway.policy.engines import read_token
from gateway.policy.packing import bundle_key
from gateway.portal import opening as portal
from gateway.privacy.ledger import Ledger
from gateway.quota.leases import Leases
from gateway.quota.opening import open_store
from gateway.quota.pricing import of_one, of_parts
from gateway.releases.store import ReleaseStore
from gateway.serving.accept import JSON
from gateway.serving.answer import Desk
from gateway.serving.arrival import Doorkeeper
from gateway.serving.cursor import CursorSeal
from gateway.serving.feasibility import CohortDesk
from gateway.serving.pinning import Offers
from gateway.serving.quotas import Quotas
from gateway.settings import Settings
from gateway.tracing import switch_off, switch_on, tracing
from gateway.watermark.marking import Marks
from gateway.worlds.clock import SandboxClock
from gateway.worlds.guard import SANDBOX, check_world
from metering.calendar import month_begins
from metering.rating import LineKey
from metering.tariff import Tariff

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
    identity: Identity
    editions: Stage
    releases: ReleaseStore
    journal: SqliteJournal
    quotas: Quotas
    desk: Desk
    undo: ExitStack

    def ready(self) -> bool:
        """Whether a query could be answered now."""
        live = self.editions.live
        known = (self.releases.latest(service) for service in live.catalogue.released)
        parts_work = self.journal.healthy and self.journal.counted and live.policy.healthy
        return parts_work and self._fresh() and any(release is not None for release in known)

    def _fresh(self) -> bool:
        """Whether grants, keys and revocations are known as they stand."""
        try:
            self.identity.directory.check_fresh()
            self.identity.revocations.check_fresh()
        except Unavailable:
            return False
        return True

    def close(self) -> None:
        """Let go of everything, the journal's last entries written."""
        self.undo.close()
        switch_off()


def open_parts(settings: Settings, clock: Callable[[], datetime] = utc_now) -> Parts:
    """Open every part in order; raises `OperatorError` with what to do where one is not there."""
    lead = clock.lead if isinstance(clock, SandboxClock) else timedelta
    with ExitStack() as undo:
        identity = open_identity(settings, clock=clock, lead=lead)
        undo.callback(identity.close)
        editions = Stage(settings, identity.engine, identity.directory, clock)
        undo.callback(editions.close)
        releases = _open_releases(settings, editions.live.catalogue)
        journal = _open_journal(settings, clock)
        undo.callback(journal.close)
        quotas = _open_quotas(settings, journal, editions, clock, undo)
        threads = undo.enter_context(ThreadPoolExecutor(RENDER_THREADS, "render"))
        desk = Desk(
            door=Doorkeeper(identity.verifier, journal, FailureBudget()),
            editions=editions,
            releases=releases,
            offers=Offers(),
            journal=journal,
            quotas=quotas,
            seal=CursorSeal(secret(settings.keys, "cursor")),
            mark=secret(settings.keys, "watermark"),
            marks=Marks(settings.keys),
            env="sandbox" if settings.env == "sandbox" else "prod",
            threads=threads,
        )
        return Parts(settings, identity, editions, releases, journal, quotas, desk, undo.pop_all())


def _open_journal(settings: Settings, clock: Callable[[], datetime]) -> SqliteJournal:
    """This node's journal, before the central store where there is one."""
    store = None
    if settings.postgres_dsn_file is not None:
        store = CentralStore(read_dsn(settings.postgres_dsn_file), settings.node)
    every = Checkpointing(anchor=open_anchor(settings.audit_anchor))
    return SqliteJournal.open(
        settings.journal, settings.keys, clock(), every=every, store=store, clock=clock
    )


def _open_releases(settings: Settings, catalogue: Catalogue) -> ReleaseStore:
    releases = ReleaseStore(settings.releases)
    releases.refresh()
    if all(releases.latest(service) is None for service in catalogue.released):
        raise OperatorError(
            "no_release",
            f"There is no release under {settings.releases}: run `sluice release build` first.",
        )
    return releases


def _open_quotas(
    settings: Settings,
    journal: SqliteJournal,
    editions: Stage,
    clock: Callable[[], datetime],
    undo: ExitStack,
) -> Quotas:
    """Counters and leases of this node; asks nobody yet."""
    store = open_store(settings)
    if not store.shared:
        alone_in(settings.journal, clock())
        alone_at(journal.another_since(month_begins(clock())))
    undo.enter_context(counting(settings.journal.parent, alone=not store.shared))

    def price(key: LineKey) -> Tariff:
        # Asked anew for every line: what is charged follows the live edition's price list.
        return charged_by(editions.live.catalogue.tariffs, key)

    journal.counters.spending.price_by((of_parts if store.shared else of_one)(price))
    return Quotas(
        journal.counters,
        lambda stands: Leases(store, journal.journal_id, stands, report=meters.lease),
        clock,
    )


async def _tend(leases: Leases, clock: Callable[[], datetime]) -> None:
    """Give back what of the leases nobody uses."""
    while True:
        await asyncio.sleep(REFRESH_SECONDS)
        await leases.tend(clock())


async def _count(counts: Activity | StoredActivity, clock: Callable[[], datetime]) -> None:
    """Count along what is recorded, so that the office's pages need not."""
    while True:
        await asyncio.sleep(REFRESH_SECONDS)
        try:
            await asyncio.to_thread(counts.catch_up, clock())
        except Exception as error:  # noqa: BLE001 - a page counts on what it can; the next round tries again
            log.error("records cannot be counted: %s", type(error).__name__)


async def _follow(releases: ReleaseStore, shelf: ShelfNotes) -> None:
    """Notice newly published releases within a second or two, and record that they are."""
    while True:
        await asyncio.sleep(REFRESH_SECONDS)
        try:
            await asyncio.to_thread(releases.refresh)
            await asyncio.to_thread(shelf.note, *releases.shelved)
        except Exception as error:  # noqa: BLE001 - the old releases stay in use, the next round tries again
            log.error("releases cannot be refreshed: %s", type(error).__name__)


def _lifespan(parts: Parts) -> Callable[[FastAPI], Any]:  # Any: the type FastAPI asks for
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(asyncio.to_thread, parts.close)
            parts.identity.start()
            parts.editions.start()
            app.state.consent_keeper.start()
            stack.push_async_callback(asyncio.to_thread, app.state.consent_keeper.stop)
            await parts.quotas.leases.begin()
            stack.push_async_callback(parts.quotas.leases.drain)
            tasks = [
                asyncio.create_task(_follow(parts.releases, app.state.shelf)),
                asyncio.create_task(_count(app.state.activity, app.state.clock)),
                asyncio.create_task(_tend(parts.quotas.leases, app.state.clock)),
                asyncio.create_task(app.state.refunds.follow()),
                asyncio.create_task(app.state.detection.follow()),
                asyncio.create_task(app.state.witness.follow()),
            ]
            stack.push_async_callback(app.state.claims.source.close)
            async with app.state.exports.at_work():
                yield
            for task in tasks:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    return lifespan


def _document(editions: Stage, base_url: str) -> APIRouter:
    """The OpenAPI document of what is live."""
    router = APIRouter()
    known: dict[str, bytes] = {}

    @router.get("/openapi.json")
    async def openapi() -> Response:
        live = editions.live
        if live.name not in known:
            known.clear()
            known[live.name] = openapi_bytes(live.catalogue, base_url)
        return Response(known[live.name], media_type=JSON)

    return router


def _install_office(app: FastAPI, parts: Parts) -> None:
    """The data office's operations, and its console over them."""
    settings = parts.settings
    admin = open_admin(settings, parts.identity, catalogue=lambda: parts.editions.live.catalogue)
    app.state.activity = admin.activity
    upstream = open_upstream(settings, admin)
    app.include_router(admin_router(admin, upstream))
    app.include_router(open_console(admin, settings.env, upstream))


def create_app(settings: Settings, clock: Callable[[], datetime] = utc_now) -> FastAPI:
    """The whole gateway, ready to be served."""
    if settings.traces_url:
        switch_on(settings.traces_url, settings.node, settings.traces_share)
    check_world(settings)
    if settings.env == SANDBOX:
        clock = SandboxClock(settings.home, clock)
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
    app.state.looking = looking(settings)
    app.state.detection = open_keeper(
        settings, parts.identity.directory, parts.identity.engine, parts.journal, clock
    )
    app.state.witness = Witness(parts.identity.engine, parts.journal, clock)
    app.state.shelf = ShelfNotes(parts.identity.engine, clock)
    app.state.exports = open_exports(settings, parts.desk, parts.identity, clock)
    app.state.oauth = open_office(parts.identity, secret(settings.keys, "oauth"))
    app.state.oauth_audit = OAuthAudit(parts.journal)
    counting = Counting(settings.releases)
    engine = parts.identity.engine
    cohorts = CohortDesk(parts.desk, counting, QueryJournal(engine), Ledger(engine))
    queries.install(app, parts.desk, cohorts, clock)
    oauth.install(app)
    texts.install(app, parts.desk)
    for install in (codes.install, traces.install, jobs.install):
        install(app, settings, parts.desk)
    claims.install(app, settings, parts.desk, clock)
    rule_packages.install(app, settings)
    for alone in (reconciliations.install, audit_views.install, audit_proofs.install):
        alone(app)
    for router in (
        services.router, lineage.router, usage.router, statements.router, exports.router,
        health.router, fhir.router,
    ):  # fmt: skip
        app.include_router(router)
    _install_office(app, parts)
    consent_office.install(app, settings, clock, parts.editions.consent_rules)
    records.install(app)
    conformance.install(app, settings)
    sandbox.install(app, settings, clock)
    portal.install(app, settings, parts.desk)
    authzen.install(app)
    if settings.policy_bundle_token_file is not None:
        shelf = Shelf(parts.editions, bundle_key(secret(settings.keys, "policy_bundle")))
        app.include_router(bundle_router(shelf, read_token(settings.policy_bundle_token_file)))
    if settings.metrics_token_file is not None:
        app.include_router(metrics_router(meters, read_token(settings.metrics_token_file)))
    app.include_router(_document(parts.editions, settings.base_url))
    problems.install(app)
    sign_up.install(app, settings)
    app.add_middleware(Edge)
    sandbox.mark(app, settings)
    if tracing():
        app.add_middleware(Traced)
    return app
