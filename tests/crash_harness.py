"""Kill a server at random instants and see whether it kept its word.

Generic: it needs a command that starts a server, a port, a way to ask one request by its id, and
a way to read from the store how often each request id is recorded. Clients note what was
acknowledged; what was not, they ask again under the same id after the restart. Programs beside the
server (a shipper) are killed too, with it or without it; `trouble` is what else goes wrong while
clients ask.
"""

from __future__ import annotations

import http.client
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from tests.nursery import Child, popen

# Asks one request over an open connection; True when the answer was acknowledged.
Ask: TypeAlias = Callable[[http.client.HTTPConnection, str], bool]
Trouble: TypeAlias = Callable[[random.Random], AbstractContextManager[object]]
Launch: TypeAlias = Callable[[Sequence[str], Path], Child]
PATIENCE = 180.0  # seconds; only ends a run that would hang
WARM = 5.0  # seconds to wait for the first answer at most


@dataclass(frozen=True)
class Target:
    """The server under test. `after_kill` may hurt its files, as a power cut would: then whatever
    runs `beside` it dies with it (`apart=False`). `settled` tells when all is where it belongs."""

    command: Sequence[str]
    port: int
    ask: Ask
    stored: Callable[[], Counter[str]]
    log: Path
    after_kill: Callable[[random.Random], None] = lambda chance: None
    window: float = 0.12  # seconds within which a serving server is killed
    beside: Sequence[Sequence[str]] = ()
    apart: bool = False
    trouble: Trouble = lambda chance: nullcontext()
    settled: Callable[[], bool] = lambda: True
    launch: Launch = popen
    warm: bool = False  # mostly only after its first answer: for servers that are slow to begin


@dataclass
class Report:
    """What came of it. A server that no longer starts by itself is as bad as a loss."""

    kills: int = 0
    killed_while_starting: int = 0
    killed_beside: int = 0
    acknowledged: set[str] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)
    doubled: set[str] = field(default_factory=set)
    broken: str = ""

    @property
    def kept_its_word(self) -> bool:
        return not (self.lost or self.doubled or self.broken)


def free_port() -> int:
    """A port nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def post(connection: http.client.HTTPConnection, request_id: str) -> bool:
    """The plainest `Ask`."""
    connection.request("POST", f"/{request_id}")
    answer = connection.getresponse()
    answer.read()
    return answer.status == 200


class Clients:
    """Threads that ask until the server dies, and remember what was acknowledged."""

    def __init__(self, target: Target, count: int = 8) -> None:
        self._target, self._count = target, count
        self._lock = threading.Lock()
        self._over, self._answered = threading.Event(), threading.Event()
        self._number = 0
        self._again: list[str] = []
        self.acknowledged: set[str] = set()

    def ask_for(self, seconds: float, kill: Callable[[], None], *, warm: bool = False) -> None:
        """Keep asking; after `seconds` the server is killed under the clients' hands."""
        self._over.clear()
        self._answered.clear()
        threads = [threading.Thread(target=self._ask) for _ in range(self._count)]
        for thread in threads:
            thread.start()
        if warm:
            self._answered.wait(WARM)
        time.sleep(seconds)
        kill()
        self._over.set()
        for thread in threads:
            thread.join()

    def _ask(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._target.port, timeout=10)
        while not self._over.is_set():
            request_id = self._next()
            try:
                acknowledged = self._target.ask(connection, request_id)
            except (OSError, http.client.HTTPException):
                acknowledged = False
                connection.close()
            with self._lock:
                (self.acknowledged.add if acknowledged else self._again.append)(request_id)
            if acknowledged:
                self._answered.set()
            else:
                self._over.wait(0.01)
        connection.close()

    def _next(self) -> str:
        with self._lock:
            if self._again:
                return self._again.pop()
            self._number += 1
            return f"r-{self._number:07d}"


class _Fleet:
    """The server and the programs beside it."""

    def __init__(self, target: Target, report: Report) -> None:
        self._target, self._report = target, report
        self._commands = [target.command, *target.beside]
        self._running: dict[int, Child] = {}

    def start(self) -> None:
        """Start what does not run."""
        for place, command in enumerate(self._commands):
            if place not in self._running:
                self._running[place] = self._target.launch(command, self._target.log)

    def kill(self, places: Sequence[int] | None = None) -> None:
        for place in list(self._running) if places is None else places:
            child = self._running.pop(place)
            if place and child.poll() is not None:  # beside the server, none may end by itself
                self._broken("a program beside the server ended by itself: ")
            child.kill()
            child.wait()

    def victims(self, chance: random.Random) -> list[int]:
        """Who is killed this time: all, or where they die apart, one or all."""
        everybody = list(range(len(self._commands)))
        if not self._target.apart:
            return everybody
        return chance.choice([everybody, *([place] for place in everybody)])

    def ready(self) -> bool:
        """Whether the server listens; one that ends by itself is broken."""
        ends = time.monotonic() + PATIENCE
        while time.monotonic() < ends:
            if self._running[0].poll() is not None:
                self._broken()
                return False
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self._target.port)) == 0:
                    return True
            time.sleep(0.005)
        self._broken("the server did not listen in time: ")
        return False

    def settle(self) -> None:
        """Wait until everything is where it belongs."""
        ends = time.monotonic() + PATIENCE
        while not self._target.settled():
            if time.monotonic() > ends:
                self._broken("it does not settle: ")
                return
            time.sleep(0.05)

    def _broken(self, what: str = "") -> None:
        self._report.broken = what + self._target.log.read_text(errors="replace")[-1500:]


def crash(target: Target, kills: int, seed: int, stop_when_caught: bool = False) -> Report:
    """Start, ask, kill, `kills` times; then start once more and look at what is stored."""
    run = _Run(target, seed)
    try:
        while run.report.kills < kills:
            run.one_life()
            if run.report.broken or (stop_when_caught and not run.report.kept_its_word):
                return run.report
            run.report.kills += 1
            target.after_kill(run.chance)
        run.last_life()
    finally:
        run.fleet.kill()
    return run.report


class _Run:
    """One test: what was drawn, asked and found so far."""

    def __init__(self, target: Target, seed: int) -> None:
        self.report = Report()
        self.chance = random.Random(seed)  # noqa: S311 - reproducible, not secret
        self.fleet = _Fleet(target, self.report)
        self._target, self._clients = target, Clients(target)
        self._startup = 0.2

    def one_life(self) -> None:
        """Start, ask, kill: every fifth time while it starts, so also while it recovers."""
        began = time.monotonic()
        self.fleet.start()
        if self.report.kills % 5 == 3:
            time.sleep(self.chance.uniform(0, self._startup))
            self.report.killed_while_starting += 1
            self.fleet.kill()
        elif self.fleet.ready():
            self._startup = time.monotonic() - began
            self._compare()
            victims = self.fleet.victims(self.chance)
            self.report.killed_beside += any(victims)
            warm = self._target.warm and self.chance.random() < 0.8
            with self._target.trouble(self.chance):
                seconds = self.chance.uniform(0, self._target.window)
                self._clients.ask_for(seconds, lambda: self.fleet.kill(victims), warm=warm)

    def last_life(self) -> None:
        """Start once more and let everything come to rest."""
        self.fleet.start()
        if self.fleet.ready():
            self.fleet.settle()
            self._compare()

    def _compare(self) -> None:
        stored = self._target.stored()
        self.report.acknowledged = set(self._clients.acknowledged)
        self.report.lost |= self.report.acknowledged - stored.keys()
        self.report.doubled |= {name for name, times in stored.items() if times > 1}
