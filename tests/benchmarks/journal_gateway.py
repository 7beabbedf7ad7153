"""What durable recording costs a request of the real gateway: one uvicorn process, the same
questions in turns with its journal as it is and with one that stores nothing.

`python -m tests.benchmarks.journal_gateway --serve …` is the server: `gateway.app.create_app` on a
small home, in which `record` is exchanged between two rounds. What takes its place is given the
same entry and settles the same hold; it makes no rows, seals nothing and waits for no disk. A third
one only waits, as `journal_http` says.

Each of 16 kept connections is a tenant of its own that asks one question again and again, every
time with a DPoP proof of its own, made before the clock starts. So token, decision and cells are at
hand after the first round, which is not counted. A small home has too few cells to be asked for new
ones in every request. So two kinds of answers are measured:

- charged: what a tenant was charged for is forgotten when its answer leaves, in both turns, and
  every answer is charged in full and stored with its cells, as a first one is;
- repeats: the gateway as it is. The cells were charged before, so answers are stored without any.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import httpx
import uvloop
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.app import create_app
from gateway.identity.boundaries import load_boundaries
from gateway.identity.desk import open_identity
from gateway.journal.charges import Charges, Claim
from gateway.journal.counters import Hold
from gateway.journal.entry import Entry
from gateway.journal.sqlite import SqliteJournal
from gateway.settings import Settings
from sluice_client.proof import ProvenBy, make_proof
from tests.benchmarks import as_served
from tests.benchmarks.journal_http import (
    CONNECTIONS,
    ROUNDS,
    WAYS,
    Load,
    load,
    middle,
    only_waiting,
)
from tests.benchmarks.threads import spent, writers
from tests.factories_identity import Machine, add_client, add_grant, add_tenant, new_key, public
from tests.gateway_factory import (
    COST,
    USCC,
    VALID,
    RunningClock,
    build_home,
    copy_policies,
    free_port,
)

PATH = "/v1/services/S02/queries"
BODY = json.dumps({**COST, "dims": []}).encode()
REQUESTS = 60
"""Of one connection in one turn."""
KINDS = ("charged", "repeats")


class _Forgetting(Charges):
    """Keeps no cell in mind as charged once its answer has left."""

    def end(self, claim: Claim, *, stored: bool) -> None:
        super().end(claim, stored=False)


async def _stored_nowhere(entry: Entry, hold: Hold | None = None) -> None:
    """Settles the hold as `SqliteJournal.record` does."""
    if hold and entry.usage:
        hold.hand_over(entry.usage.qty, entry.usage)(True)


def serve(home: Path, policies: Path, port: int, began: datetime) -> None:
    """The gateway as `sluice serve --no-access-log` runs it, with a path that changes turns."""
    app = create_app(_settings(home, policies, port), RunningClock(real=began))
    journal = cast(SqliteJournal, app.state.desk.journal)
    charges = {"charged": _Forgetting(), "repeats": journal.counters.charges}
    group, waiting = journal._group, only_waiting()
    record = {"nothing": _stored_nowhere, "waits": journal.record, "recorded": journal.record}

    async def turn(request: Request) -> Response:
        kind, way = request.path_params["kind"], request.path_params["way"]
        journal.counters.charges = charges[kind]
        journal.record = record[way]  # type: ignore[method-assign]  # of this process alone
        journal._group = waiting if way == "waits" else group
        return JSONResponse(writers())

    app.router.routes.insert(0, Route("/turn/{kind}/{way}", turn, methods=["POST"]))
    as_served.run(app, port)


def _settings(home: Path, policies: Path, port: int) -> Settings:
    return Settings(home=home, policies=policies, port=port)


@dataclass
class Client:
    """All tenants, one for each connection, and the server they ask."""

    machines: Sequence[Machine]
    clock: RunningClock
    pid: int
    http: httpx.Client

    def turn(self, kind: str, way: str) -> Load:
        """One turn: every connection sends its requests one after another."""
        writing = [int(one) for one in self.http.post(f"/turn/{kind}/{way}").json()]
        told = [self._told(machine) for machine in self.machines]
        began, used = time.perf_counter(), spent(self.pid, writing)
        uvloop.run(_all(self.http.base_url, told))
        wall, used = time.perf_counter() - began, spent(self.pid, writing) - used
        return load(sum(len(requests) for requests in told), wall, used)

    def _told(self, machine: Machine) -> list[bytes]:
        """The requests of one connection; each is good once."""
        now = self.clock()
        prover = ProvenBy(machine.key, self.clock)
        reply = self.http.post("/oauth/token", data=machine.form(now), auth=prover)
        assert reply.status_code == 200, reply.text
        token, url = str(reply.json()["access_token"]), f"{machine.issuer}{PATH}"

        def request() -> bytes:
            proof = make_proof(
                machine.key, "POST", url, now, nonce=prover.nonce, access_token=token
            )
            lines = (
                f"POST {PATH} HTTP/1.1",
                f"Host: {self.http.base_url.netloc.decode()}",
                "Content-Type: application/json",
                f"Authorization: DPoP {token}",
                f"DPoP: {proof}",
                f"Content-Length: {len(BODY)}",
            )
            return "\r\n".join((*lines, "", "")).encode() + BODY

        return [request() for _ in range(REQUESTS)]


class _Asking(asyncio.Protocol):
    """Sends one request after another, at little cost: it shares the machine with what it
    measures."""

    def __init__(self, requests: Sequence[bytes]) -> None:
        self._left = iter(requests)
        self._begun, self._length = b"", -1
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._ask()

    def _ask(self) -> None:
        self._begun, self._length = b"", -1
        request = next(self._left, None)
        if request is None:
            self.done.set_result(None)
            self._transport.close()
        else:
            self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._begun += data
        if self._length < 0:
            head, ended, _ = self._begun.partition(b"\r\n\r\n")
            if not ended:
                return
            stated = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
            self._length = len(head) + 4 + int(stated)
        if len(self._begun) < self._length:
            return
        if self._begun.startswith(b"HTTP/1.1 200 "):
            self._ask()
        else:
            self._fail(self._begun.decode())

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(f"the connection was lost: {error}")

    def _fail(self, why: str) -> None:
        if not self.done.done():
            self.done.set_exception(AssertionError(why))


async def _all(server: httpx.URL, told: Sequence[Sequence[bytes]]) -> None:
    loop = asyncio.get_running_loop()

    async def ask(requests: Sequence[bytes]) -> None:
        made = await loop.create_connection(
            lambda: _Asking(requests), server.host, server.port or 80
        )
        await made[1].done

    await asyncio.gather(*map(ask, told))


def _enter(settings: Settings, clock: Callable[[], datetime]) -> list[Machine]:
    """A tenant with a grant and a client for each connection."""
    machines = []
    with closing(open_identity(settings, clock=clock)) as identity:
        bounds = load_boundaries(settings.policies)
        for number in range(CONNECTIONS):
            tenant, client, key = f"T-{number}", f"app-{number}", new_key()
            add_tenant(identity, tenant, kind="insurer", uscc=USCC)
            grant = {"grant_id": f"G-{number}", "tenant_id": tenant, "scenario": "SC01"}
            add_grant(identity, bounds, **grant, **VALID)
            add_client(identity, client, tenant, public(key))
            machines.append(Machine(client, key, settings.base_url))
    return machines


def _wait(http: httpx.Client) -> None:
    ends = time.monotonic() + 120
    while time.monotonic() < ends:
        with suppress(httpx.TransportError):
            http.get("/readyz")
            return
        time.sleep(0.1)  # until the next try to connect
    sys.exit("the gateway did not start")


def _check(home: Path) -> int:
    """Every answer of the turns with a record is in the journal, charged or not as its kind says,
    and no other; the cells of one answer."""
    turns = (ROUNDS + 1) * CONNECTIONS * REQUESTS
    with closing(sqlite3.connect(home / "journal.db")) as db:
        found = db.execute("SELECT count(*), sum(billable_qty = qty), max(qty) FROM usage_event")
        answers, charged, cells = found.fetchone()
    assert answers == 2 * turns, f"{answers} answers are recorded, {2 * turns} were given"
    # The first answer to a tenant that is not forgotten is charged too, where it was not before.
    assert turns <= charged <= turns + CONNECTIONS, f"{charged} answers are charged, not {turns}"
    return int(cells)


def measure() -> tuple[dict[tuple[str, str], Load], int]:
    """Each kind of answers without and with a durable record, medians of rounds in turns; and how
    many cells an answer has."""
    runs: dict[tuple[str, str], list[Load]] = {(kind, way): [] for kind in KINDS for way in WAYS}
    with tempfile.TemporaryDirectory() as folder:
        home, port, began = Path(folder) / "home", free_port(), datetime.now(UTC)
        policies, clock = copy_policies(Path(folder) / "policies"), RunningClock(real=began)
        os.environ.setdefault("SLUICE_RELEASE_AUDIT_SECONDS", "1")  # nothing here is published
        build_home(home)
        settings = _settings(home, policies, port)
        machines = _enter(settings, clock)
        words = ["--serve", str(home), str(policies), str(port), began.isoformat()]
        module = "tests.benchmarks.journal_gateway"
        server = subprocess.Popen([sys.executable, "-m", module, *words])
        try:
            with httpx.Client(base_url=settings.base_url, timeout=60) as http:
                _wait(http)
                client = Client(machines, clock, server.pid, http)
                for _ in range(ROUNDS + 1):
                    for turn, loads in runs.items():
                        loads.append(client.turn(*turn))
        finally:
            server.terminate()
            server.wait(30)
        cells = _check(home)
    return {turn: middle(loads[1:]) for turn, loads in runs.items()}, cells


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--serve", nargs=4, required=True)
    home, policies, port, began = parser.parse_args().serve
    serve(Path(home), Path(policies), int(port), datetime.fromisoformat(began))
