"""What durable recording costs a request: one uvicorn process, the same route with and without it.

`python -m tests.benchmarks.journal_http --serve …` is the server; `measure` asks it over 16 kept
connections, in turns, so that all routes meet the same machine. A third route only waits: its calls
queue for a writer that makes no rows and sleeps as long as a commit takes.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import cast

import httpx
import uvicorn
import uvloop
from fastapi import FastAPI
from starlette.responses import Response

from gateway.api import collector
from gateway.journal.entry import Entry
from gateway.journal.group import GroupCommit, Pace
from gateway.journal.sqlite import CentralStore, SqliteJournal
from tests.benchmarks.threads import Spent, spent, writers
from tests.gateway_factory import free_port
from tests.journal_server import entry_for

CONNECTIONS, ROUNDS, SECONDS = 16, 5, 2.0
WAYS = ("nothing", "waits", "recorded")
COMMIT = 0.001
"""Seconds that a commit of a few entries takes."""


@dataclass(frozen=True)
class Load:
    """Requests per second, and the server's CPU for each in µs: of all its threads, and of those
    that run the event loop and write the journal."""

    per_second: float
    cpu_us: float
    loop_us: float
    writer_us: float


def load(done: int, wall: float, used: Spent) -> Load:
    """So many requests in so many seconds."""
    each = 1e6 / done
    return Load(done / wall, used.whole * each, used.loop * each, used.writer * each)


def only_waiting() -> GroupCommit:
    """The journal's queue and hand-overs; nothing is written."""

    def sleep(batch: list[Entry]) -> list[Exception | None]:
        time.sleep(COMMIT)
        return [None] * len(batch)

    return GroupCommit(sleep, _nothing, _nothing, Pace())


def _nothing() -> None:
    return None


def serve(home: Path, port: int, dsn: str) -> None:
    """All routes; entries are made in each, recorded in one."""
    store = CentralStore(dsn, "bench") if dsn else None
    now = datetime.now(UTC)
    journal = SqliteJournal.open(home / "journal.db", home / "keys", now, store=store)
    app, waiting = FastAPI(openapi_url=None), only_waiting()
    numbers = iter(range(10**9))

    @app.post("/nothing")
    async def nothing() -> Response:
        _made(journal, next(numbers))
        return Response(b"{}")

    @app.post("/waits")
    async def waits() -> Response:
        await waiting.record(_made(journal, next(numbers)))
        return Response(b"{}")

    @app.post("/writers")
    async def told() -> list[int]:
        return writers()

    @app.post("/recorded")
    async def recorded() -> Response:
        await journal.record(_made(journal, next(numbers)))
        return Response(b"{}")

    collector.settle()  # as `sluice serve` does
    uvicorn.run(app, port=port, loop="uvloop", http="httptools", access_log=False, log_config=None)
    journal.close()


def _made(journal: SqliteJournal, number: int) -> Entry:
    """Clients page through a release: the cells of an answer follow those of the one before."""
    return entry_for(journal, f"r-{number}", place=number)


def measure(dsn: str = "") -> dict[str, Load]:
    """Each route's load; medians of rounds in turns."""
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        words = ["--serve", folder, str(port), dsn]
        server = subprocess.Popen([sys.executable, "-m", "tests.benchmarks.journal_http", *words])
        try:
            writing = _wait(port)
            rounds = [
                {way: _load(server.pid, writing, port, f"/{way}") for way in WAYS}
                for _ in range(ROUNDS + 1)
            ]
        finally:
            server.terminate()
            server.wait(30)
    return {way: middle([found[way] for found in rounds[1:]]) for way in WAYS}  # the first: warm up


def middle(loads: list[Load]) -> Load:
    """Medians of every figure."""
    return Load(*(median(figures) for figures in zip(*map(astuple, loads), strict=True)))


def _wait(port: int) -> list[int]:
    """Once the server answers: its threads that write."""
    ends = time.monotonic() + 60
    while time.monotonic() < ends:
        with suppress(httpx.TransportError):
            return [int(one) for one in httpx.post(f"http://127.0.0.1:{port}/writers").json()]
        time.sleep(0.1)
    sys.exit("the server did not start")


def _load(pid: int, writing: list[int], port: int, path: str) -> Load:
    began, used = time.perf_counter(), spent(pid, writing)
    done = uvloop.run(_many(port, path))
    return load(done, time.perf_counter() - began, spent(pid, writing) - used)


async def _many(port: int, path: str) -> int:
    ends = time.monotonic() + SECONDS
    return sum(await asyncio.gather(*(_ask(port, path, ends) for _ in range(CONNECTIONS))))


class _Asking(asyncio.Protocol):
    """Asks again and again on one connection, at little cost: it shares the machine with what it
    measures."""

    def __init__(self, path: str, ends: float) -> None:
        head = f"POST {path} HTTP/1.1\r\nHost: b\r\nContent-Length: 0\r\n\r\n"
        self._request, self._ends = head.encode(), ends
        self._begun, self._answered = b"", 0
        self.done: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._begun += data
        if not self._begun.endswith(b"\r\n\r\n{}"):
            return
        if b" 200 " not in self._begun[:16]:
            self.done.set_exception(AssertionError(self._begun))
        self._begun = b""
        self._answered += 1
        if time.monotonic() < self._ends:
            self._transport.write(self._request)
        else:
            self._transport.close()

    def connection_lost(self, _: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(self._answered)


async def _ask(port: int, path: str, ends: float) -> int:
    """How often one connection was answered, at least once."""
    loop = asyncio.get_running_loop()
    _, asking = await loop.create_connection(lambda: _Asking(path, ends), "127.0.0.1", port)
    return await asking.done


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--serve", nargs=3, required=True)
    home, port, dsn = parser.parse_args().serve
    serve(Path(home), int(port), dsn)
