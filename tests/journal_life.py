"""One life of the journal under the power model, for cuts at any point of it.

Run as a program: it records entries in batches and writes into the trace, between what SQLite did,
which entries were acknowledged by then. Nothing has to be killed.
"""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import Future
from pathlib import Path

from tests import journal_server, power


def live(home: Path, batches: int, size: int, begin: int, sabotage: str) -> None:
    """Record `batches` times `size` entries; acknowledge each batch once it is durable."""
    recorder = journal_server.watch(home / "trace", home, sabotage)
    journal = journal_server.opened(home, sabotage)
    number = begin
    for _ in range(batches):
        names = [f"r-{number + one:07d}" for one in range(size)]
        number += size
        waiters: list[Future[None]] = [
            journal._group.submit(journal_server.entry_for(journal, name)) for name in names
        ]
        if sabotage != "ack-before-commit":
            for waiter in waiters:
                waiter.result()
        for name in names:
            recorder.add(power.NOTE, name)
    journal.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("home", type=Path)
    parser.add_argument("--batches", type=int, default=300)
    parser.add_argument("--size", type=int, default=8)
    parser.add_argument("--begin", type=int, default=0, help="number of the first entry")
    parser.add_argument("--sabotage", choices=journal_server.SABOTAGE, default="none")
    asked = parser.parse_args()
    live(asked.home, asked.batches, asked.size, asked.begin, asked.sabotage)


if __name__ == "__main__":
    sys.exit(main())
