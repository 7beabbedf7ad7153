"""The journal's PostgreSQL as the crash tests see it: made, read, taken down and brought back."""

from __future__ import annotations

import asyncio
import json
import random
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.journal.postgres_schema import SCHEMA, init
from gateway.journal.reader import identity
from gateway.journal.schema import connect_reading
from gateway.journal.seal import content_hash, genesis, link
from tests.postgres_server import PostgresServer

ROLE, WORD = "sluice_app", "word-of-the-tests"
_USED = """
SELECT request_id, event_id::text FROM usage_event u WHERE EXISTS
  (SELECT 1 FROM audit_event a WHERE a.journal_id = u.journal_id AND a.seq = u.seq)
"""
_USED_IN_SPOOL = (
    "SELECT seq, u.request_id, u.event_id FROM usage_event u JOIN audit_event USING (seq)"
)
_SHIPPED = "SELECT coalesce(max(seq), 0) FROM checkpoint WHERE journal_id = $1"
_CHAIN = """
SELECT a.seq, a.body, a.prev_hash, a.hash, d.body FROM audit_event a LEFT JOIN decision d
  USING (journal_id, seq) WHERE journal_id = $1 ORDER BY seq
"""


@dataclass(frozen=True)
class CentralStore:
    """One database on a server of the test's own."""

    server: PostgresServer
    database: str
    _turn: threading.Lock = field(default_factory=threading.Lock)

    @property
    def dsn(self) -> str:
        """The application's: it may only add."""
        return self.server.dsn(self.database, ROLE, WORD)

    def sql(self, text: str, *values: object) -> list[tuple[Any, ...]]:
        """Ask as the superuser; a server that was taken down is brought back for it."""
        self.up()
        return self.server.sql(text, *values, database=self.database, schema=SCHEMA)

    def up(self) -> None:
        with self._turn:
            if not self.server.running:
                self.server.start()

    def events(self) -> list[tuple[str, str]]:
        """(request id, event id) of everything that is counted."""
        return [(request, event) for request, event in self.sql(_USED)]

    def shipped(self, journal_id: str) -> int:
        """Up to which event a spool is said to be in here."""
        return int(self.sql(_SHIPPED, journal_id)[0][0])

    def settled(self, spool: Path) -> bool:
        """Whether all that a spool holds was shipped."""
        with closing(connect_reading(spool)) as db:
            journal_id = identity(db)[0]
            head = db.execute("SELECT max(seq) FROM audit_event").fetchone()[0] or 0
        return self.shipped(journal_id) == head

    def broken_chains(self) -> list[str]:
        """What is wrong with the chains it holds; their numbers have no gap."""
        found = []
        for journal_id, created in self.sql("SELECT journal_id, created FROM journal"):
            prev = genesis(journal_id, created)
            for expected, row in enumerate(self.sql(_CHAIN, journal_id), start=1):
                seq, body, before, after, decision = row
                said = json.loads(body)["decision_hash"]
                whole = seq == expected and before == prev and after == link(prev, body.encode())
                if not whole or content_hash(decision.encode()) != said:
                    found.append(f"{journal_id}: event {seq} as number {expected}")
                prev = after
        return found

    @contextmanager
    def trouble(self, chance: random.Random, within: float, *, long: bool = True) -> Iterator[None]:
        """It crashes at some moment, or not; it may be back at once, only after the window, or
        (`long`) only when somebody needs it."""
        kind = chance.choice(("none", "none", "crash", "crash", "away", "away for long"))
        if not long and kind == "away for long":
            kind = "away"
        begins, over = chance.uniform(0, within), threading.Event()

        def run() -> None:
            if not over.wait(begins) or kind != "crash":
                with self._turn:
                    self.server.stop("immediate")
            if kind == "crash":
                self.up()

        thread = threading.Thread(target=run if kind != "none" else over.wait)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            if kind == "away":
                self.up()


def prepared(server: PostgresServer, database: str) -> CentralStore:
    """A database with the journal's tables."""
    asyncio.run(init(server.dsn(database), ROLE, WORD))
    return CentralStore(server, database)


def recorded(spool: Path, store: CentralStore) -> Counter[str]:
    """How often each request is counted: events in the store, and those in the spool that are not
    said to be shipped. Read in the direction of shipping."""
    with closing(connect_reading(spool)) as db:
        journal_id = identity(db)[0]
        there = db.execute(_USED_IN_SPOOL).fetchall()
    shipped, central = store.shipped(journal_id), store.events()
    events: dict[str, set[str]] = defaultdict(set)
    for seq, request, event in there:
        if seq > shipped:
            events[request].add(event)
    # Where the store has the request already, it will not count another event of it.
    return Counter({r: len(found) for r, found in events.items()} | Counter(r for r, _ in central))
