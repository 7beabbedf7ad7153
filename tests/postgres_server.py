"""A real PostgreSQL of the tests' own: a free loopback port, a fresh data folder, gone afterwards.

`postgres` (one server for the run) with `postgres_dsn` (a fresh database each) serve most tests;
whoever stops or restarts the server takes one of its own by `postgres_server()`. It syncs to the
disk unless told otherwise: `postgres_server(fsync="off")` for tests that no crash concerns.
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.real_server import RealServer, folder_of, missing, spawn, unprivileged

OLDEST = 15
OWNER = "sluice_owner"  # the cluster's superuser
DEBIAN = Path("/usr/lib/postgresql")
_STOP = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}
_SETTINGS = {"max_connections": "60", "shared_buffers": "32MB", "max_wal_size": "256MB"}


def programs() -> Path:
    """The folder of `initdb` and `postgres`: Debian's newest, else what PATH has."""
    versions = [int(p.name) for p in DEBIAN.glob("*") if p.name.isdigit() and _has(p / "bin")]
    if versions and max(versions) >= OLDEST:
        return DEBIAN / str(max(versions)) / "bin"
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else missing("PostgreSQL server")


def _has(folder: Path) -> bool:
    return (folder / "initdb").exists() and (folder / "postgres").exists()


class PostgresServer(RealServer):
    """One cluster. After `immediate` the next start recovers from the log."""

    ends_by = _STOP

    def dsn(self, database: str = "postgres", role: str = OWNER, password: str = "") -> str:
        """A connection string, by default the superuser's."""
        word = password or self.password
        return f"postgresql://{role}:{word}@127.0.0.1:{self.port}/{database}"

    def init(self) -> None:
        """Make the cluster. No sync: nothing in it matters yet."""
        word = self.folder / "password"
        word.write_text(self.password)
        if self.user is not None:
            shutil.chown(word, self.user)
        command = [str(programs() / "initdb"), f"--pgdata={self.folder / 'data'}", "--no-sync"]
        command += ["--encoding=UTF8", "--locale=C.UTF-8", f"--username={OWNER}"]
        command += ["--auth=scram-sha-256", f"--pwfile={word}", "--no-instructions"]
        code = spawn(command, self.log, self.user).wait()
        assert code == 0, self.log.read_text(errors="replace")

    def answers(self) -> bool:
        """Whether it takes a question now."""
        try:
            return self.sql("SELECT true") == [(True,)]
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False

    def sql(
        self, text: str, *values: Any, database: str = "postgres", schema: str = "public"
    ) -> list[tuple[Any, ...]]:
        """Ask as the superuser. Not inside a running event loop."""

        async def ask() -> list[tuple[Any, ...]]:
            path = {"search_path": schema}
            connection = await asyncpg.connect(self.dsn(database), timeout=10, server_settings=path)
            try:
                return [tuple(row) for row in await connection.fetch(text, *values)]
            finally:
                await connection.close()

        return asyncio.run(ask())

    @contextmanager
    def database(self) -> Iterator[str]:
        """A fresh, empty database by its connection string; dropped afterwards."""
        name = f"t_{secrets.token_hex(6)}"
        self.sql(f"CREATE DATABASE {name}")
        try:
            yield self.dsn(name)
        finally:
            self.sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def command(self) -> list[str]:
        given = {
            **_SETTINGS,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            **self.settings,
        }
        command = [str(programs() / "postgres"), "-D", str(self.folder / "data")]
        command += ["-p", str(self.port)]
        return command + [word for name in given for word in ("-c", f"{name}={given[name]}")]


@contextmanager
def postgres_server(**settings: str) -> Iterator[PostgresServer]:
    """A server of one's own, running. Settings as postgresql.conf has them, e.g. `fsync="off"`."""
    programs()
    user = unprivileged("postgres")
    with folder_of(user) as folder:
        server = PostgresServer(folder, user, settings)
        server.init()
        with server.serving():
            yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One server for the whole run: for tests that neither stop nor reconfigure it."""
    with postgres_server() as server:
        yield server


@pytest.fixture
def postgres_dsn(postgres: PostgresServer) -> Iterator[str]:
    """A fresh database on the shared server."""
    with postgres.database() as dsn:
        yield dsn
