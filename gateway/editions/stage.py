"""Which editions decide in this process, and how it follows what the office decides.

A request takes one edition and keeps it to its end: engine, catalogue and grants. The cast is
replaced in one assignment. An edition that cannot be loaded changes nothing: what decides, goes on.
One beside it that cannot follow the directory leaves: nobody is decided for on old facts.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from gateway.consent.rules import Rules
from gateway.db.engine import reading, writing
from gateway.db.rounds import Rounds
from gateway.editions.differences import add_findings
from gateway.editions.running import Prepared, Running, Start, prepare
from gateway.editions.shadow import Finding, Shadow
from gateway.editions.store import edition_key, folder_of, read_places, read_record
from gateway.editions.wording import words_of
from gateway.errors import OperatorError, Unavailable
from gateway.identity.directory import Directory, Snapshot
from gateway.identity.store import Contents
from gateway.policy.bundle import Bundle
from gateway.policy.engines import embedded_engine, next_engine, open_engine
from gateway.policy.port import Decision, PolicyInput
from gateway.policy.remote import OpaPolicy
from gateway.settings import Settings

POLL_SECONDS = 0.25
RETRY_SECONDS = 30.0
"""After which an edition that could not be loaded is tried again: somebody may have mended it."""
IDLE_WITHIN = 2.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Cast:
    """Who decides for whom at one moment."""

    live: Running
    canary: Running | None = None
    tenants: frozenset[str] = frozenset()
    shadow: Running | None = None

    @property
    def all(self) -> tuple[Running, ...]:
        """Everything at work, the live edition first."""
        return (self.live, *filter(None, (self.canary, self.shadow)))

    def for_tenant(self, tenant_id: str) -> Running:
        """What decides for this tenant."""
        if self.canary is not None and tenant_id in self.tenants:
            return self.canary
        return self.live


class Stage:
    """The editions at work in a serving process."""

    def __init__(
        self,
        settings: Settings,
        engine: sa.Engine,
        directory: Directory,
        clock: Callable[[], datetime],
    ) -> None:
        self._settings, self._engine, self._clock = settings, engine, clock
        self._directory, self._key = directory, edition_key(settings.keys)
        self._changing, self._gate = threading.Lock(), threading.Lock()
        self._shadow: Shadow | None = None
        self._shaded: Running | None = None
        self._try_again = float("inf")
        self._places = self._read_places()
        live = Running(self._first(), directory.snapshot.contents, partial(open_engine, settings))
        self._cast, self._served = Cast(live), live
        directory.rebind(live.bounds)
        directory.on_change(self._follow_directory)
        self._rounds = Rounds("editions", POLL_SECONDS, self.follow)
        self._change(self._places)

    @property
    def cast(self) -> Cast:
        """Who decides now."""
        return self._cast

    @property
    def live(self) -> Running:
        """What decides for all but the tenants of a canary."""
        return self._cast.live

    @property
    def bundle(self) -> Bundle:
        """What an OPA server is given."""
        return self._served.policy.bundle

    def consent_rules(self, tenant_id: str) -> Rules:
        """What scenarios ask of a consent that this tenant wants."""
        return self._cast.for_tenant(tenant_id).consent_rules

    @contextmanager
    def take(self, tenant_id: str) -> Iterator[Running]:
        """The edition that decides for this tenant, kept until the request has ended."""
        with self._gate:
            edition = self._cast.for_tenant(tenant_id)
            edition.take()
        try:
            yield edition
        finally:
            edition.let_go()

    def compare(self, decided_by: Running, question: PolicyInput, decision: Decision) -> None:
        """Let the shadow decide too, if there is one; returns at once."""
        shadow = self._shadow
        if shadow is not None and self.compares(decided_by):
            shadow.offer(question, decision)

    def compares(self, decided_by: Running) -> bool:
        """Whether a shadow decides too what this edition decides."""
        cast = self._cast
        return self._shadow is not None and cast.shadow is not None and decided_by is cast.live

    def start(self) -> None:
        """Begin to follow the office."""
        self._rounds.start()

    def close(self) -> None:
        """Stop following, and let go of the engines."""
        self._rounds.stop()
        if self._shadow is not None:
            self._shadow.close()
        for running in self._cast.all:
            running.policy.close()

    def follow(self) -> bool:
        """One look at the office's word; True when it has changed."""
        places = self._read_places()
        if places == self._places and time.monotonic() < self._try_again:
            return False
        self._try_again = float("inf")
        self._change(places)
        self._places = places
        return True

    def _read_places(self) -> Mapping[str, tuple[str, str]]:
        with reading(self._engine) as session:
            return read_places(session)

    def _first(self) -> Prepared:
        """What is live when the process starts; it must be usable."""
        if "live" not in self._places:
            return prepare(self._settings.policies)
        name = self._places["live"][0]
        try:
            self._check(name)
            return self._prepared(name)
        except OperatorError as error:
            raise OperatorError(
                "edition.live",
                f"The live edition {name} of the policy cannot be used: {error.message} Roll back "
                "with `sluice policy rollback`, or restore the database.",
            ) from error

    def _change(self, places: Mapping[str, tuple[str, str]]) -> None:
        canary = self._beside("canary", places)
        tenants: frozenset[str] = frozenset()
        if canary is not None:
            with reading(self._engine) as session:
                record = read_record(session, self._key, canary.name)
            tenants = frozenset(record.tenants)
        cast = Cast(self._next_live(places), canary, tenants, self._beside("shadow", places))
        self._shade(self._put_on(cast).shadow)

    def _put_on(self, cast: Cast) -> Cast:
        with self._changing:
            cast = self._following(cast, self._directory.snapshot.contents)
            with self._gate:
                self._cast = cast
        if cast.live is not self._served:  # also when a round before could not end this
            self._serve(cast.live)
        return cast

    def _serve(self, live: Running) -> None:
        # OPA gets the new edition only when nobody is decided for by the old one any more.
        self._served.wait_idle(IDLE_WITHIN)
        if isinstance(live.policy, OpaPolicy):
            live.policy.publish()
        self._directory.rebind(live.bounds)
        self._served = live
        _log.warning("edition %s of the policy is live", live.name)

    def _next_live(self, places: Mapping[str, tuple[str, str]]) -> Running:
        """What is live from now on; what is live already when that cannot be loaded."""
        live = self._cast.live
        name = places.get("live", (live.name, ""))[0]
        if name == live.name:
            return live
        start = partial(next_engine, live.policy)
        found = self._loaded("live", name, start, embedded=not isinstance(live.policy, OpaPolicy))
        return found or live

    def _beside(self, place: str, places: Mapping[str, tuple[str, str]]) -> Running | None:
        """What is canary or shadow from now on; nothing when that cannot be loaded."""
        if place not in places:
            return None
        return self._loaded(place, places[place][0], embedded_engine, embedded=True)

    def _loaded(self, place: str, name: str, start: Start, *, embedded: bool) -> Running | None:
        """The edition at work, the same as before if it is; None, and a word in the log, if bad."""
        try:
            self._check(name)
            cast = self._cast
            if embedded:
                for running in (cast.canary, cast.shadow):
                    if running is not None and running.name == name:
                        return running
            return Running(self._prepared(name), self._directory.snapshot.contents, start)
        except (SQLAlchemyError, Unavailable):
            raise  # the next round asks the database again
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it, what decides goes on
            why = error.code if isinstance(error, OperatorError) else type(error).__name__
            _log.error("edition %s (%s) is not used: %s", name, place, why)
            self._try_again = time.monotonic() + RETRY_SECONDS
            return None

    def _check(self, name: str) -> None:
        """The row says what its seal says."""
        with reading(self._engine) as session:
            read_record(session, self._key, name)

    def _prepared(self, name: str) -> Prepared:
        with folder_of(self._engine, self._settings.keys, name) as folder:
            return prepare(folder)

    def _shade(self, running: Running | None) -> None:
        shadow = self._shadow
        if running is self._shaded:
            return
        self._shaded = running
        if shadow is not None:
            self._shadow = None
            shadow.close()
        if running is not None:
            words = words_of(self._cast.live.prepared.edition, running.prepared.edition)
            self._shadow = Shadow(running.name, running.policy, self._keep_findings, words)

    def _keep_findings(self, edition: str, found: Mapping[str, Finding]) -> None:
        with writing(self._engine) as session:
            add_findings(session, edition, found, self._clock())

    def _follow_directory(self, snapshot: Snapshot) -> None:
        """Every edition decides on the new directory; one beside that cannot, decides no more."""
        with self._changing:
            cast = self._following(self._cast, snapshot.contents)
            with self._gate:
                self._cast = cast

    def _following(self, cast: Cast, contents: Contents) -> Cast:
        """The cast on these contents, without what beside the live edition cannot decide on them.

        Who left is loaded anew by the next round, and then as seldom as what cannot be loaded.
        """
        cast.live.follow(contents)
        if cast.canary is not None and not self._follows("canary", cast.canary, contents):
            cast = replace(cast, canary=None, tenants=frozenset())
        if cast.shadow is not None and not self._follows("shadow", cast.shadow, contents):
            cast = replace(cast, shadow=None)
        return cast

    def _follows(self, place: str, running: Running, contents: Contents) -> bool:
        try:
            running.follow(contents)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it, what decides goes on
            why = error.code if isinstance(error, OperatorError) else type(error).__name__
            _log.error("edition %s (%s) cannot follow the directory: %s", running.name, place, why)
            self._try_again = time.monotonic()
            return False
        return True
