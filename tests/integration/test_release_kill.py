"""Killed at any instant, a build leaves the old releases or the new ones, and the next goes on."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

import pytest

from gateway.releases.build import Order, build
from gateway.releases.store import current
from gateway.releases.verify import verify
from gateway.settings import Settings
from tests.release_warehouse import build_warehouse
from tests.waivers import INVENTED

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SEED = 20_261_122
PUBLISHING = 14
"""Instants of publishing one release, at least."""
AT_ANY_TIME = 20
"""Builds that are killed at a random time, whatever they do then."""

# Every change to the disk that Python makes is an instant; the build dies at the one it is told,
# counted from the beginning or from where it starts to publish (the first file made read-only).
_BUILD = """
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from gateway.releases.build import Order, build
from gateway.releases.engine import parts
from gateway.settings import Settings
from tests.waivers import invented
parts.ROWS = 500  # the persons in parts, as in a large warehouse
home, since, last = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
instants = {"os.rename", "os.mkdir", "os.utime", "os.remove", "os.rmdir", "os.chmod", "open"}
seen, counting = 0, False
def watch(event, args):
    global seen, counting
    if since == "publish" and event == "os.chmod" and ".building-" in str(args[0]):
        counting = True
    if counting and event in instants:
        seen += 1
        if seen == last:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(watch)
counting = since == "start"
print("building", flush=True)
build(Settings(home=home), Order(("S04",), invented("another reason"), alone=True),
      datetime(2026, 2, 1, tzinfo=UTC))
counting = False
print(seen)
"""
Instant = tuple[str, int]
FINISH: Instant = ("start", 0)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kill")
    build_warehouse(folder, persons=150, visits=500, days=170)
    build(Settings(home=folder), Order(("S04",), INVENTED, alone=True), NOW)
    shutil.rmtree(folder / "staging")
    return folder


def building(home: Path, instant: Instant) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", _BUILD, str(home), instant[0], str(instant[1])]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def undisturbed(home: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, dict[str, str]]:
    """How many instants a build has, and the releases it ends with."""
    copy = Path(shutil.copytree(home, tmp_path_factory.mktemp("undisturbed") / "home"))
    done = building(copy, FINISH)
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[-1]), current(copy / "releases")


def killed_and_finished(
    home: Path, instants: list[Instant], undisturbed: dict[str, str], old: dict[str, str]
) -> None:
    """Kill one build after the other, each going on from the last, then let one finish."""
    releases = home / "releases"
    for instant in instants:
        done = building(home, instant)
        assert done.returncode == -signal.SIGKILL, (instant, done.stderr)
        assert current(releases) in (old, undisturbed)
        assert all(report.ok for report in verify(releases))
    done = building(home, FINISH)
    assert done.returncode == 0, done.stderr
    assert current(releases) == undisturbed
    assert all(report.ok for report in verify(releases))
    assert not list(releases.glob(".building-*"))
    assert not list((home / "staging").glob(".*"))


def test_builds_killed_one_after_the_other_end_in_the_release_of_an_undisturbed_one(
    home: Path, undisturbed: tuple[int, dict[str, str]], tmp_path: Path
) -> None:
    instants, releases = undisturbed
    copy = Path(shutil.copytree(home, tmp_path / "home"))
    chance = random.Random(SEED)  # noqa: S311  (instants, no secret)
    chosen = [("start", chance.randrange(1, instants)), ("publish", chance.randint(1, PUBLISHING))]
    killed_and_finished(copy, chosen, releases, current(home / "releases"))


@pytest.mark.slow
@pytest.mark.parametrize("part", range(8))
def test_a_build_killed_anywhere_changes_nothing_by_halves(
    home: Path, undisturbed: tuple[int, dict[str, str]], tmp_path: Path, part: int
) -> None:
    instants, releases = undisturbed
    copy = Path(shutil.copytree(home, tmp_path / "home"))
    chance = random.Random(SEED + part)  # noqa: S311  (instants, no secret)
    low, high = instants * part // 8, instants * (part + 1) // 8
    killed_and_finished(
        copy, [("start", chance.randint(low + 1, high))], releases, current(home / "releases")
    )


@pytest.mark.slow
@pytest.mark.parametrize("instant", range(1, PUBLISHING + 1))
def test_a_build_killed_at_each_instant_of_publishing_changes_nothing_by_halves(
    home: Path, undisturbed: tuple[int, dict[str, str]], tmp_path: Path, instant: int
) -> None:
    copy = Path(shutil.copytree(home, tmp_path / "home"))
    killed_and_finished(copy, [("publish", instant)], undisturbed[1], current(home / "releases"))


def killed_at(home: Path, seconds: float) -> bool:
    """Start a build and kill it so long after it began; false: it had ended before."""
    command = [sys.executable, "-c", _BUILD, str(home), "start", "0"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdout
    assert child.stdout.readline() == "building\n"
    with suppress(subprocess.TimeoutExpired):
        child.wait(seconds)
    child.kill()
    _, errors = child.communicate()
    assert child.returncode in (0, -signal.SIGKILL), errors
    return child.returncode != 0


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_builds_killed_at_any_time_leave_the_old_release_or_the_new_one(
    home: Path, undisturbed: tuple[int, dict[str, str]], tmp_path: Path
) -> None:
    """By the clock, not by what Python does: DuckDB in the middle of a file too.

    Each goes on from what the killed ones before it left; once one has finished, all begins anew.
    """
    old, new = current(home / "releases"), undisturbed[1]
    chance = random.Random(SEED)  # noqa: S311  (times, no secret)
    copy, kills = tmp_path / "home", 0
    shutil.copytree(home, copy)
    began = perf_counter()
    assert not killed_at(copy, 600)
    longest = perf_counter() - began
    while kills < AT_ANY_TIME:
        if current(copy / "releases") == new:
            shutil.rmtree(copy)
            shutil.copytree(home, copy)
        kills += killed_at(copy, chance.uniform(0, longest))
        assert current(copy / "releases") in (old, new)
        assert all(report.ok for report in verify(copy / "releases"))
    killed_and_finished(copy, [], new, old)
