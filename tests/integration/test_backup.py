"""Backups of a home: whole, as at one moment, without keys, refused when damaged, and put back."""

from __future__ import annotations

import json
import shutil
import sqlite3
import sys
import threading
from contextlib import closing, redirect_stderr, redirect_stdout
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest

from gateway.backup.home import create, restore
from gateway.backup.manifest import DIGEST, FILES, LIST, check
from gateway.billing.office import Office
from gateway.cli import main
from gateway.errors import OperatorError
from gateway.settings import Settings
from tests.billing_factory import MONTH

NOW = datetime(2025, 7, 10, tzinfo=UTC)


def sluice(home: Path, *words: str) -> tuple[int, str]:
    """As typed, in this process."""
    told, code = StringIO(), 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(told), redirect_stderr(told):
        patch.setenv("SLUICE_HOME", str(home))
        patch.setattr(sys, "argv", ["sluice", *words])
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
    return code, told.getvalue()


def rows(home: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table of the databases in a home."""
    found = {}
    for path in sorted(home.rglob("*.db")):
        with closing(sqlite3.connect(path)) as db:
            names = [
                name
                for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            ]
            for name in names:
                found[f"{path.relative_to(home)} {name}"] = sorted(
                    db.execute(f'SELECT * FROM "{name}"').fetchall(), key=repr
                )
    return found


@pytest.fixture
def closed(office: Office) -> Path:
    """A home with a closed month: journal, ledger, papers, releases, keys."""
    home = office.archive.parent
    assert sluice(home, "meter", "propose", MONTH, "--actor", "wang")[0] == 0
    assert sluice(home, "meter", "close", MONTH, "--actor", "li")[0] == 0
    return home


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    """A small backup: one database, one file."""
    home = tmp_path / "small"
    (home / "releases").mkdir(parents=True)
    (home / "releases" / "r.json").write_text("{}")
    with closing(sqlite3.connect(home / "sluice.db")) as db:
        db.execute("CREATE TABLE t AS SELECT 1 AS n")
    create(Settings(home=home), tmp_path / "backup", NOW, "data")
    return tmp_path / "backup"


def test_a_month_is_found_again_from_a_restored_home(closed: Path, tmp_path: Path) -> None:
    before = rows(closed)
    data, keys, new = tmp_path / "data", tmp_path / "kept-apart", tmp_path / "new"
    assert sluice(closed, "backup", "create", str(data))[0] == 0
    assert sluice(closed, "backup", "create", str(keys), "--keys")[0] == 0
    secrets = {path.read_bytes() for path in (closed / "keys").rglob("*.secret")}
    copied = [path for path in data.rglob("*") if path.is_file()]
    assert secrets
    assert [path for path in copied if path.read_bytes() in secrets] == []
    shutil.rmtree(closed)

    for kept in (keys, data):
        code, said = sluice(new, "backup", "restore", str(kept))
        assert code == 0, said
    assert rows(new) == before
    assert before["sluice.db ledger_entry"]
    assert (new / "keys" / "statement.secret").stat().st_mode & 0o077 == 0
    for words in (("audit", "verify"), ("meter", "verify"), ("meter", "replay", MONTH)):
        code, said = sluice(new, *words)
        assert code == 0, said
    balances = json.loads(sluice(new, "meter", "balances", "--json")[1])
    assert sum(row["fen"] for row in balances) == 0
    again = sluice(new, "backup", "restore", str(data))
    assert (again[0], "[home_not_empty]" in again[1]) == (1, True)


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("harm", "code"),
    [
        (lambda at: _flip(at / FILES / "sluice.db"), "backup_damaged"),
        (lambda at: (at / FILES / "releases" / "r.json").unlink(), "backup_damaged"),
        (lambda at: (at / FILES / "more").write_text("x"), "backup_damaged"),
        (lambda at: (at / FILES / "link").symlink_to("/etc/hostname"), "backup_damaged"),
        (lambda at: _flip(at / LIST), "backup_damaged"),
        (lambda at: (at / DIGEST).unlink(), "no_backup"),
    ],
)
def test_a_damaged_backup_is_refused_and_changes_nothing(backup, tmp_path, harm, code) -> None:
    assert check(backup).part == "data"
    harm(backup)
    with pytest.raises(OperatorError) as refused:
        restore(backup, Settings(home=tmp_path / "new"))
    assert refused.value.code == code
    assert not (tmp_path / "new").exists()


def test_a_copy_names_no_act_that_it_does_not_hold(tmp_path: Path) -> None:
    """A writer keeps two databases as the gateway does: first the act, then who vouches for it."""
    home, over = tmp_path / "home", threading.Event()
    home.mkdir()
    files = [home / "sluice.db", home / "journal.db"]
    for path in files:
        with closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("CREATE TABLE acts (n INTEGER)")

    def write() -> None:
        office, journal = (sqlite3.connect(path, timeout=10) for path in files)
        n = 0
        while not over.is_set():
            n += 1
            for db in (office, journal):
                db.execute("INSERT INTO acts VALUES (?)", (n,))
                db.commit()
        office.close()
        journal.close()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(5):
            made = tmp_path / f"backup-{number}"
            create(Settings(home=home), made, NOW, "data")
            acted, vouched = (_last(made / FILES / path.name) for path in files)
            assert vouched <= acted
            check(made)
    finally:
        over.set()
        writer.join()
    assert acted > 0


def _last(path: Path) -> int:
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute("SELECT coalesce(max(n), 0) FROM acts").fetchone()[0])


def test_what_a_server_removes_meanwhile_is_left_out_and_the_rest_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, target = tmp_path / "home", tmp_path / "copy"
    for name in ("exports/a.csv", "exports/b.csv", "runs/c.log"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(name)
    real = shutil.copy2

    def meanwhile(path: Path, to: Path) -> None:
        (home / "exports/b.csv").unlink(missing_ok=True)  # as an export that is over
        real(path, to)

    monkeypatch.setattr(shutil, "copy2", meanwhile)
    create(Settings(home=home), target, NOW, "data")
    assert set(check(target).files) == {"exports/a.csv", "runs/c.log"}
