"""The operational database on PostgreSQL: its schema both ways, its role, one writer at a time."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import exc
from typer.testing import CliRunner

from gateway.cli import assemble
from gateway.cli.check import findings
from gateway.db.engine import open_engine, reading, writing
from gateway.db.fitness import faults
from gateway.db.place import ready_database
from gateway.db.postgres import WRITERS, lock, postgres_url
from gateway.db.roles import LASTING, let_in
from gateway.db.tables import DirectoryAuditRow
from gateway.db.upgrade import downgrade, newest, pending_changes, stands_at, upgrade
from gateway.errors import OperatorError, Unavailable
from gateway.identity.changes import raise_stop
from gateway.identity.record import Act, broken_entries
from gateway.identity.store import read_contents
from gateway.settings import Settings
from tests.directory_factory import add_client, add_grant, add_tenant
from tests.factories_identity import NOON
from tests.postgres_server import PostgresServer

pytestmark = pytest.mark.services

ROLE, WORD = "sluice_rows_tests", "word-of-the-tests"


@pytest.fixture(scope="module")
def owned(postgres: PostgresServer) -> Iterator[str]:
    """A database at the newest schema, by its owner's DSN; a role is let in."""
    with postgres.database() as dsn:
        upgrade(postgres_url(dsn))
        let_in(postgres_url(dsn), ROLE, WORD)
        yield dsn


@pytest.fixture(scope="module")
def owner(owned: str) -> Iterator[sa.Engine]:
    """The same as its owner has it."""
    engine = open_engine(postgres_url(owned))
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def served(owned: str, postgres: PostgresServer) -> Iterator[sa.Engine]:
    """The same as a serving process has it."""
    engine = open_engine(postgres_url(postgres.dsn(owned.rsplit("/", 1)[1], ROLE, WORD)))
    add_tenant(engine)
    add_client(engine)
    add_grant(engine)
    yield engine
    engine.dispose()


def test_models_and_migrations_agree(owned: str) -> None:
    assert pending_changes(postgres_url(owned)) == []


def test_the_schema_goes_back_and_forth_under_a_directory_that_stays(
    owned: str, served: sa.Engine
) -> None:
    url = postgres_url(owned)
    with reading(served) as session:
        before = read_contents(session)
    downgrade(url, "0012")
    with served.connect() as connection:
        assert stands_at(connection) == "0012"
    upgrade(url)
    let_in(url, ROLE)
    assert pending_changes(url) == []
    with reading(served) as session:
        assert read_contents(session) == before
        assert broken_entries(session) == ()


def test_no_way_back_loses_rows(postgres_dsn: str) -> None:
    url = postgres_url(postgres_dsn)
    upgrade(url)
    engine = open_engine(url)
    with engine.begin() as connection:
        columns = connection.exec_driver_sql(
            "SELECT column_name, data_type FROM information_schema.columns"
            " WHERE table_name = 'person_opt_out' ORDER BY ordinal_position"
        ).all()
        values = ", ".join("now()" if "time" in kind else "'x'" for _, kind in columns)
        connection.exec_driver_sql(f"INSERT INTO person_opt_out VALUES ({values})")
    with pytest.raises(OperatorError, match="person_opt_out") as refused:
        downgrade(url, "0020")
    assert refused.value.code == "downgrade_loses"
    with engine.connect() as connection:
        assert stands_at(connection) == newest()  # nothing of the way back was done
    engine.dispose()


def test_rows_that_last_are_changed_by_nobody(owner: sa.Engine, served: sa.Engine) -> None:
    for table in LASTING:
        for engine in (served, owner):
            for statement in (f"DELETE FROM {table}", f"TRUNCATE {table} CASCADE"):
                with engine.connect() as connection, pytest.raises(exc.DBAPIError) as refused:
                    connection.exec_driver_sql(statement)
                said = str(refused.value.orig)
                assert "append-only" in said or (engine is served and "permission denied" in said)


def test_the_role_of_serving_processes_cannot_change_the_schema(served: sa.Engine) -> None:
    for statement in (
        "CREATE TABLE more (one int)",
        "ALTER TABLE tenant ADD COLUMN more int",
        "DROP TRIGGER directory_audit_append_only ON directory_audit",
        "UPDATE alembic_version SET version_num = '0001'",
        "SET ROLE sluice_owner",
    ):
        with (
            served.connect() as connection,
            pytest.raises(exc.DBAPIError, match=r"permission|owner"),
        ):
            connection.exec_driver_sql(statement)


def test_changes_at_the_same_time_make_one_whole_chain(served: sa.Engine) -> None:
    with reading(served) as session:
        known = session.scalar(sa.select(sa.func.count()).select_from(DirectoryAuditRow))

    def change(number: int) -> None:
        with writing(served) as session:
            raise_stop(session, Act("officer-a", NOON, "drill"), "tenant", f"T-{number}")

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(change, range(24)))
    with reading(served) as session:
        now = session.scalar(sa.select(sa.func.count()).select_from(DirectoryAuditRow))
        assert (now or 0) - (known or 0) == 24
        assert broken_entries(session) == ()


def test_who_reads_sees_one_state_and_cannot_write(served: sa.Engine) -> None:
    counted = sa.select(sa.func.count()).select_from(DirectoryAuditRow)
    with reading(served) as session:
        before = session.scalar(counted)
        with writing(served) as other:
            raise_stop(other, Act("officer-a", NOON, "drill"), "tenant", "T-read")
        assert session.scalar(counted) == before
    with pytest.raises(Unavailable), reading(served) as session:
        session.execute(sa.text("DELETE FROM stop_flag"))


def test_who_waits_too_long_for_the_turn_to_write_is_told_to_come_again(
    owner: sa.Engine, served: sa.Engine
) -> None:
    quick = open_engine(str(served.url.render_as_string(hide_password=False)))

    @sa.event.listens_for(quick, "connect")
    def _hurry(connection: sa.engine.interfaces.DBAPIConnection, _record: object) -> None:
        connection.execute("SET lock_timeout = '50ms'")  # type: ignore[attr-defined]  # psycopg's
        connection.commit()

    with owner.begin() as connection:
        lock(connection, WRITERS)
        with pytest.raises(Unavailable), writing(quick) as session:
            raise_stop(session, Act("officer-a", NOON, "drill"), "tenant", "T-late")
        with reading(quick) as session:  # who reads waits for nobody
            assert session.scalar(sa.text("SELECT 1")) == 1
    quick.dispose()


def test_what_does_not_fit_is_told_by_a_code(
    postgres: PostgresServer, owner: sa.Engine, served: sa.Engine, tmp_path: Path
) -> None:
    assert faults(served) == []
    assert [one.code for one in faults(owner)] == ["database_role"]
    file = tmp_path / "dsn"
    settings = Settings(home=tmp_path / "home", database_dsn_file=file)
    file.write_text("postgresql://nobody:x@127.0.0.1:1/none")
    with pytest.raises(OperatorError) as refused:
        ready_database(settings)
    assert refused.value.code == "database_unreachable"
    assert "nobody" not in refused.value.message
    with postgres.database() as empty:
        file.write_text(empty)
        with pytest.raises(OperatorError) as refused:
            ready_database(settings)
    assert refused.value.code == "database_behind"


def test_the_check_names_every_part_that_is_missing(tmp_path: Path) -> None:
    home = tmp_path / "home"
    found = findings(Settings(home=home), replicas=False)
    assert [(one.part, one.code) for one in found] == [("releases", "no_release")]
    file = tmp_path / "gone"
    file.write_text("postgresql://nobody:x@127.0.0.1:1/none")
    settings = Settings(
        home=tmp_path / "other",
        database_dsn_file=file,
        postgres_dsn_file=file,
        quota_store="redis",
        policy_engine="opa",
        opa_url="http://127.0.0.1:1",
    )
    assert {(one.part, one.code) for one in findings(settings, replicas=True)} == {
        ("database", "database_unreachable"),
        ("journal", "journal_store_down"),
        ("quotas", "quota_store"),
        ("policy", "database_unreachable"),
        ("releases", "database_unreachable"),
        ("replicas", "issuer_own"),
    }


def test_the_commands_bring_the_schema_and_say_where_it_stands(
    postgres_dsn: str, tmp_path: Path
) -> None:
    owner = tmp_path / "owner.dsn"
    owner.write_text(postgres_dsn)
    program, runner = assemble(("database",)), CliRunner()
    env = {"SLUICE_DATABASE_DSN_FILE": str(owner), "SLUICE_HOME": str(tmp_path)}
    status = ["database", "status", "--json"]
    assert runner.invoke(program, status, env=env).exit_code == 1
    given = ["database", "upgrade", f"--owner-dsn-file={owner}", f"--role={ROLE}"]
    assert runner.invoke(program, given, env=env).exit_code == 0
    told = runner.invoke(program, status, env=env)
    assert (told.exit_code, newest() in told.stdout) == (0, True)
    assert runner.invoke(program, ["database", "downgrade", "0024"], env=env).exit_code == 0
    assert runner.invoke(program, status, env=env).exit_code == 1
    assert runner.invoke(program, ["database", "downgrade", "0001"], env=env).exit_code == 1
