"""A controller as a process of its own, for tests that kill it: `python -m … ROOT`."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from sandbox.jobs.bubble import Environment
from sandbox.jobs.namespaces import Namespaces
from tests.job_world import Office


def main(root: Path) -> None:
    """Run jobs until killed."""
    executor = Namespaces(root / "runs", {"python": Environment.of_host()})
    office = Office(root, executor, slots=3)
    while True:
        office.controller.step()
        time.sleep(0.01)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
