"""Build releases of ever larger warehouses: time, processor time and peak memory, side by side.

    python -m tests.benchmarks.releases                  # of 20 k and 200 k persons
    SLUICE_BENCH_SIZES="demo province" make bench        # 200 k and 2 M: hours, 40 GB of disk
    SLUICE_BENCH_SERVICES="S02 S04" …                    # of some services, alone; all unless told
    SLUICE_BENCH_DIR=/mnt/large …                        # where warehouses and staging lie

In a folder that is named, the simulated warehouses stay for the next run; delete them where the
simulator has changed. Of 2 M persons one needs 10 GB, and a build several times that.

Each size is simulated and built in processes of its own, first from nothing, then again with all
that the first left in staging. The last line of a size says how it grew against the one before: so
many times, and to which power of the rows (1: in step with them; more: faster).
Memory is the largest that any one process held; a build has a process more than processors.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from math import log
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from gateway.releases.build import Order, Step, build
from gateway.releases.source import MEMORY
from gateway.settings import Settings
from tests.waivers import INVENTED

SIZES = tuple(os.environ.get("SLUICE_BENCH_SIZES", "ci demo").split())
SERVICES = tuple(os.environ.get("SLUICE_BENCH_SERVICES", "").split())
DIR = "SLUICE_BENCH_DIR"
LIMIT = 2048  # MiB of any one process
_ALONE = "import sys; from tests.benchmarks.releases import measure; measure(*sys.argv[1:])"
_SLUICE = "from gateway.cli import main; main()"


def main() -> None:
    """Print a line per size and build, and fail where a process needs more than the limit."""
    asked = sys.argv[1:] if __name__ == "__main__" else []
    sizes = asked or SIZES
    named = ", ".join(SERVICES) or "all services"
    _tell(f"Releases of {named}; DuckDB: {MEMORY}; at most {LIMIT} MiB a process")
    heads = ("rows", "from", "wall s", "CPU s", "peak MiB", "staging MB", "reused")
    _tell(f"{'size':>10}" + "".join(f"{head:>12}" for head in heads))
    before: dict[str, float] | None = None
    for size in sizes:
        with _home(size) as folder:
            first = _measured(folder)
            again = _measured(folder)
        _tell(_row(size, "nothing", first))
        _tell(_row(size, "staging", again))
        if before is not None:
            _tell(_growth(before, first))
        before = first
        if max(first["peak"], again["peak"]) > LIMIT:
            raise SystemExit(f"{size}: more than {LIMIT} MiB of memory in one process")


@contextmanager
def _home(size: str) -> Iterator[str]:
    """A home with a warehouse of a size, and nothing built."""
    if DIR not in os.environ:
        with TemporaryDirectory(prefix="releases-") as folder:
            _simulate(size, folder)
            yield folder
        return
    home = Path(os.environ[DIR]) / f"releases-{size}"
    if not (home / "warehouse" / "CURRENT").exists():
        _simulate(size, str(home))
    try:
        _clear(home)
        yield str(home)
    finally:
        _clear(home)


def _simulate(size: str, folder: str) -> None:
    _run("-c", _SLUICE, "warehouse", "simulate", "--size", size, "--home", folder)


def _clear(home: Path) -> None:
    """Leave the warehouse alone there."""
    for built in ("releases", "staging"):
        shutil.rmtree(home / built, ignore_errors=True)


def measure(folder: str) -> None:
    """Build once and print what it took as JSON."""
    steps: list[Step] = []
    home, started = Path(folder), perf_counter()
    made = build(
        Settings(home=home),
        Order(SERVICES, waivers=INVENTED, alone=bool(SERVICES)),
        datetime(2026, 1, 1, tzinfo=UTC),
        steps.append,
    )
    wall = perf_counter() - started
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    reuse = steps[-1].reuse
    assert reuse is not None
    whole, kept = reuse.facts_of + reuse.seasons_of, reuse.facts + reuse.seasons
    told = {
        "rows": sum(table.rows for table in made[0].inputs),
        "wall": wall,
        "cpu": sum(one.ru_utime + one.ru_stime for one in usage),
        "peak": max(one.ru_maxrss for one in usage) / 1024,
        "staging": sum(f.stat().st_size for f in (home / "staging").rglob("*") if f.is_file()),
        "reused": kept / whole,
    }
    _tell(json.dumps(told))


def _measured(folder: str) -> dict[str, float]:
    found: dict[str, float] = json.loads(_run("-c", _ALONE, folder).splitlines()[-1])
    return found


def _run(*arguments: str) -> str:
    command = [sys.executable, *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def _row(size: str, source: str, found: dict[str, float]) -> str:
    return (
        f"{size:>10}{found['rows']:>12,.0f}{source:>12}{found['wall']:>12.1f}{found['cpu']:>12.1f}"
        f"{found['peak']:>12.0f}{found['staging'] / 1e6:>12.1f}{found['reused']:>11.0%}"
    )


def _growth(before: dict[str, float], now: dict[str, float]) -> str:
    rows = now["rows"] / before["rows"]
    times = {name: now[name] / before[name] for name in ("wall", "cpu", "peak")}
    words = (f"{name} × {grew:.2f} (rows^{_power(grew, rows):.2f})" for name, grew in times.items())
    return f"{'':>10}rows × {rows:.2f}, {', '.join(words)}"


def _power(grew: float, rows: float) -> float:
    return log(grew) / log(rows)


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
