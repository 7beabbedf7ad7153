"""What an answer costs as organisations, their grants and clients grow in number.

One gateway for each number, as it is served; the same few of its clients ask the same question of
100 cells under mutual TLS, in turns that alternate. What is shown is CPU of all threads.
Run: `python -m tests.benchmarks growth`; figures go to `benchmarks/path/growth.json`.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Final

import httpx
from rich.console import Console
from rich.table import Table

from gateway.releases.store import ReleaseStore
from tests.benchmarks.path.load import CLIENT_CORE, Load, turn
from tests.benchmarks.path.ours import Parties, questions, settings_of
from tests.benchmarks.path.report import facts
from tests.benchmarks.path.run import FULL, Plan, running
from tests.gateway_factory import RunningClock, build_home, copy_policies, free_port

NUMBERS: Final = (10, 100, 1_000)
ASKING: Final = 10
PLAN: Final = Plan(rounds=6, tenants=max(NUMBERS), requests=300, naive=False)
INTO: Final = Path("benchmarks/path/growth.json")


@dataclass
class Served:
    """A gateway with so many organisations, and what its turns cost."""

    number: int
    pid: int
    parties: Parties
    body: bytes
    loads: list[Load] = field(default_factory=list)

    def sign_in(self) -> None:
        """New tokens for those who ask."""
        with httpx.Client(base_url=f"http://127.0.0.1:{self.parties.settings.port}") as http:
            self.parties.sign_in(http)

    def take_turn(self) -> Load:
        """All connections, each with its requests."""
        asked = self.parties.requests("mtls", self.body, PLAN.connections, PLAN.requests)
        return turn(self.parties.settings.port, [self.pid], asked)


@contextmanager
def served(number: int) -> Iterator[Served]:
    """A gateway on a home of its own."""
    with tempfile.TemporaryDirectory() as name:
        folder, port, began = Path(name), free_port(), datetime.now(UTC)
        home, policies = folder / "home", copy_policies(folder / "policies")
        build_home(home)
        settings = settings_of(home, policies, port)
        parties = Parties(settings, RunningClock(real=began), number)
        parties.enter(folder)
        parties.count, parties.machines = ASKING, parties.machines[: 2 * ASKING]
        release = ReleaseStore(settings.releases).latest("S02")
        assert release is not None
        body = questions(json.loads(release.model_dump_json()))[FULL]
        module = "tests.benchmarks.path.ours"
        words = [module, str(home), str(policies), str(port), began.isoformat()]
        with running(words, port, "/readyz") as pid:
            yield Served(number, pid, parties, body)


def show(all_served: list[Served]) -> dict[str, object]:
    """Print the table; the same as plain values."""
    table = Table(title="CPU of an answer by the number of organisations (µs, all threads)")
    for name in ("organisations", "median", "least … most", "× fewest"):
        table.add_column(name, justify="right")
    told, first = {}, median(one.cpu_us for one in all_served[0].loads)
    for each in all_served:
        cpu = sorted(one.cpu_us for one in each.loads)
        spread, times = f"{cpu[0]:,.0f} … {cpu[-1]:,.0f}", median(cpu) / first
        table.add_row(f"{each.number:,}", f"{median(cpu):,.0f}", spread, f"{times:.2f}")
        told[str(each.number)] = {"cpu_us": median(cpu), "times": times, "rounds": cpu}
    Console().print(table)
    return {"machine": facts(PLAN), "organisations": told}


def main() -> None:
    """Measure, print, and write."""
    os.sched_setaffinity(0, {CLIENT_CORE})
    os.environ.setdefault("SLUICE_RELEASE_AUDIT_SECONDS", "1")  # nothing here is published
    with served(NUMBERS[0]) as few, served(NUMBERS[1]) as more, served(NUMBERS[2]) as many:
        ways = [few, more, many]
        for number in range(PLAN.rounds + 1):  # the first one warms up
            for way in ways if number % 2 else ways[::-1]:
                way.sign_in()
                load = way.take_turn()
                if number:
                    way.loads.append(load)
        told = show(ways)
    INTO.parent.mkdir(parents=True, exist_ok=True)
    INTO.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
