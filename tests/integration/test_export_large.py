"""Ten million rows: flat memory, kill -9 in the middle charges nothing twice, all sums agree."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from gateway.audit.reconcile import reconcile
from gateway.settings import Settings
from sluice_client.exports import Exports
from tests.export_world import QUESTION, Lists, export_policies, release
from tests.gateway_factory import Gateway, RunningClock, enter_parties, free_port, utc_now

QUARTERS = tuple(f"{1996 + n // 4}Q{n % 4 + 1}" for n in range(116))
ROWS = int(os.environ.get("SLUICE_EXPORT_ROWS", "10000000"))
MEBI = 1024
MOST_KIB = 450 * MEBI
"""What the server, and the process beside it that makes the files, may ever hold."""
GROWTH_KIB = 60 * MEBI
"""How much more at the end than after a quarter of the rows."""


@dataclass
class Renewing(httpx.Auth):
    """The client's proof of each request, with a new token whenever the last one is old."""

    gateway: Gateway
    requires_response_body = True

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        yield from self.gateway.auth().auth_flow(request)


@contextmanager
def server(settings: Settings, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`sluice serve` on this home, until killed or the end of the block."""
    given = {
        "SLUICE_HOME": str(settings.home),
        "SLUICE_POLICIES": str(settings.policies),
        "SLUICE_PORT": str(settings.port),
    }
    command = [str(Path(sys.executable).with_name("sluice")), "serve", "--no-access-log"]
    with log.open("ab") as out:
        process = subprocess.Popen(command, env={**os.environ, **given}, stdout=out, stderr=out)
    try:
        wait_ready(settings, process, log)
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait()


def wait_ready(settings: Settings, process: subprocess.Popen[bytes], log: Path) -> None:
    ends = time.monotonic() + 180
    while True:
        assert process.poll() is None, log.read_text()[-2000:]
        assert time.monotonic() < ends, log.read_text()[-2000:]
        try:
            if httpx.get(f"{settings.base_url}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)


def family(pid: int) -> dict[str, int]:
    """The most that a server, and the makers of its files, ever held, in KiB."""
    found = {"server": _peak(pid)}
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    peaks = [_peak(int(child)) for child in children]
    return found | {"maker": max(peaks, default=0)}


def _peak(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    return 0


def progress(reply: httpx.Response) -> int:
    return int(reply.headers.get("X-Progress", "100%").partition("%")[0])


def until_done(http: httpx.Client, auth: httpx.Auth, url: str, percent: int) -> None:
    """Follow the job until so much of it is done."""
    while progress(http.get(url, auth=auth)) < percent:
        time.sleep(0.5)


def books(settings: Settings) -> tuple[Any, ...]:
    with closing(sqlite3.connect(settings.journal)) as db:
        found: tuple[Any, ...] = db.execute(
            "SELECT count(*), count(DISTINCT request_id), sum(qty), sum(billable_qty)"
            " FROM usage_event"
        ).fetchone()
    return found


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_ten_million_rows_survive_a_kill_and_a_broken_download_in_flat_memory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    width = -(-ROWS // len(QUARTERS) // 100) * 100
    lists = Lists(QUARTERS, first=width // 100, second=100)
    policies = export_policies(tmp_path / "policies", lookback=480)
    settings = Settings(home=tmp_path / "home", policies=policies, port=free_port())
    release(settings.home, policies, lists)
    machines = enter_parties(settings, utc_now, always=True)
    clock = RunningClock(started=datetime.now(UTC))
    log, folder = tmp_path / "log", tmp_path / "taken"
    period = {"from": QUARTERS[0], "to": QUARTERS[-1], "grain": "quarter"}
    question = {**QUESTION, "period": period, "measures": ["visits"]}
    with httpx.Client(base_url=settings.base_url, timeout=60) as http:
        auth = Renewing(Gateway(settings, FastAPI(), clock, machines, http))
        exports = Exports(http, auth)
        with server(settings, log) as process:
            url = exports.start("S02", question, output_format="csv")
            until_done(http, auth, url, 25)
            early = family(process.pid)
            until_done(http, auth, url, 45)
            process.send_signal(signal.SIGKILL)
            process.wait()
        with server(settings, log) as process:
            until_done(http, auth, url, 60)
            middle = family(process.pid)
            manifest = exports.follow(url)
            late = family(process.pid)
            broken_off(http, auth, manifest["output"][0], folder)
            for file in manifest["output"]:
                exports.fetch(file, folder / file["url"].rpartition("/")[2])
            fetched = family(process.pid)
    with capsys.disabled():
        peaks = f"{early=} {middle=} {late=} {fetched=}"
        sys.stdout.write(f"\n{lists.rows} rows, peak RSS in KiB: {peaks}\n")
    output = manifest["output"]
    assert sum(file["count"] for file in output) == lists.rows
    cells = sum(file["cells"] for file in output)
    assert books(settings) == (len(output), len(output), cells, cells)
    assert sum(file["cells_charged"] for file in output) == cells
    assert not reconcile(settings.journal).differences
    for each in (early, middle, late, fetched):
        assert max(each.values()) < MOST_KIB
    assert all(late[name] - middle[name] < GROWTH_KIB for name in late)
    assert fetched["server"] - late["server"] < GROWTH_KIB


def broken_off(http: httpx.Client, auth: httpx.Auth, file: dict[str, Any], folder: Path) -> None:
    """The first part of a download, as a client that loses its connection keeps it."""
    folder.mkdir(exist_ok=True)
    draft = folder / f"{file['url'].rpartition('/')[2]}.part"
    with http.stream("GET", file["url"], auth=auth) as reply, draft.open("wb") as out:
        out.write(next(reply.iter_bytes(100_000)))
    assert 0 < draft.stat().st_size < file["size"]
