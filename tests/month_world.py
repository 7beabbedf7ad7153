"""Simulated months by seed: everything that can go wrong, in an order that the seed decides.

    python -m tests.month_world 17        plays world 17 and tells every step

Gateways with wrong clocks answer, crash, are lost and found again; calls come twice, late and out
of order; prices and terms change; clients pay and dispute; months are closed. The product's own
code does all of it, and after every step the invariants I1–I15 are checked (`month_world_checks`)
against an auditor who knows the right amounts from first principles (`month_world_auditor`).
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple
from unittest.mock import patch

from gateway.journal import stamp
from tests import month_world_calls as calls
from tests import month_world_money as money
from tests.month_world_auditor import CHINA
from tests.month_world_checks import Checks
from tests.month_world_site import Site
from tests.month_world_state import BEGIN, MONTHS, Broken, World

NODES = 3
ANY_TIME = (
    (calls.ask, 8),
    (calls.burst, 3),
    (calls.repeat, 2),
    (calls.replay, 1),
    (calls.forge, 1),
    (calls.crash, 1),
    (calls.lose, 3),
    (calls.find, 3),
    (money.new_prices, 1),
    (money.find_again, 1),
    (money.dispute_storm, 1),
    (money.decide, 2),
    (money.pay, 1),
    (money.pay_out, 1),
)
PER_MONTH = 12


class Step(NamedTuple):
    """What is due when."""

    at: datetime
    order: int
    name: str
    do: Callable[[World], object]


class Failed(AssertionError):
    """An invariant does not hold. The text says which, where, and how to see it again."""

    def __init__(self, seed: int, number: int, step: Step, cause: Exception) -> None:
        self.invariant = cause.invariant if isinstance(cause, Broken) else "stopped"
        self.months = 0
        super().__init__(
            f"seed {seed}, step {number} ({step.name} at {step.at:%Y-%m-%d %H:%M}): "
            f"{type(cause).__name__} {cause}\nagain: python -m tests.month_world {seed}"
        )


def play(seed: int, site: Site, tell: Callable[[str], object] = len) -> int:
    """Play the world of a seed; how many months were closed. Raises `Failed`."""
    site.empty()
    world = World(seed, site)
    checks = Checks(world)
    with _chance_of(world), _to_the_end(world, checks):
        for number, step in enumerate(_steps(world)):
            world.now = max(world.now, step.at)
            tell(f"{number:3} {world.now:%m-%d %H:%M:%S} {step.name}")
            try:
                step.do(world)
                checks.check()
            except Exception as error:
                raise Failed(seed, number, step, error) from error
    return len(world.auditor.closed_at)


@contextmanager
def _to_the_end(world: World, checks: Checks) -> Iterator[None]:
    """A world leaves no thread, lock or connection behind, however it ends."""
    try:
        yield
    finally:
        checks.end()
        for node in world.nodes.values():
            node.end()


def _steps(world: World) -> list[Step]:
    """The plan of a world: gateways start, things happen, each month is closed after its end."""
    chance, steps = world.chance, [(BEGIN, "start", _start)]
    ends = [_begins(month) for month in (*MONTHS[1:], "2026-04", "2026-05")]
    deeds, weights = zip(*ANY_TIME, strict=True)
    for end in ends:
        begins = _begins(f"{end - timedelta(days=1) + CHINA:%Y-%m}")
        for deed in chance.choices(deeds, weights, k=PER_MONTH):
            near = chance.random() < 0.2  # where a wrong clock decides the month
            at = end - timedelta(minutes=chance.randint(-90, 90)) if near else begins
            if not near:
                at += (end - begins) * chance.random()
            steps.append((at, deed.__name__, deed))
    for month, end in zip(MONTHS, ends, strict=False):
        if chance.random() < 0.3:
            early = end + timedelta(hours=chance.randint(1, 71))
            steps.append((early, f"close {month} early", _closing(money.close_early, month)))
        due = end + timedelta(days=chance.randint(3, 12), hours=2)
        steps.append((due, f"close {month}", _closing(money.close_month, month)))
    last = max(at for at, name, _ in steps if name.startswith("close 2026-03"))
    kept = sorted((step for step in steps if step[0] <= last + timedelta(days=15)), key=_when)
    return [Step(at, order, name, do) for order, (at, name, do) in enumerate(kept)]


def _when(step: tuple[datetime, str, object]) -> datetime:
    return step[0]


def _begins(month: str) -> datetime:
    return datetime.fromisoformat(f"{month}-01T00:00:00+08:00").astimezone(BEGIN.tzinfo)


def _closing(deed: Callable[[World, str], object], month: str) -> Callable[[World], object]:
    return lambda world: deed(world, month)


def _start(world: World) -> None:
    for _ in range(NODES):
        world.start()


@contextmanager
def _chance_of(world: World) -> Iterator[None]:
    """Ids of calls follow from the seed as well."""

    def drawn() -> SimpleNamespace:
        return SimpleNamespace(int=world.chance.getrandbits(128))

    with patch.object(stamp, "uuid_utils", SimpleNamespace(uuid4=drawn)):
        yield


@contextmanager
def a_site() -> Iterator[Site]:
    """A place to play in: memory where there is such a folder, as every commit waits for a disk and
    none is lost here (`tests.power` is about that)."""
    memory = Path("/dev/shm")  # noqa: S108 - a folder of its own is made in it
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        site = Site(Path(folder))
        try:
            yield site
        finally:
            site.engine.dispose()


def main() -> None:
    """Play the worlds of the seeds that are named."""
    with a_site() as site:
        for seed in map(int, sys.argv[1:]):
            play(seed, site, lambda line: sys.stdout.write(f"{line}\n"))


if __name__ == "__main__":
    main()
