"""What durable recording costs a request: one uvicorn process, the same route with and without it.

`python -m tests.benchmarks.journal_http --serve …` is the server; `measure` asks it over 16 kept
connections, in turns, so that both routes meet the same machine.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import cast

import uvicorn
import uvloop
from fastapi import FastAPI
from starlette.responses import Response

from gateway.api import collector
from gateway.journal.entry import Entry
from gateway.journal.sqlite import CentralStore, SqliteJournal
from tests.gateway_factory import free_port
from tests.journal_server import entry_for

CONNECTIONS, ROUNDS, SECONDS = 16, 5, 2.0
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Load:
    """Requests per second, and the server's CPU for each in µs."""

    per_second: float
    cpu_us: float


def serve(home: Path, port: int, dsn: str) -> None:
    """Both routes; entries are made in both, recorded in one."""
    store = CentralStore(dsn, "bench") if dsn else None
    now = datetime.now(UTC)
    journal = SqliteJournal.open(home / "journal.db", home / "keys", now, store=store)
    app = FastAPI(openapi_url=None)
    numbers = iter(range(10**9))

    @app.post("/plain")
    async def plain() -> Response:
        _made(journal, next(numbers))
        return Response(b"{}")

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


def measure(dsn: str = "") -> tuple[Load, Load]:
    """The route without and with a durable record; medians of rounds in turns."""
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        words = ["--serve", folder, str(port), dsn]
        server = subprocess.Popen([sys.executable, "-m", "tests.benchmarks.journal_http", *words])
        try:
            _wait(port)
            rounds = [(_load(server.pid, port, "/plain"), _load(server.pid, port, "/recorded"))]
            rounds = [  # the first was to warm up
                (_load(server.pid, port, "/plain"), _load(server.pid, port, "/recorded"))
                for _ in range(ROUNDS)
            ]
        finally:
            server.terminate()
            server.wait(30)
    plain, recorded = ([r[i] for r in rounds] for i in (0, 1))
    return middle(plain), middle(recorded)


def middle(loads: list[Load]) -> Load:
    """Medians of both figures."""
    return Load(median(one.per_second for one in loads), median(one.cpu_us for one in loads))


def _wait(port: int) -> None:
    ends = time.monotonic() + 60
    while time.monotonic() < ends:
        with suppress(OSError):
            asyncio.run(_ask(port, "/plain", time.monotonic()))
            return
        time.sleep(0.1)
    sys.exit("the server did not start")


def _load(pid: int, port: int, path: str) -> Load:
    began, used = time.perf_counter(), cpu_seconds(pid)
    done = uvloop.run(_many(port, path))
    wall, spent = time.perf_counter() - began, cpu_seconds(pid) - used
    return Load(done / wall, spent / done * 1e6)


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
        transport.write(self._request)

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


def cpu_seconds(pid: int) -> float:
    """Seconds of CPU a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--serve", nargs=3, required=True)
    home, port, dsn = parser.parse_args().serve
    serve(Path(home), int(port), dsn)
