"""Kill a server at random instants and see whether it kept its word.

Generic: it needs a command that starts a server, a port, a way to ask one request by its id, and
a way to read from the store how often each request id is recorded. Clients note what was
acknowledged; what was not, they ask again under the same id after the restart.
"""

from __future__ import annotations

import http.client
import random
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

# Asks one request over an open connection; True when the answer was acknowledged.
Ask = Callable[[http.client.HTTPConnection, str], bool]


@dataclass(frozen=True)
class Target:
    """The server under test. `after_kill` may hurt its files, as a power cut would."""

    command: Sequence[str]
    port: int
    ask: Ask
    stored: Callable[[], Counter[str]]
    log: Path
    after_kill: Callable[[random.Random], None] = lambda chance: None
    window: float = 0.12  # seconds within which a serving server is killed


@dataclass
class Report:
    """What came of it. A server that no longer starts by itself is as bad as a loss."""

    kills: int = 0
    killed_while_starting: int = 0
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
        self._number = 0
        self._again: list[str] = []
        self.acknowledged: set[str] = set()

    def ask_for(self, seconds: float, kill: Callable[[], None]) -> None:
        """Keep asking; after `seconds` the server is killed under the clients' hands."""
        threads = [threading.Thread(target=self._ask) for _ in range(self._count)]
        for thread in threads:
            thread.start()
        time.sleep(seconds)
        kill()
        for thread in threads:
            thread.join()

    def _ask(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._target.port, timeout=10)
        while True:
            request_id = self._next()
            try:
                acknowledged = self._target.ask(connection, request_id)
            except (OSError, http.client.HTTPException):
                acknowledged = False
            with self._lock:
                (self.acknowledged.add if acknowledged else self._again.append)(request_id)
            if not acknowledged:
                connection.close()
                return

    def _next(self) -> str:
        with self._lock:
            if self._again:
                return self._again.pop()
            self._number += 1
            return f"r-{self._number:07d}"


def crash(target: Target, kills: int, seed: int, stop_when_caught: bool = False) -> Report:
    """Start, ask, kill, `kills` times; then start once more and look at what is stored."""
    chance = random.Random(seed)  # noqa: S311 - reproducible, not secret
    report, clients = Report(), Clients(target)
    startup = 0.2
    while report.kills < kills:
        began = time.monotonic()
        server = _start(target)
        if report.kills % 5 == 3:  # while it starts, so also while it recovers
            time.sleep(chance.uniform(0, startup))
            report.killed_while_starting += 1
            _kill(server)
        elif _wait_ready(server, target, report):
            startup = time.monotonic() - began
            _compare(target, clients, report)
            clients.ask_for(chance.uniform(0, target.window), lambda server=server: _kill(server))
        if report.broken or (stop_when_caught and not report.kept_its_word):
            _kill(server)
            return report
        report.kills += 1
        target.after_kill(chance)
    _final_look(target, clients, report)
    return report


def _final_look(target: Target, clients: Clients, report: Report) -> None:
    server = _start(target)
    if _wait_ready(server, target, report):
        _compare(target, clients, report)
    _kill(server)


def _compare(target: Target, clients: Clients, report: Report) -> None:
    stored = target.stored()
    report.acknowledged = set(clients.acknowledged)
    report.lost |= report.acknowledged - stored.keys()
    report.doubled |= {request_id for request_id, times in stored.items() if times > 1}


def _start(target: Target) -> subprocess.Popen[bytes]:
    with target.log.open("ab") as log:
        return subprocess.Popen(target.command, stdout=log, stderr=log)


def _kill(server: subprocess.Popen[bytes]) -> None:
    server.kill()
    server.wait()


def _wait_ready(server: subprocess.Popen[bytes], target: Target, report: Report) -> bool:
    """Whether it listens; a server that ends by itself is broken."""
    patience = time.monotonic() + 60
    while time.monotonic() < patience:
        if server.poll() is not None:
            report.broken = target.log.read_text(errors="replace")[-800:]
            return False
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", target.port)) == 0:
                return True
        time.sleep(0.005)
    report.broken = "the server did not listen within a minute"
    return False
