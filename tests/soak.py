"""Mixed load on two replicas of production for a while: memory and open files must stay flat.

`python -m tests.soak --minutes 30` prints what each replica held, minute by minute, and exits 1
where the last fifth of the run holds a tenth more memory, or ten more files, than the second fifth.
The first fifth is for what fills once: caches, pools, the code itself.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from uuid import uuid4

import httpx

from tests.gateway_factory import COST, DRUGS, Gateway, build_home
from tests.two_replicas import Replica, World, opened, two_replicas

EVERY = 10.0  # seconds between two looks
MORE_MEMORY, MORE_FILES = 1.10, 10
SHARES = 5


@dataclass(frozen=True)
class Look:
    """What a process holds."""

    memory_kb: int
    files: int


def look(pid: int) -> Look:
    status = Path(f"/proc/{pid}/status").read_text()
    resident = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return Look(int(resident.split()[1]), len(list(Path(f"/proc/{pid}/fd").iterdir())))


def _calls(gateway: Gateway, turn: int) -> list[httpx.Response]:
    """Questions of two firms, new and repeated, pages, refusals and reading."""
    key = {"Idempotency-Key": str(uuid4())}
    few = {**COST, "dims": [("insutype2", "benefit5")[turn % 2]]}
    return [
        gateway.ask("S02", COST, headers=key),
        gateway.ask("S02", COST, headers=key),
        gateway.ask("S02", few),
        gateway.ask("S09", DRUGS, client="pha-app"),
        gateway.ask("S02", COST, client="pha-app"),
        gateway.get("/v1/usage"),
        gateway.get("/v1/services"),
    ]


def _load(replica: Replica, told: Counter[str], over: threading.Event) -> None:
    turn = 0
    while not over.is_set():
        turn += 1
        try:
            told.update(str(reply.status_code) for reply in _calls(replica.gateway, turn))
        except (httpx.TransportError, AssertionError) as error:
            told[type(error).__name__] += 1
        time.sleep(0.02)


def soak(world: World, minutes: float) -> tuple[Counter[str], list[list[Look]]]:
    """Load both replicas; what each held at each look."""
    told: Counter[str] = Counter()
    over = threading.Event()
    threads = [
        threading.Thread(target=_load, args=(replica, told, over))
        for replica in (*world.replicas, *world.replicas)
    ]
    for thread in threads:
        thread.start()
    looks: list[list[Look]] = [[] for _ in world.replicas]
    ends = time.monotonic() + minutes * 60
    while time.monotonic() < ends:
        time.sleep(EVERY)
        for replica, seen in zip(world.replicas, looks, strict=True):
            assert replica.serve.process is not None
            seen.append(look(replica.serve.process.pid))
    over.set()
    for thread in threads:
        thread.join()
    return told, looks


def flat(seen: list[Look]) -> bool:
    """Whether the last fifth holds about what the second one held."""
    share = max(len(seen) // SHARES, 1)
    early, late = seen[share : 2 * share], seen[-share:]
    memory = [median(one.memory_kb for one in part) for part in (early, late)]
    files = [median(one.files for one in part) for part in (early, late)]
    return memory[1] <= memory[0] * MORE_MEMORY and files[1] <= files[0] + MORE_FILES


def _tell(node: str, seen: list[Look]) -> None:
    for place in range(0, len(seen), max(int(60 / EVERY), 1)):
        held, minute = seen[place], place * EVERY / 60
        memory = held.memory_kb // 1024
        sys.stdout.write(f"{node} minute {minute:4.0f}  {memory:5} MiB  {held.files:4} files\n")
    sys.stdout.write(f"{node}: {'flat' if flat(seen) else 'GROWS'}\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    minutes = parser.parse_args().minutes
    with tempfile.TemporaryDirectory(prefix="sluice-soak-") as name:
        folder = Path(name)
        build_home(folder / "released")
        with two_replicas(folder / "released", folder) as world:
            opened(world)
            told, looks = soak(world, minutes)
    for node, seen in zip("ab", looks, strict=True):
        _tell(node, seen)
    counts = ", ".join(f"{code} × {count}" for code, count in sorted(told.items()))
    sys.stdout.write(f"answers: {counts}\n")
    return 0 if all(flat(seen) for seen in looks) else 1


if __name__ == "__main__":
    sys.exit(main())
