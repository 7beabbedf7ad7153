"""Damaged requests to every route of a gateway process: no 5xx, flat memory, nobody else waits.

Another organisation asks on meanwhile, and the same of a second, quiet gateway beside it: what both
wait for is the machine's. `SLUICE_FUZZ_REQUESTS` of them, by `SLUICE_FUZZ_PROCESSES`.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

import pytest

from tests.edge_process import EdgeProcess, edge_process
from tests.gateway_factory import copy_policies
from tests.http_fuzzer import Errand, Harvest, Seed, run, seeds

REQUESTS = int(os.environ.get("SLUICE_FUZZ_REQUESTS", "20000"))
PROCESSES = int(os.environ.get("SLUICE_FUZZ_PROCESSES", "2"))
SEED = int(os.environ.get("SLUICE_FUZZ_SEED", "1"))
DOCUMENTS = ("/openapi.json", "/admin/v1/openapi.json")
TOKEN_SECONDS = 60  # tokens end after minutes
ROUND = 4000  # requests of a process under one token and nonce, which end after minutes
MOST_GROWTH = 48 * 1024 * 1024  # what caches of a fixed size may still take after the first fifth
MOST_WORK = 1.0
"""Seconds the server may compute between a polite question and its answer, whatever else is sent.
Of its CPU, so that it holds on a busy machine too."""


def memory(edge: EdgeProcess) -> float:
    return edge.metric("process_resident_memory_bytes")


class Polite(threading.Thread):
    """Another tenant's client, which asks on and on; what it got and how long it waited."""

    def __init__(self, edge: EdgeProcess) -> None:
        super().__init__()
        self.edge, self.over = edge, threading.Event()
        self.statuses: set[int] = set()
        self.waits: list[tuple[float, float]] = []
        """Of each question: seconds of the clock, and of the server's CPU meanwhile."""

    def run(self) -> None:
        self.edge.token("ins2-app")
        fetched = time.monotonic()
        while not self.over.wait(0.02):
            begun, worked = time.monotonic(), self._worked()
            self.statuses.add(self.edge.ask("ins2-app").status_code)
            self.waits.append((time.monotonic() - begun, self._worked() - worked))
            if time.monotonic() - fetched > TOKEN_SECONDS:
                self.edge.forget("ins2-app")
                self.edge.token("ins2-app")
                fetched = time.monotonic()

    def _worked(self) -> float:
        """CPU seconds of all threads of the server so far (Linux: proc_pid_stat(5))."""
        stat = Path(f"/proc/{self.edge.process.pid}/stat").read_text("ascii")
        user, system = stat.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def told(self) -> str:
        """Figures: how many, the median, one in a thousand, the longest, and most work."""
        clock = sorted(wait for wait, _ in self.waits) or [0.0]
        at = [clock[int(part * (len(clock) - 1))] for part in (0.5, 0.999, 1)]
        most = max((work for _, work in self.waits), default=0.0)
        shown = " / ".join(f"{one:.3f}" for one in at)
        return f"{len(self.waits)} asked, waited {shown} s, server's CPU at most {most:.2f} s"


@contextmanager
def asking(*edges: EdgeProcess) -> Iterator[tuple[Polite, ...]]:
    """A polite client of each, until the block ends."""
    clients = tuple(map(Polite, edges))
    for one in clients:
        one.start()
    try:
        yield clients
    finally:
        for one in clients:
            one.over.set()
            one.join()


def errands(edge: EdgeProcess, kept: list[Seed], part: int) -> list[Errand]:
    """What the processes of a round are told."""
    edge.forget("ins-app")
    key = edge.machines["ins-app"].key.as_dict(private=True)
    count = min(ROUND, -(-REQUESTS // (5 * PROCESSES)))
    whom = (edge.settings.base_url, edge.settings.port, count)
    return [
        Errand(*whom, SEED * 100_000 + part * PROCESSES + n, kept, key, edge.token(), edge.nonce)
        for n in range(PROCESSES)
    ]


@pytest.mark.slow
@pytest.mark.timeout(6 * 3600)
def test_damaged_requests_break_nothing_and_hold_up_nobody(
    released_home: Path, tmp_path: Path
) -> None:
    policies = copy_policies(tmp_path / "policies", lookback_months=1200)
    with (
        edge_process(released_home, tmp_path / "a", how="wide", policies=policies) as edge,
        edge_process(released_home, tmp_path / "b", how="wide", policies=policies) as quiet,
        ProcessPoolExecutor(PROCESSES, get_context("spawn")) as pool,
    ):
        kept = seeds([edge.http.get(path).json() for path in DOCUMENTS])
        assert len(kept) > 60
        statuses: Counter[int] = Counter()
        sent, grown = 0, []
        with asking(edge, quiet) as (polite, control):
            for part in range(10_000):
                rounds: list[Harvest] = list(pool.map(run, errands(edge, kept, part)))
                assert [each.broken for each in rounds] == [[]] * PROCESSES
                statuses += sum((each.statuses for each in rounds), Counter())
                sent += sum(each.sent for each in rounds)
                grown.append(memory(edge))
                figures = f"{sent} requests, {dict(statuses)}, memory {grown[-1] / 2**20:.0f} MiB"
                print(f"{figures}; polite: {polite.told()}; quiet: {control.told()}", flush=True)  # noqa: T201 - for who runs it; no assert is about the clock
                if sent >= REQUESTS:
                    break
        failed = [x for x in edge.written.read_text().splitlines() if " failed: " in x]
    assert failed == []
    assert polite.statuses == {200}
    assert max(work for _, work in polite.waits) < MOST_WORK
    assert grown[-1] - grown[len(grown) // 5] < MOST_GROWTH
