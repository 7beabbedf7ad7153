"""`python -m tests.benchmarks.request_path`: the request path beside its peers, in one run.

Rounds are interleaved, each server alone on one core and the load on the other; every figure is the
median of its rounds, with the spread. CPU is that of all threads of a server's processes, the OPA
server's with the naive stack's. What our journal recorded is compared with the answers, 1:1.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Final

from tests.benchmarks.path.load import CLIENT_CORE
from tests.benchmarks.path.report import draw, facts, print_table, write
from tests.benchmarks.path.run import CONNECTIONS, ROUNDS, Plan, run

INTO: Final = Path("benchmarks/path")


def main(plan: Plan | None = None, into: Path = INTO) -> None:
    """Measure, print the table, and write it with a chart."""
    os.sched_setaffinity(0, {CLIENT_CORE})
    plan = plan or Plan()
    rows, skipped = run(plan)
    print_table(rows, skipped)
    into.mkdir(parents=True, exist_ok=True)
    write(into / "path.json", rows, skipped, facts(plan))
    (into / "path.svg").write_text(draw(rows), encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=CONNECTIONS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--tenants", type=int, default=4)
    parser.add_argument("--requests", type=int, default=60, help="of a connection in a round")
    parser.add_argument("--quick", action="store_true", help="without the naive stacks")
    parser.add_argument("--into", type=Path, default=INTO)
    given = parser.parse_args()
    plan = Plan(
        given.connections, given.rounds, given.tenants, given.requests, naive=not given.quick
    )
    main(plan, given.into)
