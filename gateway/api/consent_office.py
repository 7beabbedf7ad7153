"""Consents put into an application: desk, pages, addresses, and the thread that keeps them going.

Two threads push events that are due and enter what the clock has decided. Several replicas may
do so at once: an event is leased before it is sent, and every end is decided in its transaction.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from fastapi import FastAPI

from gateway.api import consents, events, me
from gateway.api.event_push import EventSigner, Pusher
from gateway.api.oauth_audit import OAuthAudit
from gateway.api.person import callback, home, interactions
from gateway.api.person.office import open_office
from gateway.authserver.office import Office as OAuth
from gateway.consent import outbox
from gateway.consent.desk import Consents, open_consents
from gateway.consent.outbox import Due
from gateway.consent.rules import Rules
from gateway.db.engine import writing
from gateway.db.rounds import Rounds
from gateway.identity.desk import Identity
from gateway.identity.jwks_remote import FetchRule
from gateway.settings import Settings

PUSH_SECONDS = 0.5
SWEEP_SECONDS = 5.0
PUSHERS = 4
MOST_AT_ONCE = 20
"""Pushes of one round; all of them together end well within their lease."""


class Keeper:
    """Pushes events and ends what is over, each on a thread of its own, until it is stopped."""

    def __init__(self, desk: Consents, pusher: Pusher, clock: Callable[[], datetime]) -> None:
        self._desk, self._pusher, self._clock = desk, pusher, clock
        self._rounds = (
            Rounds("consent pushes", PUSH_SECONDS, self.push_due),
            Rounds("consent sweep", SWEEP_SECONDS, self.sweep),
        )

    def start(self) -> None:
        """Begin."""
        for each in self._rounds:
            each.start()

    def stop(self) -> None:
        """End; returns when the threads have ended."""
        for each in self._rounds:
            each.stop()

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


def install(
    app: FastAPI,
    settings: Settings,
    clock: Callable[[], datetime],
    rules: Callable[[str], Rules] | None = None,
) -> None:
    """Give the application its consents; identity and authorisation server are there already."""
    identity: Identity = app.state.identity
    oauth: OAuth = app.state.oauth
    desk = open_consents(identity.engine, settings, lambda: identity.directory.snapshot, rules)
    signer = EventSigner(identity.issuer, oauth.parts.sign)
    pusher = Pusher(signer, FetchRule(settings.fetch_loopback, settings.fetch_ca))
    app.state.consents, app.state.event_signer = desk, signer
    audit: OAuthAudit = app.state.oauth_audit
    app.state.persons = open_office(settings, desk, oauth.interactions, audit.journal, clock)
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
