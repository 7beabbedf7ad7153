"""Load on two replicas while something breaks, and what must hold of it afterwards.

A client asks with an Idempotency-Key and repeats the same question until it is answered, as the
client library does. So every key that was answered must be counted exactly once, and no key twice.
Beside it somebody asks who may not: nobody, a firm without the scenario, a firm that was stopped.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from uuid import uuid4

import httpx

from tests.gateway_factory import COST
from tests.opa_server import until
from tests.two_replicas import PATIENCE, Replica, World

FEW = {**COST, "dims": []}
PAUSE = 0.05  # seconds between two calls of a client: this is load, not a benchmark
STOPPED = "T-INS2"
_BROKEN = (httpx.TransportError, AssertionError, KeyError)
_COUNTED = """
SELECT a.body::json ->> 'idempotency_key', count(*) FROM sluice_journal.usage_event u
JOIN sluice_journal.audit_event a USING (journal_id, seq) GROUP BY 1
"""
_UNDECIDED = """
SELECT count(*) FROM sluice_journal.usage_event u
LEFT JOIN sluice_journal.decision d USING (journal_id, seq) WHERE d.allow IS NOT TRUE
"""
_HEARD = """
SELECT request_id FROM sluice_journal.audit_event WHERE result IN ('answered', 'repeated')
"""


@dataclass
class Told:
    """What one client was told."""

    codes: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    asked: set[str] = field(default_factory=set)
    answered: dict[str, str] = field(default_factory=dict)
    longest: float = 0.0
    tries: int = 0
    """`answered`: the key of each answered question, by request; `longest`: the longest time
    without one; `tries`: the most attempts that one took."""


def hashed(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def one(replica: Replica, told: Told, key: str) -> bool:
    """One attempt; whether it was answered."""
    try:
        reply = replica.gateway.ask("S02", FEW, headers={"Idempotency-Key": key})
    except _BROKEN as error:
        told.codes["no token" if isinstance(error, AssertionError) else "no answer"] += 1
        return False
    if reply.status_code == httpx.codes.OK:
        told.codes["200"] += 1
        told.answered[reply.headers["sluice-request-id"]] = hashed(key)
        return True
    told.codes[f"{reply.status_code} {_code(reply)}"] += 1
    if reply.status_code == httpx.codes.UNAUTHORIZED:
        replica.gateway._tokens.clear()
    return False


def _code(reply: httpx.Response) -> str:
    try:
        body = reply.json()
    except ValueError:
        return ""
    return str(body.get("code") or body.get("error") or "")


def _forbidden(replica: Replica, told: Told) -> None:
    """Who may not ask, asks."""
    gateway = replica.gateway
    path = "/v1/services/S02/queries"
    for ask in (
        lambda: gateway.http.post(path, json=FEW),
        lambda: gateway.ask("S02", FEW, client="pha-app"),
        lambda: gateway.ask("S02", FEW, client="ins2-app"),
    ):
        try:
            told.refused[str(ask().status_code)] += 1
        except _BROKEN:
            told.refused["no answer"] += 1


def keep_asking(places: Sequence[Replica], told: Told, over: threading.Event) -> None:
    """Ask until it is over; who has two places goes to the other one when one fails."""
    last, turn, place = time.monotonic(), 0, 0
    while not over.is_set():
        key = str(uuid4())
        told.asked.add(hashed(key))
        tries = 1
        while not one(places[place], told, key) and not over.is_set():
            place = (place + 1) % len(places)
            tries += 1
            time.sleep(PAUSE)  # as a client waits before it asks again
        told.tries = max(told.tries, tries)
        if not over.is_set():
            told.longest, last = max(told.longest, time.monotonic() - last), time.monotonic()
        if turn % 20 == 0:
            _forbidden(places[place], told)
        turn += 1
        time.sleep(PAUSE)  # a load that leaves the machine room


@contextmanager
def load(world: World, *, balanced: bool = False) -> Iterator[list[Told]]:
    """Two clients ask, each at its replica, or `balanced`: wherever they are answered."""
    over, found = threading.Event(), [Told(), Told()]
    places = [[one] for one in world.replicas]
    if balanced:
        places = [list(world.replicas), list(reversed(world.replicas))]
    threads = [
        threading.Thread(target=keep_asking, args=(where, told, over))
        for where, told in zip(places, found, strict=True)
    ]
    for thread in threads:
        thread.start()
    try:
        yield found
    finally:
        over.set()
        for thread in threads:
            thread.join()


def answers_again(world: World) -> float:
    """Seconds until both replicas are ready and answer; what ended is started and the count
    of quotas opened where it was lost, as whoever supervises them and a schedule do."""
    began = time.monotonic()
    done = world.run("quota", "rebuild", "--unless-open")  # as its schedule does
    assert done.returncode == 0, done.stderr
    for replica in world.replicas:
        until(partial(_answers, replica), PATIENCE)
    return time.monotonic() - began


def _answers(replica: Replica) -> bool:
    for program in (replica.opa, replica.serve):
        if not program.running:
            program.start()
    return replica.ready() and one(replica, Told(), str(uuid4()))


@dataclass(frozen=True)
class Compared:
    """Records beside what clients were told."""

    answered: int
    records: int
    missing: int
    doubled: int
    undecided: int
    quarantined: int
    let_in: int

    @property
    def whole(self) -> bool:
        return not (
            self.missing or self.doubled or self.undecided or self.quarantined or self.let_in
        )


def compared(world: World, told: Sequence[Told]) -> Compared:
    """What was told against the central store, once everything was shipped."""
    answered = {request: key for each in told for request, key in each.answered.items()}
    asked = set().union(*(each.asked for each in told))
    until(lambda: set(answered) <= {row[0] for row in world.sql(_HEARD)}, PATIENCE)
    counted = {key: count for key, count in world.sql(_COUNTED) if key in asked}
    return Compared(
        answered=len(answered),
        records=sum(counted.values()),
        missing=sum(counted.get(key, 0) == 0 for key in answered.values()),
        doubled=sum(count > 1 for count in counted.values()),
        undecided=world.sql(_UNDECIDED)[0][0],
        quarantined=world.sql("SELECT count(*) FROM sluice_journal.quarantine")[0][0],
        let_in=sum(each.refused[code] for each in told for code in each.refused if code[0] == "2"),
    )
