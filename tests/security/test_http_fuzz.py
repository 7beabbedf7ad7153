"""Damaged requests to every route of a gateway process: no 5xx, flat memory, nobody else waits."""

from __future__ import annotations

import asyncio
import os
import random
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from sluice_client.proof import make_proof
from tests.edge_process import EdgeProcess, edge_process
from tests.gateway_factory import copy_policies, utc_now
from tests.http_fuzzer import Seed, fuzz, seeds

REQUESTS = int(os.environ.get("SLUICE_FUZZ_REQUESTS", "20000"))
DOCUMENTS = ("/openapi.json", "/admin/v1/openapi.json")
SEED = int(os.environ.get("SLUICE_FUZZ_SEED", "1"))
MOST_GROWTH = 48 * 1024 * 1024  # what caches of a fixed size may still take after the first fifth


def memory(edge: EdgeProcess) -> float:
    return edge.metric("process_resident_memory_bytes")


class Polite(threading.Thread):
    """Another tenant's client, which asks on and on; what it got and how long it waited."""

    def __init__(self, edge: EdgeProcess) -> None:
        super().__init__()
        self.edge, self.over = edge, threading.Event()
        self.statuses: set[int] = set()
        self.longest = 0.0
        self.asked = 0

    def run(self) -> None:
        while not self.over.wait(0.02):
            begun = time.monotonic()
            self.statuses.add(self.edge.ask("ins2-app").status_code)
            self.longest = max(self.longest, time.monotonic() - begun)
            self.asked += 1
            if self.asked % 200 == 0:
                self.edge.forget("ins2-app")  # tokens end after minutes


def authentic(edge: EdgeProcess, kept: list[Seed], nonce: str, chance: random.Random) -> bytes:
    """A valid request; half of them with a proof of their own, so that they get inside."""
    one = chance.choice(kept)
    if chance.random() < 0.5:
        return one.octets({})
    machine, token = edge.machines["ins-app"], edge.token("ins-app")
    url = f"{edge.settings.base_url}{one.path}"
    proof = make_proof(machine.key, one.method, url, utc_now(), nonce=nonce, access_token=token)
    return one.octets({"Authorization": f"DPoP {token}", "DPoP": proof})


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_damaged_requests_break_nothing_and_hold_up_nobody(
    released_home: Path, tmp_path: Path
) -> None:
    policies = copy_policies(tmp_path / "policies", lookback_months=1200)
    with edge_process(released_home, tmp_path, how="wide", policies=policies) as edge:
        documents = [
            edge.http.get(path).json() for path in ("/openapi.json", "/admin/v1/openapi.json")
        ]
        kept = seeds(documents)
        assert len(kept) > 60
        polite = Polite(edge)
        polite.start()
        rounds, port = [], edge.settings.port
        grown = []
        try:
            for part in range(5):
                edge.forget("ins-app")
                rounds.append(
                    asyncio.run(
                        fuzz(
                            port,
                            REQUESTS // 5,
                            SEED * 1000 + part,
                            partial(authentic, edge, kept, edge.nonce),
                        )
                    )
                )
                grown.append(memory(edge))
        finally:
            polite.over.set()
            polite.join()
        failed = [x for x in edge.written.read_text().splitlines() if " failed: " in x]
        statuses = sum((each.statuses for each in rounds[1:]), rounds[0].statuses)
        sent = sum(each.sent for each in rounds)
        waited = f"polite: {polite.asked} asked, longest {polite.longest:.3f} s"
        figures = f"{sent} requests, {dict(statuses)}, memory {grown}, {waited}"
        print(figures)  # noqa: T201 - for who runs it; no assert is about the clock
        assert [each.broken for each in rounds] == [[]] * 5
        assert failed == []
        assert polite.statuses == {200}
        assert grown[-1] - grown[0] < MOST_GROWTH
