"""A real Valkey (or Redis, whichever is installed) of the tests' own on a free loopback port.

`valkey` is one server for the run, `valkey_url` the same one emptied; whoever stops it takes one of
its own by `valkey_server()`. It syncs every write unless told otherwise:
`valkey_server(appendonly="no")` forgets everything when it dies.
"""

from __future__ import annotations

import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import redis

from tests.crash_harness import free_port
from tests.real_server import Guard, end, folder_of, missing, spawn, unprivileged, wait_ready

_SETTINGS = {"save": "", "appendonly": "yes", "appendfsync": "always"}


def program() -> str:
    return shutil.which("valkey-server") or shutil.which("redis-server") or missing("Valkey")


@dataclass
class ValkeyServer:
    """One server: start, stop and start again; the port and, if it is kept, the data stay."""

    folder: Path
    user: str | None
    settings: dict[str, str]
    port: int = field(default_factory=free_port)
    password: str = field(default_factory=secrets.token_hex)
    _guard: Guard = field(default_factory=Guard)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        assert self._process is None, "it runs already"
        log = self.folder / "log"
        for _ in range(20):
            process = spawn(self._command(), log, self.user)
            if wait_ready(process, self.answers, log):
                self._process = process
                self._guard.watch(process)
                return
            time.sleep(0.1)
        raise AssertionError(log.read_text(errors="replace")[-2000:])

    def stop(self, how: str = "fast") -> None:
        """`immediate` is kill -9."""
        if self._process is not None:
            process, self._process = self._process, None
            end(process, signal.SIGKILL if how == "immediate" else signal.SIGTERM)
            self._guard.watch(None)

    def close(self) -> None:
        self._guard.close()

    def restart(self, how: str = "fast") -> None:
        self.stop(how)
        self.start()

    def answers(self) -> bool:
        try:
            with redis.Redis.from_url(self.url, socket_timeout=5) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def empty(self) -> None:
        """Forget everything."""
        with redis.Redis.from_url(self.url) as client:
            client.flushall()

    def _command(self) -> list[str]:
        given = {
            **_SETTINGS,
            "bind": "127.0.0.1",
            "port": str(self.port),
            "requirepass": self.password,
            "dir": str(self.folder),
            **self.settings,
        }
        return [program(), *(word for name in given for word in (f"--{name}", given[name]))]


@contextmanager
def valkey_server(**settings: str) -> Iterator[ValkeyServer]:
    """A server of one's own, running. Settings as its configuration file has them."""
    program()
    user = unprivileged("valkey", "redis")
    with folder_of(user) as folder:
        server = ValkeyServer(folder, user, settings)
        server.start()
        try:
            yield server
        finally:
            server.stop("immediate")
            server.close()


@pytest.fixture(scope="session")
def valkey() -> Iterator[ValkeyServer]:
    """One server for the whole run: for tests that neither stop nor reconfigure it."""
    with valkey_server() as server:
        yield server


@pytest.fixture
def valkey_url(valkey: ValkeyServer) -> str:
    """The shared server, emptied."""
    valkey.empty()
    return valkey.url
