"""A place where jobs run: an executor of namespaces, code written on the spot, one small input."""

from __future__ import annotations

import os
import secrets
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from sandbox.jobs.book import Job, JobBook, Wish
from sandbox.jobs.bubble import Environment
from sandbox.jobs.code import CodeStore, packed
from sandbox.jobs.controller import Controller
from sandbox.jobs.executor import Ended, Executor, Task
from sandbox.jobs.namespaces import Namespaces
from sandbox.jobs.spec import JobSpec, Limits
from sandbox.jobs.tables import METADATA

LIMITS = Limits(
    wall_seconds=20, cpu_seconds=10, memory_mib=128, processes=12, scratch_mib=8, output_mib=4,
    log_kib=16,
)  # fmt: skip


def require_bubblewrap() -> None:
    """Skip where bubblewrap is missing; fail in CI."""
    if shutil.which("bwrap"):
        return
    reason = "bubblewrap is not installed (`make services` says how to get it)"
    if os.environ.get("SLUICE_CI"):
        pytest.fail(reason)
    pytest.skip(reason)


class Jobs:
    """One executor in a folder; each run has code of its own."""

    def __init__(self, root: Path, cgroup: str = "") -> None:
        self.root = root
        self.namespaces = Namespaces(root / "runs", {"python": Environment.of_host()}, cgroup)
        self.pack = root / "pack"
        self.pack.mkdir()
        (self.pack / "rows.csv").write_text("a,b\n1,2\n")

    def start(self, code: str, limits: Limits = LIMITS, attempt: str = "", **spec: object) -> str:
        """Start a script; its attempt's id."""
        attempt = attempt or secrets.token_hex(8)
        folder = self.root / "code" / attempt
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "train.py").write_text(code)
        wanted = JobSpec(
            name="job", entry=("train.py",), inputs=("pack",), limits=limits,
            **spec,  # type: ignore[arg-type]
        )  # fmt: skip
        self.namespaces.start(Task(attempt, wanted, folder, {"pack": self.pack}))
        return attempt

    def run(self, code: str, limits: Limits = LIMITS, **spec: object) -> tuple[Ended, str]:
        """Run a script to its end; how it ended and its log."""
        attempt = self.start(code, limits, **spec)
        return self.ended(attempt), self.namespaces.log(attempt).decode(errors="replace")

    def ended(self, attempt: str) -> Ended:
        """Wait until the attempt is over."""
        while True:
            seen = self.namespaces.look(attempt)
            if isinstance(seen, Ended):
                return seen
            assert seen is True, "never started"
            time.sleep(0.02)


def processes_of(attempt: str) -> list[int]:
    """Every process of the machine whose command or group names the attempt."""
    found = []
    for name in (p.name for p in Path("/proc").iterdir() if p.name.isdigit()):
        try:
            told = (
                Path(f"/proc/{name}/cmdline").read_bytes()
                + Path(f"/proc/{name}/cgroup").read_bytes()
            )
        except OSError:
            continue
        if attempt.encode() in told:
            found.append(int(name))
    return found


def gone(attempt: str) -> bool:
    """Whether no process of the attempt is left, once its supervisor had time to say good-bye."""
    for _ in range(100):
        if not processes_of(attempt):
            return True
        time.sleep(0.02)
    return False


class Office:
    """A book, a controller and code; `executor` may be any."""

    def __init__(self, root: Path, executor: Executor, slots: int = 2) -> None:
        root.mkdir(parents=True, exist_ok=True)
        engine = sa.create_engine(f"sqlite:///{root / 'jobs.sqlite'}", connect_args={"timeout": 30})
        METADATA.create_all(engine)
        self.book = JobBook(engine, lambda: datetime.now(UTC))
        self.code = CodeStore(root / "code")
        pack = root / "pack"
        pack.mkdir(exist_ok=True)
        self.controller = Controller(
            self.book, executor, self.code, lambda _: {"pack": pack}, root / "results", slots=slots
        )
        self.results = root / "results"

    def submit(
        self, root: Path, code: str, tenant: str = "T1", most: int = 1_000, **spec: object
    ) -> Job:
        """Queue a script."""
        folder = root / secrets.token_hex(4)
        folder.mkdir(parents=True)
        (folder / "train.py").write_text(code)
        facts = {"name": "job", "entry": ("train.py",), "inputs": ("pack",), "limits": LIMITS}
        wanted = JobSpec.model_validate({**facts, **spec})
        wish = Wish(wanted, self.code.keep(packed(folder)))
        return self.book.submit(tenant, "C1", wish, most)
