"""What the directory does by itself: end what has reached its last day, fetch published keys.

One thread per serving process. What several replicas do at once is harmless: every act looks at
the state again inside its own transaction.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.db.engine import writing
from gateway.db.rounds import Rounds
from gateway.db.tables import TenantRow
from gateway.errors import OperatorError
from gateway.identity.directory import Directory, Snapshot
from gateway.identity.fetched_keys import claim, keep_failure, keep_fetched
from gateway.identity.grants import expire_grants
from gateway.identity.jwks_remote import FetchRule, fetch_jwks
from gateway.identity.model import GRANT_TRANSITIONS, TENANT_TRANSITIONS, Client
from gateway.identity.organisations import set_tenant_status
from gateway.identity.record import Act
from metering.calendar import CHINA

ROUND_SECONDS = 2.0
_LOOK_EVERY = timedelta(seconds=30)
_AT_ONCE, _MOST_A_ROUND = 4, 16
ACTOR = "sluice"
_ENDABLE_GRANTS = {state for state, after in GRANT_TRANSITIONS.items() if "expired" in after}
_ENDABLE_TENANTS = {state for state, after in TENANT_TRANSITIONS.items() if "revoked" in after}

_log = logging.getLogger(__name__)


def something_ends(snapshot: Snapshot, now: datetime) -> bool:
    """Whether a grant or a tenant has reached its last day and is not marked so yet."""
    today = now.astimezone(CHINA).date()
    grants = (grant for listed in snapshot.grants.values() for grant in listed)
    return any(g.valid_to < today and g.status in _ENDABLE_GRANTS for g in grants) or any(
        t.termination_date and t.termination_date <= today and t.status in _ENDABLE_TENANTS
        for t in snapshot.tenants.values()
    )


def settle_dates(session: Session, now: datetime) -> tuple[str, ...]:
    """Mark grants expired and tenants revoked whose day has come; which ones."""
    today = now.astimezone(CHINA).date()
    act = Act(ACTOR, now, "its day has come")
    due = session.scalars(
        sa.select(TenantRow.id).where(
            TenantRow.termination_date <= today, TenantRow.status.in_(_ENDABLE_TENANTS)
        )
    ).all()
    for tenant_id in due:
        set_tenant_status(session, act, tenant_id, "revoked")
    return (*due, *expire_grants(session, act, today))


class Caretaker:
    """The thread; `start` when serving begins, `stop` when it ends."""

    def __init__(
        self,
        engine: sa.Engine,
        directory: Directory,
        clock: Callable[[], datetime],
        rule: FetchRule,
    ) -> None:
        self._engine = engine
        self._directory = directory
        self._clock = clock
        self._rule = rule
        self._looked_at: dict[tuple[str, str | None], datetime] = {}  # by client and address
        self._wanted: set[str] = set()
        self._rounds = Rounds("caretaker", ROUND_SECONDS, self.round)

    def round(self) -> None:
        """Everything that is due now."""
        snapshot, now = self._directory.snapshot, self._clock()
        if something_ends(snapshot, now):
            with writing(self._engine) as session:
                settle_dates(session, now)
        due = sorted(self._to_look_at(snapshot, now), key=lambda client: bool(client.algs))
        if due:  # those without any key come first
            with ThreadPoolExecutor(_AT_ONCE, "jwks") as pool:
                list(pool.map(self._renew_keys, due[:_MOST_A_ROUND]))

    def ask_again(self, client_id: str) -> None:
        """A client used a key that is not known: it may have changed its keys just now."""
        self._wanted.add(client_id)

    def _to_look_at(self, snapshot: Snapshot, now: datetime) -> Iterator[Client]:
        """Live clients with an address, each at most twice a minute unless it is asked for."""
        for client in snapshot.clients.values():
            if client.jwks_uri and client.id in snapshot.live_clients:
                looked = self._looked_at.get((client.id, client.jwks_uri))
                if looked is None or looked + _LOOK_EVERY <= now or client.id in self._wanted:
                    yield client

    def _renew_keys(self, client: Client) -> None:
        now, wanted = self._clock(), client.id in self._wanted
        self._looked_at[client.id, client.jwks_uri] = now
        self._wanted.discard(client.id)
        if self._rounds.ending:
            return
        with writing(self._engine) as session:
            if not claim(session, client.id, now, wanted=wanted):
                return
        try:
            jwks = fetch_jwks(str(client.jwks_uri), self._rule)
        except OperatorError as error:
            with writing(self._engine) as session:
                keep_failure(session, Act(ACTOR, now, "jwks_uri"), client, error.message)
            _log.warning("keys of client %s: %s", client.id, error.message)
        else:
            with writing(self._engine) as session:
                keep_fetched(session, Act(ACTOR, now, "jwks_uri"), client, jwks)

    def start(self) -> None:
        """Begin."""
        self._rounds.start()

    def stop(self) -> None:
        """End; returns when the thread has ended."""
        self._rounds.stop()
