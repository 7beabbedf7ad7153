"""The operational database: one history, models that agree with it, durable and guarded tables."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy.exc import IntegrityError, StatementError

from gateway.db.engine import open_engine, reading, sqlite_url, writing
from gateway.db.tables import AssertionJtiRow, ClientRow, StopRow
from gateway.db.upgrade import alembic_config, newest, pending_changes, upgrade
from gateway.staff.accounts import accounts
from tests.factories_identity import NOON


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = sqlite_url(tmp_path / "sluice.db")
    upgrade(url)
    return url


def test_models_and_migrations_agree(url: str) -> None:
    assert pending_changes(url) == []


def test_a_missing_column_would_be_noticed(url: str, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "sluice.db")) as connection:
        connection.execute("ALTER TABLE grant_ DROP COLUMN price_plan")

    assert len(pending_changes(url)) == 1


def test_the_newest_revision_is_the_one_alembic_would_go_to(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "sluice.db")
    upgrade(url)
    engine = open_engine(url)
    with engine.connect() as connection:
        heads = ScriptDirectory.from_config(alembic_config(connection)).get_heads()
        stands_at = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
    engine.dispose()
    assert heads == [newest()] == [stands_at]


def test_accounts_of_the_office_keep_their_roles_over_an_upgrade(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "old.db")
    engine = open_engine(url)
    with engine.begin() as connection:
        command.upgrade(alembic_config(connection), "0006")
        connection.execute(
            sa.text(
                "INSERT INTO staff_account (name, display_name, roles, state, password_hash,"
                " totp_sealed, totp_step, created_at) VALUES"
                " ('anna', '测试', '[\"policy_officer\"]', 'active', '', '', 0, '2026-01-01')"
            )
        )
        recorded = (("invite", "root"), ("reset", "boris"), ("roles", "carl"))
        for revision, (action, actor) in enumerate(recorded, 1):
            connection.execute(
                sa.text(
                    "INSERT INTO staff_audit VALUES (:revision, '2026-01-01', :actor, :action,"
                    " 'staff', 'anna', '', '', '', '', '')"
                ),
                {"revision": revision, "actor": actor, "action": action},
            )
    upgrade(url)

    with reading(engine) as session:
        (anna,) = accounts(session)
    engine.dispose()
    assert (anna.roles, anna.asked_roles, anna.asked_by) == (("policy_officer",), (), None)
    assert anna.invited_by == "boris"


def test_upgrading_again_changes_nothing(url: str) -> None:
    upgrade(url)

    assert pending_changes(url) == []


def test_processes_that_start_together_migrate_once(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "new.db")
    program = f"from gateway.db.upgrade import upgrade; upgrade({url!r})"
    running = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(3)]

    assert [process.wait(timeout=60) for process in running] == [0, 0, 0]
    assert pending_changes(url) == []


def test_sqlite_waits_for_locks_keeps_references_and_survives_power_loss(url: str) -> None:
    engine = open_engine(url)
    with engine.connect() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "foreign_keys", "synchronous", "busy_timeout")
        }
    engine.dispose()

    assert pragmas == {
        "journal_mode": "wal",
        "foreign_keys": 1,
        "synchronous": 2,
        "busy_timeout": 10_000,
    }


def test_a_client_without_a_tenant_is_refused_by_the_database(url: str) -> None:
    engine = open_engine(url)
    row = ClientRow(
        id="c", tenant_id="nobody", name="c", jwks={}, algs=[], status="active", created_at=NOON
    )
    with pytest.raises(IntegrityError), writing(engine) as session:
        session.add(row)
    engine.dispose()


def test_instants_come_back_in_utc_and_need_a_zone(url: str) -> None:
    engine = open_engine(url)
    with writing(engine) as session:
        session.add(AssertionJtiRow(digest="d", expires_at=NOON))
    with reading(engine) as session:
        assert session.scalars(sa.select(AssertionJtiRow.expires_at)).one() == NOON
    naive = datetime(2026, 6, 1)  # noqa: DTZ001 — the mistake under test
    with pytest.raises(StatementError, match="time zone"), writing(engine) as session:
        session.add(AssertionJtiRow(digest="e", expires_at=naive))
    engine.dispose()


def test_a_failed_transaction_leaves_nothing(url: str) -> None:
    engine = open_engine(url)
    with suppress(RuntimeError), writing(engine) as session:
        session.add(StopRow(kind="tenant", target="T", reason="", since=NOON, set_by="x"))
        session.flush()
        raise RuntimeError
    with reading(engine) as session:
        assert session.get(StopRow, ("tenant", "T")) is None
    engine.dispose()


def test_a_reader_sees_the_state_before_a_write_that_goes_on(url: str) -> None:
    engine = open_engine(url)
    with writing(engine) as writer:
        writer.add(AssertionJtiRow(digest="d", expires_at=NOON + timedelta(minutes=1)))
        writer.flush()
        with reading(engine) as reader:
            assert reader.get(AssertionJtiRow, "d") is None
    engine.dispose()
