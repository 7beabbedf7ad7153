"""Kill -9 of the controller and of running jobs at random instants: none lost, none twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from sandbox.jobs.book import State
from sandbox.jobs.executor import Outcome
from sandbox.jobs.memory import InMemory
from tests.job_world import Office, gone, processes_of, require_bubblewrap

pytestmark = pytest.mark.services

CODE = """
import json, os, time
time.sleep({seconds})
json.dump({{"job": {number}}}, open("/job/output/metrics.json", "w"))
"""


@contextmanager
def controller(root: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (root / "controller.log").open("ab") as log:
        running = subprocess.Popen(
            [sys.executable, "-m", "tests.job_controller_process", str(root)], stderr=log
        )
    try:
        yield running
    finally:
        running.kill()
        running.wait()


def kill_a_job(office: Office, chance: random.Random) -> None:
    """Kill one process of a running attempt: its supervisor, bubblewrap or the job."""
    running = office.book.running()
    if running:
        _, attempt = chance.choice(running)
        alive = processes_of(attempt.attempt_id)
        if alive:
            with suppress(ProcessLookupError):
                os.kill(chance.choice(alive), signal.SIGKILL)


@pytest.mark.parametrize(("kills", "seed"), [(6, 1), pytest.param(200, 2, marks=pytest.mark.slow)])
def test_no_job_is_lost_or_run_to_its_end_twice(tmp_path: Path, kills: int, seed: int) -> None:
    require_bubblewrap()
    root, chance = tmp_path / "office", random.Random(seed)  # noqa: S311
    office = Office(root, InMemory(tmp_path / "none"))
    count = kills * 2
    jobs = {
        office.submit(tmp_path / "c", CODE.format(seconds=chance.random() / 3, number=n)).job_id: n
        for n in range(count)
    }
    for turn in range(kills):
        with controller(root):
            time.sleep(0.6 + chance.random() * 0.8)
            if turn % 3 == 2:
                kill_a_job(office, chance)
    with controller(root):
        waiting = 0
        while office.book.running() or office.book.waiting(1):
            time.sleep(0.1)
            waiting += 1
            assert waiting < 6_000, (root / "controller.log").read_text()[-2000:]
    for job_id, number in jobs.items():
        check(office, job_id, number)


def check(office: Office, job_id: str, number: int) -> None:
    """One job's end: one attempt that succeeded, its own output, nothing left running."""
    job = office.book.job("T1", job_id)
    attempts = office.book.attempts(job_id)
    assert [a.number for a in attempts] == list(range(1, len(attempts) + 1))
    succeeded = [a for a in attempts if a.outcome is Outcome.SUCCEEDED]
    # a job whose own process was killed, not its supervisor, has failed by itself
    assert job.state in {State.SUCCEEDED, State.FAILED}
    if job.state is State.SUCCEEDED:
        assert succeeded == [attempts[-1]]
        text = (office.results / job_id / "outputs" / "metrics.json").read_text()
        assert text == f'{{"job": {number}}}'
    else:
        assert not succeeded
        assert attempts[-1].exit_code == 137 or attempts[-1].outcome is Outcome.FAILED
    assert all(gone(a.attempt_id) for a in attempts)
