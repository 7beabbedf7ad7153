"""What can happen to the parts of a site: each fault holds inside its block and ends with it.

Who ends a fault does no more than a supervisor (Kubernetes, systemd) does: starts what ended.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.journal_wire import Wire
from tests.real_server import RealServer
from tests.small_disk import SmallDisk
from tests.two_replicas import World

PAUSED, HOLDS = 10.0, 6.0  # seconds a process is stopped, and any other fault lasts
SLOW = 0.4  # seconds each piece of an answer is late


def _family(pid: int) -> list[int]:
    """A process and all below it: PostgreSQL's each have a group of their own."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(one for child in found for one in _family(int(child)))]


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """SIGSTOP, and SIGCONT at the end."""
    asleep = _family(pid)
    for one in asleep:
        os.kill(one, signal.SIGSTOP)
    try:
        yield
    finally:
        for one in reversed(asleep):
            os.kill(one, signal.SIGCONT)


def server_of(world: World, part: str) -> RealServer:
    return world.site.postgres if part == "postgres" else world.site.valkey


@contextmanager
def killed(world: World, part: str) -> Iterator[None]:
    """kill -9 (PostgreSQL: immediate), away for the block, started again."""
    if part == "replica":
        world.replicas[0].end(signal.SIGKILL)
        yield
        world.replicas[0].serve.start()
    elif part == "opa":
        world.replicas[0].opa.end(signal.SIGKILL)
        yield
        world.replicas[0].opa.start()
    else:
        server_of(world, part).stop("immediate")
        yield
        server_of(world, part).start()


@contextmanager
def paused(world: World, part: str) -> Iterator[None]:
    first = world.replicas[0]
    if part in {"replica", "opa"}:
        process = (first.serve if part == "replica" else first.opa).process
        assert process is not None
        pid = process.pid
    else:
        pid = server_of(world, part).pid
    with stopped(pid):
        yield


_WIRES: Mapping[str, Callable[[World], Wire]] = {
    "postgres": lambda world: world.to_postgres,
    "valkey": lambda world: world.to_valkey,
    "opa": lambda world: world.replicas[0].to_opa,
    "replica": lambda world: world.replicas[0].wire,
}


@contextmanager
def slow(world: World, part: str) -> Iterator[None]:
    _WIRES[part](world).slow(SLOW)
    yield
    _WIRES[part](world).mend()


@contextmanager
def reset(world: World, part: str) -> Iterator[None]:
    _WIRES[part](world).reset()
    yield
    _WIRES[part](world).mend()


@contextmanager
def full(world: World, part: str, disk: SmallDisk) -> Iterator[None]:
    """No room on its disk. A server that ended over it is started again once there is room."""
    disk.fill()
    yield
    disk.free()
    if part != "replica":
        server = server_of(world, part)
        time.sleep(1)  # it may be about to end over what it could not write
        if server._process is not None and server._process.poll() is not None:
            server.stop()
            server.start()
