"""A real Valkey (or Redis, whichever is installed) of the tests' own on a free loopback port.

`valkey` is one server for the run, `valkey_url` the same one emptied; whoever stops it takes one of
its own by `valkey_server()`. It syncs every write unless told otherwise:
`valkey_server(appendonly="no")` forgets everything when it dies.
"""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

import pytest
import redis

from tests.real_server import RealServer, folder_of, missing, unprivileged

_SETTINGS = {"save": "", "appendonly": "yes", "appendfsync": "always"}


def program() -> str:
    return shutil.which("valkey-server") or shutil.which("redis-server") or missing("Valkey")


class ValkeyServer(RealServer):
    """One server; what it keeps is for its settings to say. `immediate` is kill -9."""

    ends_by: ClassVar = {"fast": signal.SIGTERM, "immediate": signal.SIGKILL}

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

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

    def command(self) -> list[str]:
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
        with server.serving():
            yield server


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
