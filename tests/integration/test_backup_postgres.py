"""PostgreSQL put back to a moment: a base backup and the archive of its log, by deploy/postgres.

Journal and ledger are those of a closed month. Somebody drops a table of the ledger; what stands
after recovery is what stood just before, row by row, and the month is found again from it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.db.postgres import postgres_url
from gateway.db.roles import let_in
from gateway.db.upgrade import upgrade
from gateway.journal.postgres_schema import init
from tests.billing_factory import MONTH
from tests.gateway_factory import copy_home
from tests.postgres_server import OWNER, PostgresServer, postgres_server, programs
from tests.two_replicas import PROGRAM

pytestmark = [pytest.mark.services, pytest.mark.slow, pytest.mark.timeout(900)]

SCRIPTS = Path(__file__).parents[2] / "deploy" / "postgres"
ROWS, ADDS, WORD = "sluice_rows", "sluice_app", "word-of-the-tests"
_TABLES = """
SELECT table_schema || '.' || table_name FROM information_schema.tables
WHERE table_type = 'BASE TABLE' AND table_schema IN ('public', 'sluice_journal') ORDER BY 1
"""


@dataclass
class Books:
    """A PostgreSQL with an archive of its log, and a home whose month is closed in it."""

    server: PostgresServer
    home: Path
    env: dict[str, str]

    @property
    def archive(self) -> Path:
        return self.server.folder / "wal"

    def sluice(self, *words: str) -> str:
        done = subprocess.run(
            [PROGRAM, *words], env=self.env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def script(self, name: str, *words: str) -> subprocess.CompletedProcess[str]:
        """One of deploy/postgres, as whoever runs the server."""
        user = self.server.user
        env = {
            "PATH": f"{programs()}:{os.environ['PATH']}",
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.server.port),
            "PGUSER": OWNER,
            "PGPASSWORD": self.server.password,
        }
        return subprocess.run(
            [str(self.server.folder / "scripts" / name), *words],
            env=env,
            user=user,
            group=None if user is None else pwd.getpwnam(user).pw_gid,
            cwd=self.server.folder,
            capture_output=True,
            text=True,
            check=False,
        )

    def rows(self) -> dict[str, tuple[int, str]]:
        """How many rows each table has, and a digest of them."""
        found = {}
        for (name,) in self.server.sql(_TABLES, database="sluice"):
            text = f"SELECT t::text FROM {name} t ORDER BY 1"
            rows = [str(row[0]) for row in self.server.sql(text, database="sluice")]
            digest = hashlib.sha256("\n".join(rows).encode()).hexdigest()
            found[name] = (len(rows), digest)
        return found


@pytest.fixture(scope="module")
def books(answered_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Books]:
    folder = tmp_path_factory.mktemp("books")
    home = copy_home(answered_home, folder / "home")
    for file in answered_home.glob("journal.db*"):
        shutil.copy(file, home / file.name)
    with postgres_server(archive_mode="on", wal_level="replica") as server:
        shutil.copytree(SCRIPTS, server.folder / "scripts")
        made = server.folder / "wal"
        made.mkdir()
        if server.user is not None:
            shutil.chown(made, server.user)
        archive = f"{server.folder}/scripts/archive-wal {made} %p %f"
        server.settings["archive_command"] = archive
        server.restart()
        server.sql(f"CREATE DATABASE sluice OWNER {OWNER}")
        owner = server.dsn("sluice")
        upgrade(postgres_url(owner))
        let_in(postgres_url(owner), ROWS, WORD)
        asyncio.run(init(owner, ADDS, WORD))
        env = {**os.environ, "SLUICE_HOME": str(home)}
        for name, role in (("DATABASE_DSN_FILE", ROWS), ("POSTGRES_DSN_FILE", ADDS)):
            path = folder / name
            path.write_text(server.dsn("sluice", role, WORD))
            path.chmod(0o600)
            env[f"SLUICE_{name}"] = str(path)
        yield Books(server, home, env)


def test_a_dropped_ledger_is_back_as_it_was_a_moment_before(books: Books) -> None:
    server = books.server
    base = server.folder / "base"
    done = books.script("base-backup", str(base))
    assert done.returncode == 0, done.stderr

    books.sluice("journal", "ship")
    books.sluice("meter", "propose", MONTH, "--actor", "wang")
    books.sluice("meter", "close", MONTH, "--actor", "li")
    before, balances = books.rows(), books.sluice("meter", "balances", "--json")
    assert before["public.ledger_posting"][0] > 0
    assert before["sluice_journal.usage_event"][0] > 0
    ((moment,),) = server.sql("SELECT clock_timestamp()::text")
    server.sql("DROP TABLE ledger_posting CASCADE", database="sluice")
    server.sql("SELECT pg_switch_wal()")
    server.stop()

    (server.folder / "data").rename(server.folder / "lost")
    restored = books.script(
        "restore", str(base), str(books.archive), str(server.folder / "data"), moment
    )
    assert restored.returncode == 0, restored.stderr
    server.start()
    assert books.rows() == before
    assert books.sluice("meter", "balances", "--json") == balances
    assert sum(row["fen"] for row in json.loads(balances)) == 0
    assert json.loads(books.sluice("meter", "replay", MONTH, "--json"))["ok"]
    books.sluice("meter", "verify")
    books.sluice("audit", "verify")


def test_a_damaged_base_backup_makes_no_data_folder(books: Books) -> None:
    base, bad = books.server.folder / "base", books.server.folder / "bad"
    shutil.copytree(base, bad)
    hurt = bad / "global" / "pg_control"
    content = bytearray(hurt.read_bytes())
    content[100] ^= 1
    hurt.write_bytes(content)
    for path in (bad, *bad.rglob("*")):
        if books.server.user is not None:
            shutil.chown(path, books.server.user)
    data = books.server.folder / "never"
    done = books.script("restore", str(bad), str(books.archive), str(data))
    assert (done.returncode, data.exists()) == (1, False)
    assert "damaged" in done.stderr


def test_another_segment_under_a_kept_name_is_not_taken(books: Books, tmp_path: Path) -> None:
    """Two servers that archive to one folder must not overwrite each other's log."""
    kept = next(path for path in books.archive.iterdir() if path.stat().st_size > 1000)
    other = books.server.folder / "other"
    other.write_bytes(b"x" * kept.stat().st_size)
    words = (str(books.archive), str(other), kept.name)
    before = kept.read_bytes()
    assert books.script("archive-wal", *words).returncode != 0
    assert kept.read_bytes() == before
    assert books.script("archive-wal", words[0], str(kept), kept.name).returncode == 0
