"""The tree in the central store."""

from __future__ import annotations

import base64
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from gateway.audit import proofs
from gateway.audit.central import verify_store
from gateway.journal.checkpoint import PUBLIC_KEY, public_key
from gateway.journal.postgres import DIRECT
from gateway.journal.proving import logs
from gateway.settings import Settings
from gateway.tlog import merkle, notes
from tests.journal_factory import answered
from tests.journal_store import record_all

pytestmark = pytest.mark.services
CALLS = 270


@pytest.fixture
def home(store: Any, tmp_path: Path) -> Path:
    with closing(store.open(tmp_path)) as journal:
        assert record_all(journal, [answered(n) for n in range(1, CALLS + 1)]) == [None] * CALLS
    return tmp_path


def settings(store: Any, home: Path) -> Settings:
    (home / "dsn").write_text(store.dsn, encoding="utf-8")
    (home / "dsn").chmod(0o600)
    return Settings(home=home, postgres_dsn_file=home / "dsn")


def test_the_store_has_tiles_and_notes_and_proves_by_them(store: Any, home: Path) -> None:
    assert store.ask("SELECT level, number, size FROM sluice_journal.tile")[0][:] == (0, 0, 256)
    key = public_key(home / "keys" / PUBLIC_KEY)
    with closing(logs(settings(store, home))) as each:
        told: dict[str, Any] = dict(proofs.inclusion(each, "r3", key, bool, bool))
    note = notes.opened(str(told["note"]), key)
    assert note.origin.endswith(DIRECT)
    path = [base64.b64decode(step) for step in told["inclusion"]]
    leaf = merkle.leaf_hash(bytes.fromhex(str(told["hash"])))
    assert merkle.includes(int(told["leaf_index"]), note.size, leaf, path, note.root)
    assert [verdict.findings for _, verdict in verify_store(store.dsn, home, key)] == [()] * 2


@pytest.mark.parametrize("act", ["UPDATE {} SET size = 1", "DELETE FROM {}", "TRUNCATE {}"])
@pytest.mark.parametrize("table", ["sluice_journal.tile", "sluice_journal.note"])
def test_nobody_changes_them(store: Any, home: Path, table: str, act: str) -> None:
    with pytest.raises(asyncpg.PostgresError):
        store.ask(act.format(table), dsn=store.dsn)
    with pytest.raises(asyncpg.RestrictViolationError):
        store.ask(act.format(table))


def test_a_tile_that_was_changed_is_named(store: Any, home: Path) -> None:
    table = "sluice_journal.tile"
    store.ask(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
    store.ask(f"UPDATE {table} SET hashes = decode(repeat('00', 8192), 'hex')")
    store.ask(f"ALTER TABLE {table} ENABLE TRIGGER ALL")
    found = verify_store(store.dsn, home, public_key(home / "keys" / PUBLIC_KEY))
    codes = {finding.code for _, verdict in found for finding in verdict.findings}
    assert codes == {"tree"}
