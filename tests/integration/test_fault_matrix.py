"""Every part of a site of production is killed, paused, slowed, broken and filled up, under load:
nothing acknowledged is lost or doubled, nobody is let in who may not, every answer is on record,
and everything goes on without a person.

`make faults` runs it and writes the table of docs/fault-matrix.md from what was seen.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TypeAlias

import pytest

from tests import faults
from tests.fault_load import STOPPED, Told, answers_again, compared, load
from tests.fault_table import Row, write_row
from tests.small_disk import MEBI, SmallDisk, small_disk
from tests.two_replicas import World, opened, two_replicas

pytestmark = [pytest.mark.services, pytest.mark.slow, pytest.mark.timeout(3600)]

CALM = 2.0  # seconds of load before a fault and after
Disks: TypeAlias = tuple[SmallDisk, SmallDisk]


@pytest.fixture(scope="module")
def ground() -> Iterator[Path]:
    """A folder that the servers' users reach, which pytest's own folders are not for others."""
    folder = Path(tempfile.mkdtemp(prefix="sluice-faults-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def disks(ground: Path) -> Iterator[Disks]:
    """One of the stores, one of the replicas."""
    with (
        small_disk(ground / "stores", 1500 * MEBI) as stores,
        small_disk(ground / "replicas", 700 * MEBI) as replicas,
    ):
        stores.folder.chmod(0o755)
        yield stores, replicas


@pytest.fixture(scope="module")
def world(released_home: Path, ground: Path, disks: Disks) -> Iterator[World]:
    stores, replicas = disks
    released = replicas.folder / "released"  # copied: links do not reach from one disk to another
    shutil.copytree(released_home, released)
    with two_replicas(released, replicas.folder, stores.folder) as built:
        opened(built)
        done = built.run("stop", "raise", "tenant", STOPPED, "--reason", "drill")
        assert done.returncode == 0, done.stderr
        yield built


def under_load(world: World, part: str, fault: str, trouble: Callable[[], None]) -> None:
    """One cell: load, the fault, its end, and everything compared."""
    with load(world) as told:
        time.sleep(CALM)  # answers before the fault, to be compared with those after it
        trouble()
        recovered = answers_again(world)
        time.sleep(CALM)  # and after it
    judged(world, Row(part, fault, recovered), told)


def held(
    *broken: AbstractContextManager[None], seconds: float = faults.HOLDS
) -> Callable[[], None]:
    """These faults together, for a while."""

    def trouble() -> None:
        with ExitStack() as stack:
            for one in broken:
                stack.enter_context(one)
            time.sleep(seconds)  # the fault lasts

    return trouble


def judged(world: World, row: Row, told: Sequence[Told]) -> None:
    found = compared(world, told)
    write_row(row, told, found)
    assert found.answered > 0
    assert found.whole, found


@pytest.mark.parametrize("part", ["postgres", "valkey", "opa", "replica"])
@pytest.mark.parametrize("fault", ["killed", "paused", "slow", "reset"])
def test_a_fault_of_a_part_loses_doubles_and_lets_in_nothing(
    world: World, part: str, fault: str
) -> None:
    seconds = faults.PAUSED if fault == "paused" else faults.HOLDS
    under_load(world, part, fault, held(getattr(faults, fault)(world, part), seconds=seconds))


@pytest.mark.parametrize("part", ["postgres", "valkey"])
def test_the_stores_have_no_room(world: World, disks: Disks, part: str) -> None:
    under_load(world, part, "disk full", held(faults.full(world, part, disks[0])))


def test_the_replicas_have_no_room(world: World, disks: Disks) -> None:
    under_load(world, "replica", "disk full", held(faults.full(world, "replica", disks[1])))


def test_the_replicas_have_no_room_while_postgres_is_away(world: World, disks: Disks) -> None:
    away, no_room = faults.reset(world, "postgres"), faults.full(world, "replica", disks[1])
    under_load(world, "replica", "disk full, PostgreSQL away", held(away, no_room))


def test_the_trail_is_whole_after_all_of_it(world: World) -> None:
    for words in (("audit", "verify"), ("meter", "verify"), ("journal", "status")):
        done = world.run(*words)
        assert done.returncode == 0, done.stdout + done.stderr
