"""Consents put into an application: desk, pages, addresses, and the thread that keeps them going.

Two threads push events that are due and enter what the clock has decided. Several replicas may
do so at once: an event is leased before it is sent, and every end is decided in its transaction.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from fastapi import FastAPI
from sqlalchemy.exc import SQLAlchemyError

from gateway.api import consents, events, me
from gateway.api.event_push import EventSigner, Pusher
from gateway.api.person import callback, home, interactions
from gateway.api.person.office import open_office
from gateway.authserver.office import Office as OAuth
from gateway.consent import outbox
from gateway.consent.desk import Consents, open_consents
from gateway.consent.outbox import Due
from gateway.db.engine import writing
from gateway.errors import Unavailable
from gateway.identity.desk import Identity
from gateway.identity.jwks_remote import FetchRule
from gateway.settings import Settings

PUSH_SECONDS = 0.5
SWEEP_SECONDS = 5.0
PUSHERS = 4
MOST_AT_ONCE = 20
"""Pushes of one round; all of them together end well within their lease."""

_log = logging.getLogger(__name__)


class Keeper:
    """Pushes events and ends what is over, each on a thread of its own, until it is stopped."""

    def __init__(self, desk: Consents, pusher: Pusher, clock: Callable[[], datetime]) -> None:
        self._desk, self._pusher, self._clock = desk, pusher, clock
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin."""
        if not self._threads:
            self._stopping.clear()
            work = ((PUSH_SECONDS, self.push_due), (SWEEP_SECONDS, self.sweep))
            self._threads = [
                threading.Thread(target=self._run, args=each, name="consents", daemon=True)
                for each in work
            ]
            for thread in self._threads:
                thread.start()

    def stop(self) -> None:
        """End; returns when the threads have ended."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        self._threads = []

    def sweep(self) -> int:
        """Enter what the clock has decided."""
        return self._desk.sweep(self._clock())

    def push_due(self) -> int:
        """Send what is due now, several receivers at a time; returns how many were tried."""
        with writing(self._desk.engine) as session:
            due = outbox.lease(session, self._clock(), MOST_AT_ONCE)
        if due:
            with ThreadPoolExecutor(PUSHERS, "push") as pool:
                list(pool.map(self._push, due))
        return len(due)

    def _push(self, due: Due) -> None:
        fault = self._pusher.push(due)
        with writing(self._desk.engine) as session:
            outbox.settle(session, due, fault, self._clock())

    def _run(self, pause: float, work: Callable[[], int]) -> None:
        while not self._stopping.wait(pause):
            try:
                work()
            except (SQLAlchemyError, Unavailable):
                _log.warning("consents cannot be read; will try again")
            except Exception as error:  # noqa: BLE001 — the thread outlives one bad row
                _log.error("consents cannot be kept going: %s", type(error).__name__)


def install(app: FastAPI, settings: Settings, clock: Callable[[], datetime]) -> None:
    """Give the application its consents; identity and authorisation server are there already."""
    identity: Identity = app.state.identity
    oauth: OAuth = app.state.oauth
    desk = open_consents(identity.engine, settings, lambda: identity.directory.snapshot)
    signer = EventSigner(identity.issuer, oauth.parts.sign)
    pusher = Pusher(signer, FetchRule(settings.fetch_loopback, settings.fetch_ca))
    app.state.consents, app.state.event_signer = desk, signer
    app.state.persons = open_office(settings, desk, oauth.interactions, clock)
    app.state.consent_keeper = Keeper(desk, pusher, clock)
    for router in (
        consents.router,
        events.router,
        me.router,
        home.router,
        callback.router,
        interactions.router,
    ):
        app.include_router(router)
