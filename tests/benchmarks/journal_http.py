"""What durable recording costs a request: one uvicorn process, the same route with and without it.

`python -m tests.benchmarks.journal_http --serve …` is the server; `measure` asks it over 16 kept
connections, in turns, so that both routes meet the same machine.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
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

import uvicorn
from fastapi import FastAPI
from starlette.responses import Response

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
        entry_for(journal, f"r-{next(numbers)}")
        return Response(b"{}")

    @app.post("/recorded")
    async def recorded() -> Response:
        await journal.record(entry_for(journal, f"r-{next(numbers)}"))
        return Response(b"{}")

    gc.collect()
    gc.freeze()  # as `sluice serve` does
    uvicorn.run(app, port=port, loop="uvloop", http="httptools", access_log=False, log_config=None)
    journal.close()


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
    return _median(plain), _median(recorded)


def _median(loads: list[Load]) -> Load:
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
    began, used = time.perf_counter(), _cpu(pid)
    done = asyncio.run(_many(port, path))
    wall, spent = time.perf_counter() - began, _cpu(pid) - used
    return Load(done / wall, spent / done * 1e6)


async def _many(port: int, path: str) -> int:
    ends = time.monotonic() + SECONDS
    return sum(await asyncio.gather(*(_ask(port, path, ends) for _ in range(CONNECTIONS))))


async def _ask(port: int, path: str, ends: float) -> int:
    """Ask again and again on one connection; how often it was answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    request = f"POST {path} HTTP/1.1\r\nHost: b\r\nContent-Length: 0\r\n\r\n".encode()
    answered = 0
    while not answered or time.monotonic() < ends:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        assert b" 200 " in head[:16], head
        await reader.readexactly(2)
        answered += 1
    writer.close()
    return answered


def _cpu(pid: int) -> float:
    """Seconds of CPU a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--serve", nargs=3, required=True)
    home, port, dsn = parser.parse_args().serve
    serve(Path(home), int(port), dsn)
