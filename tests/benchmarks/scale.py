"""The end of a month over very many events: hourly roll-up, rating, sharing; time and memory.

One million and ten million events; a hundred million with `SLUICE_SCALE=100m` (needs 8 GB of disk).
Each size is measured in a process of its own, so that its peak of memory is its own.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time

from gateway.billing.delivered import contributions
from gateway.billing.rollup import rollups
from gateway.billing.rollup_month import MonthSums
from gateway.journal.engine import Limits
from metering.allotment import allot
from metering.rating import charge
from metering.sharing import weigh
from tests.scale_world import MONTH, Recorded, folders, releases, write

SIZES = (1_000_000, 10_000_000)
MOST = 100_000_000
LIMITS = Limits(memory="1GiB", threads=2)
STATE_LIMIT = 2048  # MiB of the whole process
STEPS = ("roll up", "rate", "share")
_ALONE = "import sys; from tests.benchmarks.scale import {}; {}(*sys.argv[1:])"


def main() -> None:
    """Print how time and memory grow with the number of events."""
    sizes = (*SIZES, MOST) if os.environ.get("SLUICE_SCALE") == "100m" else SIZES
    _tell(f"Month-end over N events; DuckDB: {LIMITS.memory}, {LIMITS.threads} threads")
    heads = "".join(f"{step:>12}" for step in STEPS)
    _tell(f"{'events':>12}{heads}{'total':>9}{'CPU s':>8}{'µs/event':>10}{'peak MiB':>10}{'GB':>7}")
    for size in sizes:
        with TemporaryDirectory(prefix="scale-", dir=os.environ.get("SLUICE_SCALE_DIR")) as folder:
            _alone("generate", folder, str(size))
            found = json.loads(_alone("measure", folder))
        _tell(_row(size, found))
        if found["peak"] > STATE_LIMIT:
            raise SystemExit(f"more than {STATE_LIMIT} MiB of memory")


def _row(size: int, found: dict[str, float]) -> str:
    seconds = "".join(f"{found[step]:>11.1f}s" for step in STEPS)
    total, each = sum(found[step] for step in STEPS), 1e6 * found["cpu"] / size
    return (
        f"{size:>12,}{seconds}{total:>8.1f}s{found['cpu']:>8.1f}{each:>10.2f}"
        f"{found['peak']:>10.0f}{found['bytes'] / 1e9:>7.2f}"
    )


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def generate(folder: str, events: str) -> None:
    """Write the archive of so many events."""
    archive, released = folders(Path(folder))
    archive.mkdir()
    write(archive, releases(released), int(events))


def measure(folder: str) -> None:
    """Roll up, rate and share; print the figures as JSON. Fails where the month is not right."""
    archive, released = folders(Path(folder))
    expected = json.loads((Path(folder) / "expected.json").read_text())
    source, marks = Recorded(archive), [perf_counter()]
    cpu = process_time()
    with rollups(archive, LIMITS) as rolled:
        progress = rolled.refresh(source)
        marks.append(perf_counter())
        sums = MonthSums(rolled, source, MONTH)
        lines = charge(sums.accruals())
        marks.append(perf_counter())
        found = contributions(sums, released, lambda service: "contribution")
    fees = dict.fromkeys(found, 0)
    for line in lines:
        fees[line.key.service] += line.amount_fen
    shares = {service: allot(fees[service], weigh(parts)) for service, parts in found.items()}
    marks.append(perf_counter())
    assert progress.state.events == sum(line.used.answers for line in lines) == expected["events"]
    billed = expected["billable"] - expected["repeated_twice"]
    assert sum(line.used.billable for line in lines) == billed
    assert {name: sum(parts.values()) for name, parts in shares.items()} == fees
    seconds = [later - earlier for earlier, later in pairwise(marks)]
    told = dict(zip(STEPS, seconds, strict=True)) | {
        "cpu": process_time() - cpu,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "bytes": sum(file.stat().st_size for file in archive.rglob("*.parquet")),
    }
    _tell(json.dumps(told))


def _alone(function: str, *arguments: str) -> str:
    """Run one of these functions in a process of its own; what it prints."""
    code = _ALONE.format(function, function)
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
